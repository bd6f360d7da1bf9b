# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all cameras of a vehicle share: its odometry, and the poses of the cameras in TF."""

from __future__ import annotations

from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode

from vl4ad_ros.node import qos
from vl4ad_ros.node.tf_pose import open_tf, TfPose
from vl4ad_ros.obstacles.motion import Motion, MotionLog
from vl4ad_ros.obstacles.mounting import PoseSource, UnknownPose

_NO_TF = UnknownPose('TF is listened to only if camera.height_m is 0 when the node is activated; '
                     'deactivate and activate it')


class VehicleSource:
    """
    Takes odometry and, if parameters do not give the pose of every camera, TF.

    The executor's thread stores what comes; the worker asks at each frame.

    :ivar poses: knows the poses of the cameras.
    """

    def __init__(self, node: LifecycleNode, frame_id: str, needs_tf: bool) -> None:
        """
        Subscribe.

        :param node: creates the subscriptions.
        :param frame_id: the frame of the vehicle, whose plane z = 0 is the ground.
        :param needs_tf: whether the pose of a camera is to come from TF.
        """
        self._node = node
        self._motions = MotionLog()
        self._subscription = node.create_subscription(
            Odometry, 'odometry', self._motions.add, qos.stream(),
            qos_overriding_options=qos.overridable())
        self.poses: PoseSource = open_tf(node, frame_id) if needs_tf else _NO_TF

    def motion(self, stamp_ns: int) -> Motion | None:
        """
        Return the motion of the vehicle at an image; None without odometry.

        :param stamp_ns: stamp of the image, in ns.
        """
        return self._motions.at(stamp_ns)

    def close(self) -> None:
        """Unsubscribe; may be called once."""
        self._node.destroy_subscription(self._subscription)
        if isinstance(self.poses, TfPose):
            self.poses.close()
