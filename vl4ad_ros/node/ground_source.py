# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground and the motion at each image: from CameraInfo, the pose of the camera, odometry."""

from __future__ import annotations

import time

from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from vl4ad_ros.node import qos
from vl4ad_ros.node.tf_pose import open_tf, TfPose
from vl4ad_ros.obstacles.ground_view import GroundView
from vl4ad_ros.obstacles.motion import Motion, MotionLog
from vl4ad_ros.obstacles.mounting import Mounting, NoGround, PoseSource, UnknownPose

_START_S = 3.0
"""Seconds after activation in which a missing CameraInfo is not worth a log line."""
_NO_TF = UnknownPose('TF is listened to only if camera.height_m is 0 when the node is activated; '
                     'deactivate and activate it')


class GroundSource:
    """
    Takes CameraInfo, odometry and, if parameters do not give the pose of the camera, TF.

    The executor's thread stores what comes; the worker asks for the view of each frame.

    :ivar topic: on which CameraInfo is expected.
    :ivar unknown: why the last frame had no view, as a sentence; ``''`` if it had one.
    """

    def __init__(self, node: LifecycleNode, image_topic: str, mounting: Mounting) -> None:
        """
        Subscribe.

        :param node: creates the subscriptions, and gives the log.
        :param image_topic: the full name of the topic of the uncompressed images.
        :param mounting: decides whether TF is needed.
        """
        self._node = node
        self.topic = _info_topic(node, image_topic)
        self.unknown = ''
        self._info: CameraInfo | None = None
        self._said: set[str] = set()
        self._began = time.monotonic()
        self._motions = MotionLog()
        self._subscriptions = [
            node.create_subscription(kind, topic, take, profile,
                                     qos_overriding_options=qos.overridable())
            for kind, topic, take, profile in (
                (CameraInfo, self.topic, self._take, qos.newest_image()),
                (Odometry, 'odometry', self._motions.add, qos.stream()))]
        self._source: PoseSource = _NO_TF if mounting.fixed else open_tf(
            node, node.get_parameter('ground.frame_id').value)

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
                               'camera_info:=<its topic>')
            view = mounting.view(self._info, image_size, self._source, header.frame_id, stamp_ns)
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
        return self._motions.at(stamp_ns)

    def close(self) -> None:
        """Unsubscribe; may be called once."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if isinstance(self._source, TfPose):
            self._source.close()

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
                f'no positions in metres, so ~/obstacles is not published: {reason}')


def _info_topic(node: LifecycleNode, image_topic: str) -> str:
    """Return the remapped topic `camera_info`, else the one beside the image topic."""
    resolved: str = node.resolve_topic_name('camera_info')
    if resolved != node.get_namespace().rstrip('/') + '/camera_info':
        return resolved
    return image_topic.rpartition('/')[0] + '/camera_info'
