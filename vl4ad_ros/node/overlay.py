# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture for people: the input with the mask and the alerts drawn on it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vl4ad_ros.captions import draw_box
from vl4ad_ros.obstacles.pipeline import Finding
from vl4ad_ros.obstacles.severity import COLOURS, WARNING

_MASK = np.array((230, 30, 60), np.uint8)
_UNPLACED = COLOURS[WARNING]


def draw(image: np.ndarray, mask: np.ndarray, alpha: float,
         alerts: Iterable[Finding]) -> np.ndarray:
    """
    Return a copy of `image` with the mask tinted and the alerts boxed.

    :param image: (H, W, 3) uint8 RGB.
    :param mask: (H, W) uint8, 0 or 255.
    :param alpha: opacity of the tint, 0 to 1.
    :param alerts: each is drawn as a box with its id and caption, in the colour of its severity,
        and the most severe one lies on top. One without a place has the colour of a warning.
    :returns: (H, W, 3) uint8 RGB.
    """
    shown = image.copy()
    where = mask > 0
    shown[where] = ((1.0 - alpha) * shown[where] + alpha * _MASK).astype(np.uint8)
    for alert in sorted(alerts, key=lambda one: one.severity.rank if one.severity else -1):
        draw_box(shown, alert.region.box, f'#{alert.id} {alert.caption}', 1.0,
                 COLOURS[alert.severity.level] if alert.severity else _UNPLACED)
    return shown
