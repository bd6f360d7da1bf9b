# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Connected anomalous regions of one score map."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class RegionLimits:
    """
    Which regions count.

    :ivar threshold: 0..1, a pixel is anomalous if its score is above.
    :ivar min_area: 0..1, smallest region as a share of the image.
    :ivar roi: corners x, y of a polygon in image fractions; a region counts if its foot point, the
        middle of its lowest row, is inside or on it. Empty: everywhere.
    :raises ValueError: if a limit is out of range; the message names it.
    """

    threshold: float = 0.5
    min_area: float = 0.0005
    roi: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ('threshold', 'min_area'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must be 0..1, not {getattr(self, name)}')
        if self.roi:
            if len(self.roi) < 3 or any(len(corner) != 2 for corner in self.roi):
                raise ValueError(f'roi needs 3 or more corners x, y, seen {self.roi}')
            corners = np.array(self.roi, float)
            if not ((corners >= 0) & (corners <= 1)).all():
                raise ValueError(f'roi corners must be image fractions 0..1, seen {self.roi}')
            if cv2.contourArea(corners.astype(np.float32)) < 1e-6:
                raise ValueError(f'roi has no area, so nothing could be inside: {self.roi}')


@dataclass(frozen=True)
class Region:
    """
    A connected anomalous region; pixel (0, 0) covers 0..1 in both coordinates.

    :ivar box: x, y, width, height in pixels of the image.
    :ivar area: number of pixels.
    :ivar score: mean score over the region, 0..1.
    :ivar centroid: x, y in pixels.
    """

    box: tuple[float, float, float, float]
    area: int
    score: float
    centroid: tuple[float, float]


def find_regions(score: np.ndarray, limits: RegionLimits) -> tuple[Region, ...]:
    """
    Find the regions, 8-connected, largest first.

    :param score: float (H, W), 0..1.
    :raises ValueError: if `score` is not two-dimensional.
    """
    if score.ndim != 2:
        raise ValueError(f'score must be (H, W), seen shape {score.shape}')
    # Grana's algorithm takes a third of the time of OpenCV's default on maps of few regions.
    _, labels, stats, centroids = cv2.connectedComponentsWithStatsWithAlgorithm(
        (score > limits.threshold).view(np.uint8), 8, cv2.CV_32S, cv2.CCL_GRANA)
    large = stats[:, cv2.CC_STAT_AREA] >= limits.min_area * score.size
    large[0] = False  # the background
    corners = np.array(limits.roi, float).reshape(-1, 2) * (score.shape[1], score.shape[0])
    polygon = corners.astype(np.float32)
    regions = []
    for label in np.flatnonzero(large):
        x, y, width, height, area = map(int, stats[label])
        foot = (x + width / 2, y + height - 0.5)
        if limits.roi and cv2.pointPolygonTest(polygon, foot, False) < 0:
            continue
        window = slice(y, y + height), slice(x, x + width)
        inside = labels[window] == label
        regions.append(Region(
            (float(x), float(y), float(width), float(height)), area,
            float(score[window][inside].mean()),
            (float(centroids[label, 0]) + 0.5, float(centroids[label, 1]) + 0.5)))
    return tuple(sorted(regions, key=lambda r: -r.area))
