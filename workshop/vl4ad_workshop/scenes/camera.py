# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Project road coordinates into the image through a pinhole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """
    A forward pinhole camera above a flat road.

    A point is (s metres along the road, t metres to the right of its middle, y metres up). The
    camera is at (s, t, height) and looks along the road, which bends away as bend / 2 * z^2.
    `horizon` is the horizon's row: the optical axis is level and (centre, horizon) is the
    principal point, so that the camera matrix is exact.
    """

    size: tuple[int, int]
    focal: float
    centre: float
    horizon: float
    height: float
    s: float = 0.0
    t: float = 0.0
    bend: float = 0.0

    def matrix(self) -> np.ndarray:
        """Return K, (3, 3) float64."""
        return np.array([[self.focal, 0, self.centre], [0, self.focal, self.horizon], [0, 0, 1.]])

    def lateral(self, t, z):
        """Return metres to the right of the optical axis at depth z."""
        return t - self.t + 0.5 * self.bend * z * z

    def column(self, t, z):
        """Return the image column of road coordinate t at depth z (pixel centres at integers)."""
        return self.centre + self.focal * self.lateral(t, z) / z

    def row(self, y, z):
        """Return the image row of height y at depth z."""
        return self.horizon + self.focal * (self.height - y) / z
