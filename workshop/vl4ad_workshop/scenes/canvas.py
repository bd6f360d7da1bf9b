# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hold the picture while it is painted from far to near: colours, segment ids, haze."""

from __future__ import annotations

import math

import cv2
import numpy as np

from vl4ad_workshop.scenes.frame import Frame

SMALLEST_SEGMENT = 12


class Canvas:
    """
    Paint over what lies behind, and say what is seen where.

    `haze` is the RGB colour that things fade to, half of them after `sight` metres.
    """

    def __init__(self, size: tuple[int, int], haze: np.ndarray, sight: float):
        self.size = size
        self.haze, self.sight = np.asarray(haze, np.float32), sight
        self.image = np.zeros((*size, 3), np.float32)
        self.ids = np.zeros(size, np.int32)
        self.kinds: list[str] = []
        self.owners: list[int] = []
        self._surfaces: dict[str, int] = {}

    def surface(self, kind: str) -> int:
        """Return the segment id of a surface kind."""
        if kind not in self._surfaces:
            self._surfaces[kind] = self.thing(kind)
        return self._surfaces[kind]

    def thing(self, kind: str, owner: int = 0) -> int:
        """Return a new segment id; `owner` is the caller's own number for the thing."""
        self.kinds.append(kind)
        self.owners.append(owner)
        return len(self.kinds) - 1

    def clearness(self, z):
        """Return how much of a thing's own colour is left at depth z, 0..1."""
        return np.exp2(-np.asarray(z, np.float32) / self.sight)

    def paint(self, rgba: np.ndarray, x: int, y: int, z: float, segment: int, solid: float = 128):
        """Lay premultiplied RGBA float32 0..255 with its upper left corner at (x, y)."""
        h, w = rgba.shape[:2]
        x0, y0, x1, y1 = max(0, x), max(0, y), min(self.size[1], x + w), min(self.size[0], y + h)
        if x1 <= x0 or y1 <= y0:
            return
        part = rgba[y0 - y:y1 - y, x0 - x:x1 - x]
        alpha = part[..., 3:] * (1 / 255)
        clear = float(self.clearness(z))
        region = self.image[y0:y1, x0:x1]
        region *= 1 - alpha
        region += part[..., :3] * clear + alpha * (self.haze * (1 - clear))
        self.ids[y0:y1, x0:x1][part[..., 3] > solid] = segment

    def darken(self, points: np.ndarray, strength: float, blur: float):
        """Darken inside a polygon of image points with a soft edge."""
        reach = int(3 * blur) + 2
        low = np.floor(points.min(0)).astype(int) - reach
        high = np.ceil(points.max(0)).astype(int) + reach
        x0, y0 = max(0, low[0]), max(0, low[1])
        x1, y1 = min(self.size[1], high[0]), min(self.size[0], high[1])
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.float32)
        cv2.fillPoly(mask, [np.round((points - (x0, y0)) * 16).astype(np.int32)], strength,
                     cv2.LINE_8, 4)
        if blur > 0.4:
            mask = cv2.GaussianBlur(mask, (0, 0), min(blur, 12))
        self.image[y0:y1, x0:x1] *= 1 - mask[..., None]

    def frame(self, image: np.ndarray) -> tuple[Frame, np.ndarray]:
        """Return the frame without tiny segments (now -1), and the owner of each segment."""
        count = np.bincount(self.ids.ravel(), minlength=len(self.kinds))
        keep = count >= SMALLEST_SEGMENT
        number = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
        kinds = tuple(kind for kind, kept in zip(self.kinds, keep) if kept)
        return Frame(image, number[self.ids], kinds), np.asarray(self.owners)[keep]


def contact_shadow(canvas: Canvas, u: float, v: float, half: float, depth: float, strength: float):
    """Darken the ground under a thing whose foot is at (u, v): an ellipse half x depth."""
    t = np.linspace(0, 2 * math.pi, 14)[:-1]
    ring = np.stack([u + half * np.cos(t), v + max(0.7, depth) * np.sin(t)], 1)
    canvas.darken(ring, strength, max(0.5, 0.25 * min(half, 4 * depth)))
