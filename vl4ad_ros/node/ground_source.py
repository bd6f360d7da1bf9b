# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground at each image of a camera: from CameraInfo and the pose of the camera."""

from __future__ import annotations

import time

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from vl4ad_ros.node import qos
from vl4ad_ros.node.vehicle_source import VehicleSource
from vl4ad_ros.obstacles.ground_view import GroundView
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.mounting import Mounting, NoGround

_START_S = 3.0
"""Seconds after activation in which a missing CameraInfo is not worth a log line."""


class GroundSource:
    """
    Takes the CameraInfo of one camera, and asks the vehicle for the rest.

    The executor's thread stores what comes; the worker asks for the view of each frame.

    :ivar topic: on which CameraInfo is expected.
    :ivar unknown: why the last frame had no view, as a sentence; ``''`` if it had one.
    """

    def __init__(self, node: LifecycleNode, camera: str, image_topic: str,
                 vehicle: VehicleSource) -> None:
        """
        Subscribe.

        :param node: creates the subscription, and gives the log.
        :param camera: name of the camera; '' for the only one.
        :param image_topic: the full name of the topic of the uncompressed images.
        :param vehicle: gives the pose of the camera if parameters do not, and the motion.
        """
        self._node = node
        self._image_topic = image_topic
        self._vehicle = vehicle
        self.topic, self._remap = _info_topic(node, camera, image_topic)
        self.unknown = ''
        self._info: CameraInfo | None = None
        self._said: set[str] = set()
        self._began = time.monotonic()
        self._subscription = node.create_subscription(
            CameraInfo, self.topic, self._take, qos.newest_image(),
            qos_overriding_options=qos.overridable())

    def view(self, header: Header, stamp_ns: int, image_size: tuple[int, int],
             mounting: Mounting) -> GroundView | None:
        """
        Return the ground as an image shows it; None if it is not known, which is logged once.

        :param header: of the image.
        :param stamp_ns: its stamp, in ns.
        :param image_size: (rows, columns) of the image.
        :param mounting: what parameters say about the camera and the ground.
        """
        try:
            if self._info is None:
                raise NoGround(f'no CameraInfo has come on {self.topic}; remap '
                               f'{self._remap}:=<its topic>')
            view = mounting.view(self._info, image_size, self._vehicle.poses, header.frame_id,
                                 stamp_ns)
        except NoGround as error:
            self.unknown = str(error)
            self._say(self.unknown)
            return None
        self.unknown = ''
        return view

    def motion(self, stamp_ns: int) -> Motion | None:
        """
        Return the motion of the vehicle at an image; None without odometry.

        :param stamp_ns: stamp of the image, in ns.
        """
        return self._vehicle.motion(stamp_ns)

    def close(self) -> None:
        """Unsubscribe; may be called once."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, info: CameraInfo) -> None:
        self._info = info

    def _say(self, reason: str) -> None:
        if self._info is None and time.monotonic() - self._began < _START_S:
            return
        # Numbers in the sentence may change from frame to frame.
        kind = ''.join(letter for letter in reason if not letter.isdigit())
        if kind not in self._said:
            self._said.add(kind)
            self._node.get_logger().info(
                f'no positions in metres from {self._image_topic}, so ~/obstacles lacks them: '
                f'{reason}')


def _info_topic(node: LifecycleNode, camera: str, image_topic: str) -> tuple[str, str]:
    """
    Return the topic of CameraInfo and the name by which it is remapped.

    It is the remapped topic `camera_info`, else the one beside the image topic.
    """
    name = f'{camera}/camera_info' if camera else 'camera_info'
    resolved: str = node.resolve_topic_name(name)
    if resolved != f'{node.get_namespace().rstrip("/")}/{name}':
        return resolved, name
    return image_topic.rpartition('/')[0] + '/camera_info', name
