# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Shares of pixels that the mask flags, of anomalies and of known things that were pasted.

A network may find that something was pasted instead of what it is. The known things are the
control: they are pasted in the same way as the anomalies, so a network that sees the objects flags
the anomalies only. Recordings without pasted known things have no such figures.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.alert_metrics import Truth
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, NORMAL


class FlaggedPixels:
    """
    Counts pixels over any number of frames.

    Example: of three pixels of an anomaly two are flagged, and of two of a person one is.

    >>> pixels = FlaggedPixels()
    >>> pixels.add(np.array([[255, 255, 0, 255, 0, 0]]), np.array([[1, 1, 1, 0, 0, 0]]),
    ...            np.array([[1, 1, 1, 2, 2, 0]]))
    >>> pixels.figures(Truth({}, [], {1: 'cow', 2: 'person'}))
    {'anomalous_flagged': 0.6667, 'known_flagged': 0.5, 'known_flagged_by_kind': {'person': 0.5}}
    """

    def __init__(self) -> None:
        """Start without frames."""
        self._anomalous = np.zeros(2, np.int64)  # all, flagged
        self._known: Counter[int] = Counter()
        self._known_flagged: Counter[int] = Counter()

    def add(self, mask: np.ndarray, label: np.ndarray, object_ids: np.ndarray) -> None:
        """
        Add one frame.

        :param mask: (H, W), not 0 where the score is above the threshold.
        :param label: (H, W) of an unsigned integer type: 0 for normal, 1 for anomalous and 255
            for ignored pixels.
        :param object_ids: (H, W) of an unsigned integer type, 0 where there is no object. An
            object on normal pixels is a known thing.
        :raises ValueError: if the shapes differ.
        """
        if not mask.shape == label.shape == object_ids.shape:
            raise ValueError(f'the mask has the shape {mask.shape}, the label {label.shape} and '
                             f'the object ids {object_ids.shape}; expected the same shape')
        flagged = mask != 0
        anomalous = label == ANOMALY
        self._anomalous += anomalous.sum(), (anomalous & flagged).sum()
        known = (label == NORMAL) & (object_ids > 0)
        for total, where in ((self._known, known), (self._known_flagged, known & flagged)):
            numbers, counts = np.unique(object_ids[where], return_counts=True)
            total.update(dict(zip(numbers.tolist(), counts.tolist())))

    def figures(self, truth: Truth) -> dict[str, Any]:
        """
        Return the shares over all frames by the name of the figure; ``{}`` without known things.

        :param truth: ground truth that names the known things.
        """
        if not self._known:
            return {}
        kinds: Counter[str] = Counter()
        flagged: Counter[str] = Counter()
        for number, count in self._known.items():
            kinds[truth.name(number)] += count
            flagged[truth.name(number)] += self._known_flagged[number]
        total, found = self._anomalous.tolist()
        return {'anomalous_flagged': round(found / total, 4) if total else None,
                'known_flagged': round(flagged.total() / kinds.total(), 4),
                'known_flagged_by_kind': {kind: round(flagged[kind] / kinds[kind], 4)
                                          for kind in sorted(kinds)}}
