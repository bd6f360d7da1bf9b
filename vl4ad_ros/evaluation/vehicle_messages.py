# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Messages, without ROS 2, that say where a camera, a vehicle and the things before it truly are.

Drawn and composed recordings have them. Frames are named as REP 105 names them: the vehicle is
`base_link`, whose plane z = 0 is the ground here, and moves in `odom`.
"""

from __future__ import annotations

from collections.abc import Iterable
import math
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.recorded_pose import TF, TF_STATIC_TOPIC
from vl4ad_ros.evaluation.true_places import TRUE_PLACES_TOPIC, TruePlace
from vl4ad_ros.evaluation.vision_messages import detection_3d, OBSTACLES
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.transforms import Transform

VEHICLE, WORLD = 'base_link', 'odom'
ODOMETRY = 'nav_msgs/msg/Odometry'
ODOMETRY_TOPIC = '/odom'
KINDS = {TF_STATIC_TOPIC: TF, ODOMETRY_TOPIC: ODOMETRY, TRUE_PLACES_TOPIC: OBSTACLES}
"""Type of each of these topics."""


def optical_frame(height_m: float, pitch_rad: float = 0.0) -> Transform:
    """
    Return where the optical frame (REP 103) of a camera is that looks forward from the vehicle.

    :param height_m: of the camera, which is above the origin of the vehicle, in metres.
    :param pitch_rad: angle by which it looks down.
    """
    down = Transform((0.0, math.sin(pitch_rad / 2), 0.0, math.cos(pitch_rad / 2)),
                     (0.0, 0.0, height_m))
    return down @ Transform((-0.5, 0.5, -0.5, 0.5))


def camera_transform(header: Any, camera: Transform) -> Any:
    """
    Return the `TFMessage` with the place of a camera on its vehicle.

    :param header: of an image; its `frame_id` is the frame of the camera.
    :param camera: where the camera is on the vehicle.
    """
    types = typestore().types
    transform = types['geometry_msgs/msg/Transform'](
        types['geometry_msgs/msg/Vector3'](*camera.translation),
        types['geometry_msgs/msg/Quaternion'](*camera.rotation))
    return types[TF]([types['geometry_msgs/msg/TransformStamped'](
        _in_frame(header, VEHICLE), header.frame_id, transform)])


def odometry(header: Any, motion: Motion, speed_left_mps: float = 0.0) -> Any:
    """
    Return an `Odometry` with zeros for its covariances, because it is exact.

    :param header: of an image, at whose stamp the motion is meant.
    :param motion: of the vehicle; its stamp does not matter.
    :param speed_left_mps: speed to the left, in m/s.
    """
    types, zero = typestore().types, np.zeros(36)
    turn = types['geometry_msgs/msg/Quaternion'](
        0.0, 0.0, math.sin(motion.yaw_rad / 2), math.cos(motion.yaw_rad / 2))
    pose = types['geometry_msgs/msg/Pose'](
        types['geometry_msgs/msg/Point'](motion.x_m, motion.y_m, 0.0), turn)
    vector = types['geometry_msgs/msg/Vector3']
    twist = types['geometry_msgs/msg/Twist'](
        vector(motion.speed_mps, speed_left_mps, 0.0), vector(0.0, 0.0, motion.turn_rate_rps))
    return types[ODOMETRY](
        _in_frame(header, WORLD), VEHICLE,
        types['geometry_msgs/msg/PoseWithCovariance'](pose, zero),
        types['geometry_msgs/msg/TwistWithCovariance'](twist, zero))


def true_places(header: Any, places: Iterable[TruePlace]) -> Any:
    """
    Return the `Detection3DArray` with the things before the vehicle.

    :param header: of an image.
    :param places: where they are at its stamp.
    """
    there = _in_frame(header, VEHICLE)
    return typestore().types[OBSTACLES](there, [
        detection_3d(there, str(place.number), {place.kind: 1.0}, place.box) for place in places])


def _in_frame(header: Any, frame_id: str) -> Any:
    return typestore().types['std_msgs/msg/Header'](header.stamp, frame_id)
