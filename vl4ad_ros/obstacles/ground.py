# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pixels and points on a flat ground, through a pinhole camera.

The geometry is that of R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision",
2nd edition, 2004, chapters 6 and 8: a pinhole without skew and distortion, and the plane of the
ground, whose vanishing line is the horizon.

Points are in metres, in a frame on the ground below the camera: x forward, y to the left and z up
(REP 103). The camera looks forward, without roll. Pixel centres are at whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np


@dataclass(frozen=True)
class GroundCamera:
    """
    A pinhole camera above flat ground.

    Example: a camera 1.4 m above the ground sees a point 20 m ahead 50 pixels below the horizon,
    and 1.4 metres of height there are 50 pixels, too.

    >>> camera = GroundCamera.with_horizon((715, 715), (319.5, 179.5), 179.5, 1.4)
    >>> pixels = camera.pixels(np.array([[20.0, 0.0, 0.0], [20.0, 0.0, 1.4]]))
    >>> pixels.round(1).tolist()
    [[319.5, 229.6], [319.5, 179.5]]
    >>> camera.ground_points(pixels).round(2).tolist()
    [[20.0, 0.0], [nan, nan]]
    >>> round(camera.rows_of_height(20.0, 1.4), 2)
    50.05

    :ivar focal: (fx, fy) focal lengths in pixels, above 0.
    :ivar centre: (cx, cy) principal point in pixels.
    :ivar pitch: angle by which the optical axis points below the horizontal, in radians, between
        -pi/2 and pi/2.
    :ivar height_m: of the camera above the ground, in metres, above 0.
    """

    focal: tuple[float, float]
    centre: tuple[float, float]
    pitch: float
    height_m: float

    def __post_init__(self) -> None:
        """
        Check the values.

        :raises ValueError: if a value is out of its range.
        """
        if not all(0 < f < math.inf for f in self.focal):
            raise ValueError(f'the focal length is {self.focal} pixels; expected two finite '
                             'numbers above 0')
        if not all(map(math.isfinite, self.centre)):
            raise ValueError(f'the principal point is {self.centre}; expected finite numbers')
        if not abs(self.pitch) < math.pi / 2:
            raise ValueError(f'the pitch is {self.pitch} rad; expected -pi/2 to pi/2')
        if not 0 < self.height_m < math.inf:
            raise ValueError(f'the camera is {self.height_m} m above the ground; expected a '
                             'finite number above 0')

    @staticmethod
    def with_horizon(focal: tuple[float, float], centre: tuple[float, float], horizon: float,
                     height_m: float) -> GroundCamera:
        """
        Return the camera that sees the horizon in a given row.

        :param focal: as of the class.
        :param centre: as of the class.
        :param horizon: row of the horizon in pixels; it may lie outside of the image.
        :param height_m: as of the class.
        :raises ValueError: if a value is out of its range.
        """
        return GroundCamera(focal, centre, math.atan2(centre[1] - horizon, focal[1]), height_m)

    @property
    def horizon(self) -> float:
        """The row of the horizon in pixels."""
        return self.centre[1] - self.focal[1] * math.tan(self.pitch)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """
        Project points into the image.

        :param points: (N, 3) x, y and z in metres.
        :return: (N, 2) float64 column and row in pixels, also outside of the image; NaN for points
            that are not in front of the camera.
        """
        x, left, up = np.asarray(points, float).T
        cos, sin = math.cos(self.pitch), math.sin(self.pitch)
        below = self.height_m - up
        depth = x * cos + below * sin
        depth = np.where(depth > 0, depth, np.nan)
        down = below * cos - x * sin
        return np.stack([self.centre[0] - self.focal[0] * left / depth,
                         self.centre[1] + self.focal[1] * down / depth], axis=1)

    def ground_points(self, pixels: np.ndarray) -> np.ndarray:
        """
        Return the points of the ground that pixels show.

        :param pixels: (N, 2) column and row.
        :return: (N, 2) float64 x and y in metres; NaN for pixels at the horizon and above it, and
            for those that show the ground behind the camera.
        """
        column, row = np.asarray(pixels, float).T
        left = (self.centre[0] - column) / self.focal[0]
        down = (row - self.centre[1]) / self.focal[1]
        cos, sin = math.cos(self.pitch), math.sin(self.pitch)
        falls = down * cos + sin  # metres per metre of depth
        depth = self.height_m / np.where(falls > 0, falls, np.nan)
        forward = depth * (cos - down * sin)
        seen = forward > 0
        return np.stack([np.where(seen, forward, np.nan),
                         np.where(seen, left * depth, np.nan)], axis=1)

    def rows_of_height(self, distance_m: float, height_m: float) -> float:
        """
        Return how many rows an upright thing covers.

        :param distance_m: how far ahead it stands on the ground, in metres.
        :param height_m: its height in metres.
        :return: the number of rows from its foot to its top; NaN if either is not in front of the
            camera.
        """
        foot, top = self.pixels(np.array([[distance_m, 0, 0], [distance_m, 0, height_m]]))
        return float(foot[1] - top[1])
