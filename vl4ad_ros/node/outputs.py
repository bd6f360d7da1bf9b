# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics on which the results of one camera are published."""

from __future__ import annotations

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.node import messages, overlay, qos
from vl4ad_ros.node.publisher_group import PublisherGroup
from vl4ad_ros.obstacles.ground_points import GroundPoints
from vl4ad_ros.obstacles.labels import confidence_map, ground_mask, label_map
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings


class Outputs:
    """
    The publishers of the results for the images of one camera, from their creation to `close`.

    :param node: creates the publishers below its private name.
    :param camera: name of the camera: the topics are `~/<camera>/mask` and so on. '' stands for
        the only one: `~/mask` and so on.
    """

    def __init__(self, node: LifecycleNode, camera: str) -> None:
        """
        Create the publishers.

        :raises Exception: what rclpy raises, such as for an unusable `qos_overrides` parameter;
            no publisher is left behind.
        """
        self._ground_points = GroundPoints()
        self._group = group = PublisherGroup(node, f'~/{camera}/' if camera else '~/')
        self._mask = group.create(Image, 'mask', qos.image_result())
        self._score = group.create(Image, 'score', qos.image_result())
        self._overlay = group.create(Image, 'overlay', qos.image_result())
        self._labels = group.create(Image, 'labels', qos.image_result())
        self._confidence = group.create(Image, 'confidence', qos.image_result())
        self._points = group.create(PointCloud2, 'points', qos.image_result())
        self._detections = group.create(Detection2DArray, 'detections', qos.event())
        self._alerts = group.create(Detection2DArray, 'alerts', qos.event())

    def publish(self, header: Header, image: np.ndarray, prediction: Prediction, result: Result,
                settings: Settings) -> None:
        """
        Publish the results of one image; what is costly only if someone subscribes to it.

        :param header: of the image; every message carries it.
        :param image: (H, W, 3) uint8 RGB.
        :param prediction: of this image.
        :param result: of this image.
        :param settings: those with which the image was processed.
        """
        mask = prediction.mask(settings.threshold)
        self._mask.publish(messages.image(header, mask, 'mono8'))
        self._detections.publish(messages.detections(header, result.detections))
        # An empty message would say that there is no obstacle, which may not be known yet.
        if result.alerts is not None:
            self._alerts.publish(messages.detections(header, result.alerts))
        if self._labels.get_subscription_count():
            self._labels.publish(messages.image(header, label_map(
                prediction, settings.threshold, settings.alert_name_floor), 'mono8'))
        if self._confidence.get_subscription_count():
            self._confidence.publish(messages.image(
                header, confidence_map(prediction, settings.threshold), 'mono8'))
        if result.view is not None and self._points.get_subscription_count():
            self._points.publish(messages.points(
                messages.in_frame(header, settings.ground_frame_id), self._ground_points.of(
                    result.view,
                    ground_mask(prediction, settings.threshold, settings.ground_classes))))
        if self._score.get_subscription_count():
            self._score.publish(messages.image(header, prediction.score, '32FC1'))
        if self._overlay.get_subscription_count():
            self._overlay.publish(messages.image(header, overlay.draw(
                image, mask, settings.output_overlay_alpha, result.alerts or ()), 'rgb8'))

    def close(self) -> None:
        """Destroy the publishers; may be called twice."""
        self._group.close()
