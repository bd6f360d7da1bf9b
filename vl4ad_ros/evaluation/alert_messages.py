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
from vl4ad_ros.obstacles.merging import CAMERA_CLASS
from vl4ad_ros.obstacles.severity import Severity, SEVERITY_CLASS


def alerts_of(alerts: Any, obstacles: Any | None = None, camera: str = ''
              ) -> tuple[Alert, ...]:
    """
    Return the alerts of a frame.

    :param alerts: what the node published on ``~/alerts``.
    :param obstacles: what it published about the same frame on ``~/obstacles``; None for nothing,
        and then no alert has a place and a severity.
    :param camera: name of the camera among several; '' for the only one.
    :returns: the alerts, in the order of the message. Their severities have no time to collision,
        and their places do not say what the border of the image cuts off.
    """
    placed = {known: one for one in (obstacles.detections if obstacles is not None else ())
              for known in (_known_to(camera, one) if camera else [one.id])}
    return tuple(_placed(_alert(one), placed.get(one.id)) for one in alerts.detections)


def _known_to(camera: str, obstacle: Any) -> list[str]:
    """Return the ids of the alerts by which a camera knows an obstacle, one at most."""
    prefix = f'{CAMERA_CLASS}{camera}/'
    return [name.removeprefix(prefix) for result in obstacle.results
            for name in [result.hypothesis.class_id] if name.startswith(prefix)]


def _placed(alert: Alert, obstacle: Any | None) -> Alert:
    """Return an alert with what its obstacle says."""
    if obstacle is None:
        return alert
    levels = [name.removeprefix(SEVERITY_CLASS) for result in obstacle.results
              for name in [result.hypothesis.class_id] if name.startswith(SEVERITY_CLASS)]
    return replace(alert, place=_place(obstacle),
                   severity=Severity(levels[0]) if levels else None)


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
