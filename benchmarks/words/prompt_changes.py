# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The effect of one prompt: a known class is removed, or an anomalous kind becomes a known class.

Only the prompts change. A class that was removed is then also added to the anomaly prompts.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from benchmarks.words.model import Answer, Words
from benchmarks.words.prompts import Encoder, prepared
from benchmarks.words.street_model import StreetAnswer
import numpy as np
import torch

from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_workshop.demo.second_act import Phase
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.uncertainty import uncertainty
from vl4ad_workshop.scenes.frame import Frame
from vl4ad_workshop.scenes.kinds import KINDS

MIN_PIXELS = 300
STATES = ('before', 'after', 'named')


class PromptChanges:
    """The median score 0..1 of each kind's pixels, before and after its own prompt changes."""

    def __init__(self, encode: Encoder, shipped: Classification,
                 calibration: Calibration) -> None:
        """Start from the default prompts."""
        self._shipped, self._calibration = shipped, calibration
        self._default = encode(encode.default)
        self._rows: dict[str, list[list[float]]] = defaultdict(list)

        @cache
        def words_for(kind: str) -> tuple[Words, ...]:
            known = KINDS[kind].group == 'known'
            phases = ((Phase('', not_known=(kind,)), Phase('', anomalous=(kind,))) if known else
                      (Phase('', also_known=(kind,)),))
            start = prepared(encode.default, kind)
            return tuple(encode(phase.prompts(start)) for phase in phases)

        self._words_for = words_for

    def add(self, answer: Answer | StreetAnswer, frame: Frame, group: str) -> None:
        """Add a picture: every kind in it with at least `MIN_PIXELS`."""
        before = self._score(answer, self._default)
        for kind in sorted(set(frame.kinds)):
            pixels = np.isin(frame.segments, [s for s, k in enumerate(frame.kinds) if k == kind])
            if pixels.sum() >= MIN_PIXELS:
                scores = (before, *(self._score(answer, w) for w in self._words_for(kind)))
                self._rows[kind].append([float(np.median(s[pixels])) for s in scores])

    def result(self) -> dict[str, dict[str, float]]:
        """Return means over pictures by kind: before, after, and for known ones 'named'."""
        return {kind: {'pictures': len(self._rows[kind]),
                       **dict(zip(STATES, np.mean(self._rows[kind], axis=0).tolist()))}
                for kind in KINDS if kind in self._rows}

    def _score(self, answer: Answer | StreetAnswer, words: Words) -> np.ndarray:
        u = answer.score(uncertainty, words, self._shipped)
        return answer.on_picture(torch.from_numpy(self._calibration(u.numpy())))


def change(kind: str) -> str:
    """Return the change of a kind's prompt and the kind's role in training, for a table."""
    return {'known': 'no longer known', 'masks': 'now known (training masks)',
            'words': 'now known (CLIP stage only)',
            'unseen': 'now known (never seen)'}[KINDS[kind].group]
