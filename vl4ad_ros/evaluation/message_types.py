# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The message types of a bag, without ROS 2: the standard ones, and those used of other kinds."""

from __future__ import annotations

from functools import lru_cache

from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

_VISION = {
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose':
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose',
    'Detection2D': 'std_msgs/Header header\nObjectHypothesisWithPose[] results\n'
                   'BoundingBox2D bbox\nstring id',
    'Detection2DArray': 'std_msgs/Header header\nDetection2D[] detections',
    'BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'Detection3D': 'std_msgs/Header header\nObjectHypothesisWithPose[] results\n'
                   'BoundingBox3D bbox\nstring id',
    'Detection3DArray': 'std_msgs/Header header\nDetection3D[] detections',
}
_OTHER = {
    'tf2_msgs/msg/TFMessage': 'geometry_msgs/TransformStamped[] transforms',
    'foxglove_msgs/msg/CompressedVideo':
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format',
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket':
        'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
        'uint8 flags\nbool is_bigendian\nuint8[] data',
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """
    Return the types of ROS 2 Jazzy (those of Humble are the same), and those that it lacks.

    The latter are those of vision_msgs 4, of tf2_msgs, and of packets of videos.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in _VISION.items():
        store.register(get_types_from_msg(text, f'vision_msgs/msg/{name}'))
    for name, text in _OTHER.items():
        store.register(get_types_from_msg(text, name))
    return store
