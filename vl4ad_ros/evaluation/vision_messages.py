# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections and obstacles as messages without ROS 2; `node.messages` does the same with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.obstacles.box import Box
from vl4ad_ros.obstacles.pipeline import ANOMALY, Finding
from vl4ad_ros.obstacles.severity import SEVERITY_CLASS

DETECTIONS, OBSTACLES = 'vision_msgs/msg/Detection2DArray', 'vision_msgs/msg/Detection3DArray'
_NOWHERE = Box((0.0, 0.0, 0.0), (0.0, 1.0), (0.0, 0.0, 0.0), np.zeros(36))


def detections(header: Any, found: Iterable[Finding]) -> Any:
    """
    Return detections or alerts as a `Detection2DArray`.

    :param header: of the input, a `std_msgs/msg/Header` of rosbags; all entries carry it.
    :param found: the detections or alerts.
    """
    return typestore().types[DETECTIONS](header, [_detection(header, one) for one in found])


def obstacles(header: Any, found: Iterable[Finding]) -> Any:
    """
    Return obstacles with their places as a `Detection3DArray`.

    :param header: with the stamp of the input and the frame of the vehicle.
    :param found: the obstacles; those without a place are left out.
    """
    return typestore().types[OBSTACLES](header, [
        detection_3d(header, one.id, _scores(one) | _severity(one), Box.of(one.place))
        for one in found if one.place is not None])


def detection_3d(header: Any, number: str, scores: Mapping[str, float], box: Box) -> Any:
    """
    Return a `Detection3D`.

    :param header: with the frame in which the box is.
    :param number: its id.
    :param scores: the score of each class, 0 to 1, the most important class first.
    :param box: where it is.
    """
    types = typestore().types
    return types['vision_msgs/msg/Detection3D'](
        header, [_hypothesis(*pair, box) for pair in scores.items()],
        types['vision_msgs/msg/BoundingBox3D'](
            _pose(box), types['geometry_msgs/msg/Vector3'](*box.size)), number)


def box_of(detection: Any) -> Box:
    """
    Return the box of a `Detection3D`, without its covariance.

    :param detection: the message; only the turn of its box about the vertical is read.
    """
    pose, size = detection.bbox.center, detection.bbox.size
    return Box((pose.position.x, pose.position.y, pose.position.z),
               (pose.orientation.z, pose.orientation.w), (size.x, size.y, size.z), np.zeros(36))


def _detection(header: Any, found: Finding) -> Any:
    types = typestore().types
    x, y, width, height = map(float, found.region.box)
    centre = types['vision_msgs/msg/Pose2D'](
        types['vision_msgs/msg/Point2D'](x + width / 2, y + height / 2), 0.0)
    return types['vision_msgs/msg/Detection2D'](
        header, [_hypothesis(*pair, _NOWHERE) for pair in _scores(found).items()],
        types['vision_msgs/msg/BoundingBox2D'](centre, width, height), found.id)


def _scores(found: Finding) -> dict[str, float]:
    return {ANOMALY: found.region.score, **({found.name: found.mass} if found.name else {})}


def _severity(found: Finding) -> dict[str, float]:
    severity = found.severity
    return {SEVERITY_CLASS + severity.level: found.region.score} if severity else {}


def _hypothesis(name: str, score: float, box: Box) -> Any:
    types = typestore().types
    return types['vision_msgs/msg/ObjectHypothesisWithPose'](
        types['vision_msgs/msg/ObjectHypothesis'](name, float(score)),
        types['geometry_msgs/msg/PoseWithCovariance'](_pose(box), box.covariance))


def _pose(box: Box) -> Any:
    types = typestore().types
    return types['geometry_msgs/msg/Pose'](
        types['geometry_msgs/msg/Point'](*box.middle),
        types['geometry_msgs/msg/Quaternion'](0.0, 0.0, *box.turn))
