# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where the car of a drive is, and where the things before it are, by the projection of the drawing.

The car is the point of the road below the camera: x forward, y to the left (REP 103). A thing at
depth z is drawn `Camera.lateral` to the right of the optical axis, so this is where it stands. The
nodding of the camera is not part of it: a static transform does not know it either.

The drawing bends the road ahead by the curvature at the car. Seen from `odom`, a thing therefore
moves sideways while the curvature changes.
"""

from __future__ import annotations

import numpy as np

from vl4ad_ros.evaluation.true_places import TruePlace
from vl4ad_ros.obstacles.box import Box
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.drive import Drive
from vl4ad_workshop.scenes.halt import Halt
from vl4ad_workshop.scenes.items import NEAREST

_STEP_S = 0.01


class Way:
    """The way of the car in each frame of a drive; it begins at (0, 0) in the direction of x."""

    def __init__(self, drive: Drive | Halt) -> None:
        """Follow the road."""
        self._drive = drive
        per_frame = max(1, round(1 / drive.rate_hz / _STEP_S))
        count = per_frame * (len(drive) - 1) + 1
        seconds = np.arange(count) / drive.rate_hz / per_frame
        s, t, bend = np.array([(c.s, c.t, c.bend) for c in map(drive.ego, seconds)]).T
        ahead, right = np.diff(s), np.diff(t)
        yaw = np.concatenate([[0.0], np.cumsum(-(bend[1:] + bend[:-1]) / 2 * ahead)])
        middle = (yaw[1:] + yaw[:-1]) / 2
        x = np.cumsum(ahead * np.cos(middle) + right * np.sin(middle))
        y = np.cumsum(ahead * np.sin(middle) - right * np.cos(middle))
        self._poses = np.column_stack([np.concatenate([[0.0], x]), np.concatenate([[0.0], y]),
                                       yaw])[::per_frame]

    def camera(self, index: int) -> Camera:
        """Return the camera in the frame of this index, as if it did not nod."""
        return self._drive.ego(index / self._drive.rate_hz)

    def motion(self, index: int) -> tuple[Motion, float]:
        """Return how the car moves in the frame of this index, and its speed to the left, m/s."""
        seconds = index / self._drive.rate_hz
        before, after = (self._drive.ego(seconds + step) for step in (-_STEP_S / 2, _STEP_S / 2))
        ahead, left = (after.s - before.s) / _STEP_S, (before.t - after.t) / _STEP_S
        x, y, yaw = map(float, self._poses[index])
        return Motion(round(seconds * 1e9), ahead, -self.camera(index).bend * ahead, x, y,
                      yaw), left

    def things(self, index: int) -> list[TruePlace]:
        """Return the anomalies that are before the camera in the frame of this index."""
        camera = self.camera(index)
        return [TruePlace(thing.number, thing.kind, _box(thing.size_m, z, -float(
            camera.lateral(thing.t, z)))) for thing in self._drive.anomalies
            if thing.is_drawn(index / self._drive.rate_hz)
            and (z := thing.s - camera.s) + thing.size_m[0] > NEAREST]


def _box(size: tuple[float, float, float], ahead: float, left: float) -> Box:
    return Box((ahead + size[0] / 2, left, size[2] / 2), (0.0, 1.0), size, np.zeros(36))
