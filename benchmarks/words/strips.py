# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Strips of pictures that show where the pixels of the figures are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.words.model import Answer, Words
from benchmarks.words.pictures import COLUMNS, counted, labels
from benchmarks.words.prompts import idea
from benchmarks.words.scores import columns_of
from benchmarks.words.street_model import StreetAnswer
import cv2
import numpy as np

from vl4ad_ros.captions import DARK, put_text, WHITE
from vl4ad_ros.evaluation.drawing import colour_scale, draw_alerts, fit
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.uncertainty import uncertainty
from vl4ad_workshop.scenes.frame import Frame

STRIPS, WIDTH, HEADER = 6, 320, 26
MIN_SHARE = 0.005
"""Smallest share of anomalous pixels; less is hardly visible in a strip."""
PANELS = ('anomaly outlined', 'ID argmax', 'u, ID-only', 'u, with OOD prompts',
          'u, OOD prompts, merged')


class Strips:
    """Strips of the first pictures of each column: frame, ID argmax, u with three prompt sets."""

    def __init__(self, folder: Path, words: Mapping[str, Words], names: list[str],
                 shipped: Classification) -> None:
        """Write into `folder`; `names` are those of the known classes."""
        self._folder, self._words, self._names, self._shipped = folder, words, names, shipped
        self._strips: dict[str, list[np.ndarray]] = {column: [] for column in COLUMNS}

    def add(self, answer: Answer | StreetAnswer, frame: Frame, group: str) -> None:
        """Keep a strip of a picture until its columns have enough."""
        for column in columns_of(frame, group):
            label = labels(frame, counted(column))
            if len(self._strips[column]) < STRIPS and (label == ANOMALY).mean() > MIN_SHARE:
                self._strips[column].append(self._strip(answer, frame, label))

    def save(self) -> list[Path]:
        """Write one PNG for each column; return the files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files = []
        for column, strips in self._strips.items():
            if strips:
                files.append(self._folder / f'{column}.png')
                sheet = np.concatenate([self._header(), *strips, self._legend()])
                cv2.imwrite(str(files[-1]), sheet[..., ::-1])
        return files

    def _strip(self, answer: Answer | StreetAnswer, frame: Frame, label: np.ndarray) -> np.ndarray:
        known = answer.naming(self._words['none'], self._shipped)
        argmax = palette(len(self._names))[answer.on_picture(known).argmax(-1)]
        maps = [answer.score(uncertainty, self._words[name], self._shipped)
                for name in ('none', 'default', idea(True, True, True))]
        heat = [colour_scale((1 + answer.on_picture(u)).clip(0, 1)) for u in maps]
        panels = [draw_alerts(frame.image, None, (), label, WIDTH), fit(argmax, WIDTH, False),
                  *(fit(h, WIDTH) for h in heat)]
        return np.concatenate(panels, 1)

    @staticmethod
    def _header() -> np.ndarray:
        header = np.full((HEADER, WIDTH * len(PANELS), 3), DARK, np.uint8)
        for i, title in enumerate(PANELS):
            put_text(header, title, (i * WIDTH + 6, HEADER - 8), 11, WHITE)
        return header

    def _legend(self) -> np.ndarray:
        """Name the colours of the known classes."""
        columns = 10
        legend = np.full((HEADER * -(-len(self._names) // columns), WIDTH * len(PANELS), 3), DARK,
                         np.uint8)
        for i, (name, colour) in enumerate(zip(self._names, palette(len(self._names)))):
            y, x = i // columns * HEADER, i % columns * legend.shape[1] // columns
            legend[y + 6:y + 20, x + 6:x + 24] = colour
            put_text(legend, name, (x + 30, y + HEADER - 8), 11, WHITE)
        return legend


def palette(count: int) -> np.ndarray:
    """Return `count` distinct colours, (count, 3) uint8 RGB; similar hues differ in lightness."""
    place = np.random.default_rng(1).permutation(count)
    hsv = np.stack([place * 180 // count, np.full(count, 200),
                    np.array([255, 140])[place % 2]], 1).astype(np.uint8)
    return cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
