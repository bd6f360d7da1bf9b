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
from vl4ad_ros.evaluation.bag_reader import stamp_of
from vl4ad_ros.evaluation.spool import Spool

_PATIENCE = 10
"""Frames whose alerts are waited for at most."""
TYPES = {'mask': Image, 'score': Image, 'alerts': Detection2DArray,
         'detections': Detection2DArray}


class Recorder:
    """
    Subscribes to the detector's outputs and spools them undecoded.

    :ivar topics: what it subscribed to.
    :ivar facts: the latest key-value pairs that the detector reported in /diagnostics.
    """

    def __init__(self, node: Node, namespace: str, spool: Spool, with_score: bool,
                 on_answer: Callable[[int, int, tuple[Alert, ...] | None], None]) -> None:
        """
        Start listening; the executor of `node` does the rest.

        :param namespace: the detector's full name, such as ``/vl4ad_detector``.
        :param with_score: also take the score maps: the detector computes them only then.
        :param on_answer: called for each answered frame, in order, with its header's stamp (ns),
            the arrival of its detections (ns since the epoch), and its alerts, None if the node
            published none.
        """
        self._spool, self._on_answer = spool, on_answer
        self._last = -1
        self._waiting: dict[int, int] = {}
        self._alerts: dict[int, tuple[Alert, ...]] = {}
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
                self._alerts[stamp_of(cdr)] = tuple(map(_alert, message.detections))
                self._hand_over(until=stamp_of(cdr))
            elif name == 'detections':
                self._waiting[stamp_of(cdr)] = now
                self._hand_over(until=stamp_of(cdr))
        return keep

    def _hand_over(self, until: int) -> None:
        """
        Hand over the answers up to a frame of which both messages are there.

        Each topic keeps its order, so an earlier frame without alerts will not get any more. A
        frame that nothing follows waits for a few others: its alerts may be on their way.
        """
        if until in self._waiting and until in self._alerts:
            while self._next() != until:
                pass
        while len(self._waiting) > _PATIENCE:
            self._next()

    def _next(self) -> int:
        stamp = next(iter(self._waiting))
        self._last = stamp
        self._on_answer(stamp, self._waiting.pop(stamp), self._alerts.pop(stamp, None))
        return stamp

    def answered(self, stamp_ns: int) -> bool:
        """Tell whether the frame of that stamp was answered."""
        return stamp_ns in self._waiting or stamp_ns == self._last

    def finish(self) -> None:
        """Hand over what still waits; nothing more is to come."""
        while self._waiting:
            self._next()

    def _diagnose(self, cdr: bytes) -> None:
        self._spool.append('/diagnostics', time.time_ns(), cdr)
        for status in deserialize_message(cdr, DiagnosticArray).status:
            if self._name in status.name:
                self.facts.update((v.key, v.value) for v in status.values)


def _alert(detection: Detection2D) -> Alert:
    """Return one alert of the node's; results[0] is 'anomaly', results[1] the class, if any."""
    box = detection.bbox
    anomaly, *named = (result.hypothesis for result in detection.results)
    return Alert(detection.id, anomaly.score,
                 (box.center.position.x - box.size_x / 2, box.center.position.y - box.size_y / 2,
                  box.size_x, box.size_y),
                 *(value for best in named[:1] for value in (best.class_id, best.score)))
