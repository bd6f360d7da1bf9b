# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The way of the camera over flat ground, and points beside it that the camera approaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.obstacles.motion import Motion


@dataclass(frozen=True, eq=False)
class Route:
    """
    Where the camera is in each frame.

    :ivar poses: (N, 3) float64 for N frames, at least one: x and y in metres, and the heading in
        radians, counted from x towards y. The frame of reference does not move.
    """

    poses: np.ndarray

    @staticmethod
    def at_speed(times_s: np.ndarray, speed: float) -> Route:
        """
        Return the way straight ahead at a constant speed.

        :param times_s: (N,) time of each frame in seconds.
        :param speed: in metres per second.
        """
        x = (times_s - times_s[0]) * speed
        return Route(np.stack([x, 0 * x, 0 * x], axis=1))

    @staticmethod
    def through(times_s: np.ndarray, known_s: np.ndarray, known: np.ndarray) -> Route:
        """
        Return the way through poses that are known at other times than those of the frames.

        Between two of them the pose is interpolated linearly. Before the first and after the last
        of them it stays.

        :param times_s: (N,) time of each frame in seconds.
        :param known_s: (M,) times of the known poses in seconds, rising.
        :param known: (M, 3) the poses, as of the class; at least one.
        """
        headings = np.unwrap(known[:, 2])
        return Route(np.stack([np.interp(times_s, known_s, values)
                               for values in (known[:, 0], known[:, 1], headings)], axis=1))

    @property
    def way_m(self) -> np.ndarray:
        """The length of the way from the first frame to each frame: (N,) float64, metres."""
        steps = np.linalg.norm(np.diff(self.poses[:, :2], axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_m(self) -> float:
        """The length of the way in metres."""
        return float(self.way_m[-1])

    def motions(self, times_ns: Sequence[int]) -> list[tuple[Motion, float]]:
        """
        Return how the camera moves in each frame.

        :param times_ns: of each frame, nanoseconds since the epoch.
        :returns: the motion, and the speed to the left in m/s; the speeds are those between the
            frames before and after.
        """
        seconds = np.array([(time_ns - times_ns[0]) / 1e9 for time_ns in times_ns])
        # Frames with the same stamp say nothing about speed.
        later = np.maximum(np.gradient(seconds), 1e-9) if len(seconds) > 1 else np.ones(1)
        dx, dy, turn = (np.gradient(values) / later if len(values) > 1 else np.zeros(1)
                        for values in self.poses.T)
        cos, sin = np.cos(self.poses[:, 2]), np.sin(self.poses[:, 2])
        return [(Motion(time_ns, float(ahead), float(rate), *map(float, pose)), float(left))
                for time_ns, ahead, left, rate, pose in zip(
                    times_ns, dx * cos + dy * sin, dy * cos - dx * sin, turn, self.poses)]

    def beside(self, along_m: float, left_m: float) -> tuple[float, float]:
        """
        Return a point of the ground beside the way.

        :param along_m: how far along the way from the first frame, in metres. Beyond its end, the
            way goes straight on.
        :param left_m: how far to the left of the way, in metres.
        :returns: x and y in metres.
        """
        way = self.way_m
        x, y, heading = (float(np.interp(along_m, way, self.poses[:, k])) for k in range(3))
        beyond = max(0.0, along_m - way[-1])
        return (x + beyond * math.cos(heading) - left_m * math.sin(heading),
                y + beyond * math.sin(heading) + left_m * math.cos(heading))

    def seen_from(self, index: int, point: tuple[float, float]) -> tuple[float, float]:
        """
        Return where a point lies for the camera.

        :param index: of the frame.
        :param point: x and y in metres.
        :returns: metres ahead of the camera and to its left.
        """
        x, y, heading = self.poses[index]
        dx, dy = point[0] - x, point[1] - y
        cos, sin = math.cos(heading), math.sin(heading)
        return float(dx * cos + dy * sin), float(dy * cos - dx * sin)
