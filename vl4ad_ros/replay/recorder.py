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
from vision_msgs.msg import Detection2D, Detection2DArray

from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.evaluation.spool import Entry, Spool

DETECTOR = '/vl4ad_detector'
"""The detector's name in what is recorded: that which it has on a vehicle by default."""
TYPES = {'mask': Image, 'score': Image, 'alerts': Detection2DArray,
         'detections': Detection2DArray}


class Recorder:
    """
    Subscribes to the detector's outputs and spools them undecoded, below `DETECTOR`.

    :ivar facts: the latest key-value pairs that the detector reported in diagnostics.
    """

    def __init__(self, node: Node, spool: Spool, with_score: bool,
                 on_detections: Callable[[Entry], None], on_facts: Callable[[], None]) -> None:
        """
        Start listening; the executor of `node` does the rest.

        :param node: has the namespace in which the detector is `vl4ad_detector`, and in which
            nobody else publishes diagnostics.
        :param with_score: also take the score maps: the detector computes them only then.
        :param on_detections: called with each detections message: every frame that the detector
            processes has one.
        :param on_facts: called whenever `facts` was updated.
        """
        self._node, self._spool = node, spool
        self._on_detections, self._on_facts = on_detections, on_facts
        self.facts: dict[str, str] = {}
        self._names = [n for n in TYPES if with_score or n != 'score']
        for name in self._names:
            node.create_subscription(TYPES[name], self._topic(name), self._keeper(name),
                                     QoSProfile(depth=10), raw=True)
        node.create_subscription(DiagnosticArray, 'diagnostics', self._diagnose,
                                 QoSProfile(depth=10), raw=True)

    @property
    def is_connected(self) -> bool:
        """Whether the detector publishes all that is listened to."""
        return all(self._node.count_publishers(self._topic(n)) for n in self._names)

    def alerts(self, detections: Entry) -> tuple[Alert, ...] | None:
        """Return the alerts of the frame that a detections message is of; None if unknown."""
        cdr = self._spool.beside(detections, f'{DETECTOR}/alerts')
        if cdr is None:
            return None
        return tuple(map(_alert, deserialize_message(cdr, Detection2DArray).detections))

    def _topic(self, name: str) -> str:
        return f'{self._node.get_namespace()}{DETECTOR}/{name}'

    def _keeper(self, name: str) -> Callable[[bytes], None]:
        def keep(cdr: bytes) -> None:
            entry = self._spool.append(f'{DETECTOR}/{name}', time.time_ns(), cdr)
            if name == 'detections':
                self._on_detections(entry)
        return keep

    def _diagnose(self, cdr: bytes) -> None:
        self._spool.append('/diagnostics', time.time_ns(), cdr)
        for status in deserialize_message(cdr, DiagnosticArray).status:
            self.facts.update((v.key, v.value) for v in status.values)
        self._on_facts()


def _alert(detection: Detection2D) -> Alert:
    """Return one alert of the node's; results[0] is 'anomaly', results[1] the class, if any."""
    box = detection.bbox
    anomaly, *named = (result.hypothesis for result in detection.results)
    return Alert(detection.id, anomaly.score,
                 (box.center.position.x - box.size_x / 2, box.center.position.y - box.size_y / 2,
                  box.size_x, box.size_y),
                 *(value for best in named[:1] for value in (best.class_id, best.score)))
