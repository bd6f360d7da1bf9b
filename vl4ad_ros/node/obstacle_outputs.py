# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics on which the obstacles of all cameras are published, in metres."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from vl4ad_ros.node import messages, qos
from vl4ad_ros.node.autoware import detected_objects_format
from vl4ad_ros.node.publisher_group import PublisherGroup
from vl4ad_ros.obstacles.contact_points import contact_points
from vl4ad_ros.obstacles.merging import Merger
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings


class ObstacleOutputs:
    """
    Publishes `~/obstacles`, and the same in other forms, from their creation to `close`.

    :param node: creates the publishers.
    :param cameras: names of the cameras. What several of them see is merged.
    """

    def __init__(self, node: LifecycleNode, cameras: tuple[str, ...]) -> None:
        """
        Create the publishers.

        :raises Exception: what rclpy raises, such as for an unusable `qos_overrides` parameter;
            no publisher is left behind.
        """
        self._cameras = cameras
        self._autoware = detected_objects_format()
        self.forget()
        self._group = group = PublisherGroup(node, '~/')
        self._obstacles = group.create(Detection3DArray, 'obstacles', qos.event())
        self._markers = group.create(MarkerArray, 'markers', qos.event())
        self._points = group.create(PointCloud2, 'obstacle_points', qos.image_result())
        if self._autoware:
            self._objects = group.create(self._autoware.type, 'objects', qos.event())
            node.get_logger().info(self._autoware.about)

    def forget(self) -> None:
        """Forget what the cameras saw, as when images are taken anew."""
        self._merger = Merger(self._cameras) if len(self._cameras) > 1 else None

    def publish(self, camera: str, header: Header, result: Result, motion: Motion | None,
                received_ns: int, settings: Settings) -> None:
        """
        Publish the obstacles that are known with one image.

        :param camera: name of its camera.
        :param header: of the image.
        :param result: of the image.
        :param motion: of the vehicle at the image; None if it is not known.
        :param received_ns: the node's clock when the image arrived, in ns.
        :param settings: those with which the image was processed.
        """
        in_metres = messages.in_frame(header, settings.ground_frame_id)
        if self._merger is None:
            found = result.obstacles
            if found is None:
                return
            message = messages.obstacles(in_metres, found)
        else:
            merged = self._merger.update(camera, received_ns, result, motion,
                                         settings.alert_max_gap_s)
            if merged is None or result.moment.unusable:  # such a stamp would date other cameras
                return
            found = tuple(obstacle.finding for obstacle in merged)
            message = messages.merged_obstacles(in_metres, merged)
        self._obstacles.publish(message)
        if self._markers.get_subscription_count():
            self._markers.publish(messages.markers(in_metres, found))
        if self._points.get_subscription_count():
            array = contact_points(one.place for one in found if one.place is not None)
            self._points.publish(messages.points(in_metres, array[None]))
        if self._autoware and self._objects.get_subscription_count():
            self._objects.publish(self._autoware.write(in_metres, found))

    def close(self) -> None:
        """Destroy the publishers; may be called twice."""
        self._group.close()
