# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bag says about its camera and about the way of the vehicle."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from vl4ad_ros.composing.camera_guess import Calibration
from vl4ad_ros.composing.route import Route
from vl4ad_ros.evaluation import CameraBag

CAMERA_INFO, ODOMETRY = 'sensor_msgs/msg/CameraInfo', 'nav_msgs/msg/Odometry'
SPEED = 14.0
"""Speed in metres per second where nothing is known: 50 km/h."""
_GAP_S = 1.0  # that odometry may begin after the first image, or end before the last


def read_calibration(bag: CameraBag) -> Calibration | None:
    """
    Return what the first CameraInfo message of the camera says.

    The messages are on the topic `camera_info` beside the image topic, as image_transport expects
    it. A camera that is not calibrated publishes zeros.

    :param bag: the recording.
    :returns: the calibration; None if there is no such message, or if it is not calibrated.
    :raises BagError: if the bag is damaged.
    """
    base = bag.topic.removesuffix('/compressed')
    wanted = f"{base.rpartition('/')[0]}/camera_info"
    for topic, _, message in bag.messages_of(CAMERA_INFO):
        if topic != wanted:
            continue
        fx, fy, cx, cy = (float(message.k[place]) for place in (0, 4, 2, 5))
        if not (fx > 0 and fy > 0):
            return None
        return Calibration((int(message.height), int(message.width)), (fx, fy), (cx, cy),
                           bool(np.any(message.d)))
    return None


def choose_route(bag: CameraBag, times_ns: Sequence[int],
                 speed: float | None = None) -> tuple[Route, str]:
    """
    Choose the way of the camera, and say why.

    :param bag: the recording.
    :param times_ns: header stamp of each frame, nanoseconds since the epoch.
    :param speed: in metres per second, as the user gave it; None for odometry or a guess.
    :returns: the way, and a sentence on it.
    :raises BagError: if the bag is damaged.
    """
    times = (np.asarray(times_ns) - times_ns[0]) / 1e9
    if speed is None:
        found = _odometry(bag, times_ns[0])
        if found is not None:
            topic, known_s, poses = found
            if known_s[0] <= times[0] + _GAP_S and known_s[-1] >= times[-1] - _GAP_S:
                route = Route.through(times, known_s, poses)
                return route, f'way of {route.length_m:.0f} m (odometry on {topic})'
            why = f'a guess: the odometry on {topic} does not cover the images; give --speed'
        else:
            why = 'a guess; give --speed'
        speed = SPEED
    else:
        why = 'given'
    return Route.at_speed(times, speed), f'straight ahead at {speed:.1f} m/s ({why})'


def _odometry(bag: CameraBag, start_ns: int) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Return topic, times in seconds since `start_ns` and poses of the first odometry topic."""
    first, times, poses = '', [], []
    for topic, _, message in bag.messages_of(ODOMETRY):
        first = first or topic
        if topic != first:
            break
        stamp = message.header.stamp
        times.append((stamp.sec * 10**9 + stamp.nanosec - start_ns) / 1e9)
        place, q = message.pose.pose.position, message.pose.pose.orientation
        poses.append((place.x, place.y, math.atan2(2 * (q.w * q.z + q.x * q.y),
                                                   1 - 2 * (q.y ** 2 + q.z ** 2))))
    if not times:
        return None
    order = np.argsort(times, kind='stable')
    return first, np.array(times)[order], np.array(poses, float)[order]
