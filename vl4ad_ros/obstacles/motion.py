# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the vehicle moves at the time of a frame, from odometry."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
import math
from typing import Any

MAX_AGE_S = 0.5
"""Odometry that is older than this, compared with a frame, says nothing about the frame."""
_KEPT = 2000
"""How many messages are kept: 10 s at 200 Hz."""
_DRIFT = 0.3
"""How far poses may disagree with speeds, as a fraction of the way or of the turn."""
_DRIFT_M, _DRIFT_RAD = 0.1, 0.02
"""How far they may disagree in addition, in metres and in radians."""


@dataclass(frozen=True)
class Shift:
    """
    How a vehicle moved from one moment to another, in its frame at the first of them.

    :ivar forward_m: how far it went forward, in metres.
    :ivar left_m: how far it went to the left, in metres.
    :ivar turn_rad: by which angle it turned to the left, in radians.
    """

    forward_m: float = 0.0
    left_m: float = 0.0
    turn_rad: float = 0.0


@dataclass(frozen=True)
class Motion:
    """
    The motion of the vehicle at one moment, and its pose in the frame of odometry.

    :ivar stamp_ns: the moment, in ns.
    :ivar speed_mps: speed forward in m/s; negative if the vehicle drives backwards.
    :ivar turn_rate_rps: rate at which it turns to the left, in rad/s.
    :ivar x_m: position in the frame of odometry, in metres.
    :ivar y_m: position in the frame of odometry, in metres.
    :ivar yaw_rad: direction in which it looks, in radians from x to y of this frame.
    """

    stamp_ns: int
    speed_mps: float
    turn_rate_rps: float = 0.0
    x_m: float = 0.0
    y_m: float = 0.0
    yaw_rad: float = 0.0

    @staticmethod
    def of(message: Any) -> Motion | None:
        """
        Return the motion that a message says; None if it has a number that is not finite.

        :param message: has the fields of `nav_msgs/msg/Odometry`. Its `child_frame_id` must be a
            frame of the vehicle with x forward.
        """
        stamp, place = message.header.stamp, message.pose.pose.position
        turn, twist = message.pose.pose.orientation, message.twist.twist
        yaw = math.atan2(2 * (turn.w * turn.z + turn.x * turn.y),
                         1 - 2 * (turn.y ** 2 + turn.z ** 2))
        numbers = (float(twist.linear.x), float(twist.angular.z), float(place.x), float(place.y),
                   yaw)
        if not all(map(math.isfinite, numbers)):
            return None
        return Motion(10 ** 9 * stamp.sec + stamp.nanosec, *numbers)

    def later(self, stamp_ns: int) -> Motion:
        """
        Return the motion at a later moment, if the vehicle keeps its speed and its turn rate.

        :param stamp_ns: the moment, in ns.
        """
        seconds = (stamp_ns - self.stamp_ns) / 1e9
        yaw = self.yaw_rad + self.turn_rate_rps * seconds
        way, middle = self.speed_mps * seconds, (self.yaw_rad + yaw) / 2
        return replace(self, stamp_ns=stamp_ns, x_m=self.x_m + way * math.cos(middle),
                       y_m=self.y_m + way * math.sin(middle), yaw_rad=yaw)

    def shift_to(self, second: Motion, seconds: float) -> Shift:
        """
        Return how the vehicle moved from this moment to another one.

        The poses of odometry say it if they agree with its speeds. Otherwise the mean of the
        speeds says it, so odometry that jumps, that is reset, or that has no poses does no harm.

        :param second: the motion at the other moment.
        :param seconds: time between the moments. It is not taken from the stamps, because those of
            a camera may be wrong.
        """
        way = (self.speed_mps + second.speed_mps) / 2 * seconds
        turn = (self.turn_rate_rps + second.turn_rate_rps) / 2 * seconds
        by_speed = Shift(way * math.cos(turn / 2), way * math.sin(turn / 2), turn)
        x, y = second.x_m - self.x_m, second.y_m - self.y_m
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        by_pose = Shift(x * cos + y * sin, y * cos - x * sin,
                        math.remainder(second.yaw_rad - self.yaw_rad, math.tau))
        agree = (
            math.hypot(by_pose.forward_m - by_speed.forward_m, by_pose.left_m - by_speed.left_m)
            <= _DRIFT_M + _DRIFT * abs(way)
            and abs(by_pose.turn_rad - turn) <= _DRIFT_RAD + _DRIFT * abs(turn))
        return by_pose if agree else by_speed


class MotionLog:
    """
    The newest odometry, to be asked for the motion at the stamp of a frame.

    Only messages up to the stamp count, so the answer does not depend on how many later ones have
    arrived. One thread may call `add` while another one calls `at`.
    """

    def __init__(self) -> None:
        """Start without odometry."""
        self._motions: deque[Motion] = deque(maxlen=_KEPT)

    def add(self, message: Any) -> None:
        """
        Keep a message.

        :param message: see `Motion.of`.
        """
        motion = Motion.of(message)
        if motion is not None:
            self._motions.append(motion)

    def at(self, stamp_ns: int) -> Motion | None:
        """
        Return the motion at the stamp of a frame; None without odometry of the last `MAX_AGE_S`.

        :param stamp_ns: of the frame, in ns.
        """
        oldest_ns = stamp_ns - int(MAX_AGE_S * 1e9)
        known = [m for m in self._motions.copy() if oldest_ns <= m.stamp_ns <= stamp_ns]
        return max(known, key=lambda m: m.stamp_ns).later(stamp_ns) if known else None
