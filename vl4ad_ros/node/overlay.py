# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture for people: the input with the mask and the alerts drawn on it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from vl4ad_ros.obstacles.pipeline import Finding
from vl4ad_ros.obstacles.severity import COLOURS

_MASK = np.array((230, 30, 60), np.uint8)
_UNPLACED, _OUTLINE = (255, 220, 0), (0, 0, 0)


def draw(image: np.ndarray, mask: np.ndarray, alpha: float,
         alerts: Iterable[Finding]) -> np.ndarray:
    """
    Return a copy of `image` with the mask tinted and the alerts boxed.

    :param image: (H, W, 3) uint8 RGB.
    :param mask: (H, W) uint8, 0 or 255.
    :param alpha: opacity of the tint, 0 to 1.
    :param alerts: each is drawn as a box with its id and caption. Its colour is that of its
        severity, or yellow if it has no place.
    :returns: (H, W, 3) uint8 RGB.
    """
    shown = image.copy()
    where = mask > 0
    shown[where] = ((1.0 - alpha) * shown[where] + alpha * _MASK).astype(np.uint8)
    size = max(0.4, image.shape[0] / 900)
    for alert in alerts:
        x, y, width, height = alert.region.box
        own = COLOURS[alert.severity.level] if alert.severity else _UNPLACED
        corner = (round(x), round(y))
        cv2.rectangle(shown, corner, (round(x + width), round(y + height)), own, 2)
        foot = (corner[0], max(corner[1] - 5, round(28 * size)))
        for colour, width_px in ((_OUTLINE, 4), (own, 1)):
            cv2.putText(shown, f'#{alert.id} {alert.caption}', foot, cv2.FONT_HERSHEY_SIMPLEX,
                        size, colour, width_px, cv2.LINE_AA)
    return shown
