# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads the alerts of a frame from the messages of the node, with their places and severities.

The messages may come from rclpy or from a bag: only their fields are used.
"""

from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.severity import LEVELS, Severity


def alerts_of(alerts: Any, obstacles: Any | None = None, markers: Any | None = None
              ) -> tuple[Alert, ...]:
    """
    Return the alerts of a frame.

    :param alerts: what the node published on ``~/alerts``.
    :param obstacles: what it published about the same frame on ``~/obstacles``; None for nothing,
        and then no alert has a place.
    :param markers: the same for ``~/markers``, whose namespaces are the severities; None for
        nothing, and then no alert has a severity.
    :returns: the alerts, in the order of the message. Their severities have no time to collision,
        and their places do not say what the border of the image cuts off.
    """
    placed = obstacles.detections if obstacles is not None else ()
    places = {one.id: _place(one) for one in placed}
    boxes = [one for one in (markers.markers if markers is not None else ())
             if one.ns in LEVELS and one.type == one.CUBE]
    # The node makes one box for each obstacle, in their order.
    levels = {one.id: Severity(box.ns) for one, box in zip(placed, boxes)}
    return tuple(replace(_alert(one), place=places.get(one.id), severity=levels.get(one.id))
                 for one in alerts.detections)


def _alert(detection: Any) -> Alert:
    """Return an alert: results[0] is 'anomaly', and results[1] the class if it has one."""
    box, centre = detection.bbox, detection.bbox.center.position
    anomaly, *named = (result.hypothesis for result in detection.results)
    name, mass = (named[0].class_id, named[0].score) if named else ('', 0.0)
    return Alert(detection.id, anomaly.score, (
        centre.x - box.size_x / 2, centre.y - box.size_y / 2, box.size_x, box.size_y), name, mass)


def _place(obstacle: Any) -> Placement:
    """Return the place from which `node.messages.obstacles` made an obstacle."""
    size, pose = obstacle.bbox.size, obstacle.bbox.center
    bearing = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
    covariance = obstacle.results[0].pose.covariance
    return Placement(
        pose.position.x - size.x / 2 * math.cos(bearing),
        pose.position.y - size.x / 2 * math.sin(bearing),
        (float(covariance[0]), float(covariance[1]), float(covariance[7])), bearing, size.x,
        size.z)
