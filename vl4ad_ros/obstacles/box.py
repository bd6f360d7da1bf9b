# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The box of an obstacle in the frame of the vehicle, as `vision_msgs/Detection3D` holds it."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.obstacles.ground_view import Placement


@dataclass(frozen=True, eq=False)
class Box:
    """
    A box that stands on the ground.

    The box of a post 0.2 m wide and 1 m high, 10 m straight ahead, begins at 10 m.

    >>> box = Box.of(Placement(10.0, 0.0, (1.0, 0.0, 0.1), 0.0, 0.2, 1.0))
    >>> box.middle, box.size, box.distance_m
    ((10.1, 0.0, 0.5), (0.2, 0.2, 1.0), 10.0)

    :ivar middle: (x, y, z) in metres.
    :ivar turn: (z, w) of the quaternion that turns the box from x to the left.
    :ivar size: (length, width, height) in metres; the length is along its own x axis.
    :ivar covariance: (36,) float64, of x, y, z and three angles, row by row.
    """

    middle: tuple[float, float, float]
    turn: tuple[float, float]
    size: tuple[float, float, float]
    covariance: np.ndarray

    @staticmethod
    def of(place: Placement) -> Box:
        """
        Return the box of an obstacle.

        Its x axis points away from the camera. The camera does not see how deep the obstacle is,
        so the box is as deep as it is wide. The covariance is that of the foot. The direction of
        the obstacle is not known, so its variance is that of any direction.

        :param place: of the obstacle.
        """
        half = place.width_m / 2
        covariance = np.zeros((6, 6))
        xx, xy, yy = place.covariance
        covariance[:2, :2] = (xx, xy), (xy, yy)
        covariance[2, 2] = place.height_m ** 2 / 12
        covariance[5, 5] = math.pi ** 2 / 3
        return Box(
            (place.x_m + half * math.cos(place.bearing_rad),
             place.y_m + half * math.sin(place.bearing_rad), place.height_m / 2),
            (math.sin(place.bearing_rad / 2), math.cos(place.bearing_rad / 2)),
            (place.width_m, place.width_m, place.height_m), covariance.ravel())

    @property
    def distance_m(self) -> float:
        """
        Distance in metres from the origin to the obstacle.

        It is that of the middle of the nearer one of the two sides across the x axis of the box.
        For `of`, this is the foot.
        """
        (x, y, _), half = self.middle, self.size[0] / 2
        yaw = 2 * math.atan2(*self.turn)
        return min(math.hypot(x + step * math.cos(yaw), y + step * math.sin(yaw))
                   for step in (-half, half))
