# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Predictions made by hand, for tests without a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.prompts.vocabulary import Vocabulary

SIZE = (96, 160)
NAMES = ('cow', 'box', 'dog')
STRIDE = 4


def predict(*boxes: tuple[int, int, int, int], score: float = 0.9, size: tuple[int, int] = SIZE,
            mass: Mapping[str, float] | None = None) -> Prediction:
    """
    Return the prediction of a frame that is anomalous in some boxes and nowhere else.

    :param boxes: x, y, width, height in pixels, multiples of 4.
    :param mass: share of each box's cells that have one of `NAMES` as their best anomaly class,
        from the left, and its mass there: ``{'cow': (0.75, 0.4)}``. None is a bundle without.
    """
    rows, columns = (n // STRIDE for n in size)
    uncertainty = np.full((rows, columns), -1.0, np.float32)
    best = np.zeros((rows, columns), np.int32)
    masses = np.zeros((rows, columns), np.float32)
    for box in boxes:
        x, y, width, height = (n // STRIDE for n in box)
        uncertainty[y:y + height, x:x + width] = score - 1
        left = x
        for name, (share, value) in (mass or {}).items():
            right = left + round(share * width)
            best[y:y + height, left:right] = NAMES.index(name)
            masses[y:y + height, left:right] = value
            left = right
    vocabulary = Vocabulary.from_strings(['road'], list(NAMES))
    nothing = np.zeros(0)
    prompts = Prompts(vocabulary, nothing, nothing, nothing, nothing, 'by hand')
    return Prediction(uncertainty, np.zeros_like(best), best, prompts,
                      Letterbox(size, size, STRIDE), Calibration((-1.0, 0.0), (0.0, 1.0)),
                      anomaly_mass=None if mass is None else masses)
