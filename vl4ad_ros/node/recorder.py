# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps everything that the detector publishes, with the time at which it arrived."""

from __future__ import annotations

from collections.abc import Callable
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.evaluation.bag_reader import stamp_of
from vl4ad_ros.evaluation.spool import Spool

TYPES = {'mask': Image, 'score': Image, 'alerts': Detection2DArray,
         'detections': Detection2DArray}


class Recorder:
    """
    Subscribes to the detector's outputs and spools them undecoded.

    :ivar topics: what it subscribed to.
    :ivar facts: the latest key-value pairs that the detector reported in /diagnostics.
    """

    def __init__(self, node: Node, namespace: str, spool: Spool, with_score: bool,
                 on_alerts: Callable[[int, int, tuple[Alert, ...]], None]) -> None:
        """
        Start listening; the executor of `node` does the rest.

        :param namespace: the detector's full name, such as ``/vl4ad_detector``.
        :param with_score: also take the score maps: the detector computes them only then.
        :param on_alerts: called with each alerts message's header stamp (ns), arrival (ns since
            the epoch) and alerts.
        """
        self._spool, self._on_alerts = spool, on_alerts
        self._name = namespace.strip('/')
        self.facts: dict[str, str] = {}
        names = [n for n in TYPES if with_score or n != 'score']
        self.topics = [f'{namespace}/{n}' for n in names]
        for name, topic in zip(names, self.topics):
            node.create_subscription(TYPES[name], topic, self._keeper(name, topic),
                                     QoSProfile(depth=10), raw=True)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose,
                                 QoSProfile(depth=10), raw=True)

    def _keeper(self, name: str, topic: str) -> Callable[[bytes], None]:
        def keep(cdr: bytes) -> None:
            now = time.time_ns()
            self._spool.append(topic, now, cdr)
            if name == 'alerts':
                message = deserialize_message(cdr, Detection2DArray)
                self._on_alerts(stamp_of(cdr), now, tuple(map(_alert, message.detections)))
        return keep

    def _diagnose(self, cdr: bytes) -> None:
        self._spool.append('/diagnostics', time.time_ns(), cdr)
        for status in deserialize_message(cdr, DiagnosticArray).status:
            if self._name in status.name:
                self.facts.update((v.key, v.value) for v in status.values)


def _alert(detection) -> Alert:
    """Return one vision_msgs/Detection2D as an Alert."""
    box, best = detection.bbox, detection.results[0].hypothesis if detection.results else None
    return Alert(detection.id, best.class_id if best else '', best.score if best else 0.0,
                 (box.center.position.x - box.size_x / 2, box.center.position.y - box.size_y / 2,
                  box.size_x, box.size_y))
