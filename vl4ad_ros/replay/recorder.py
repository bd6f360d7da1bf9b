# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stores everything that the detector publishes, with the time of its arrival."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from vl4ad_ros.evaluation.alert_messages import alerts_of
from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.evaluation.message_store import MessageStore, StoredMessage
from vl4ad_ros.evaluation.recorded_run import output_topic
from vl4ad_ros.evaluation.storage.stored import stamp_of

DETECTOR = '/vl4ad_detector'
"""Full name of the detector in the recorded topics: its default name on a vehicle."""
TYPES = {'mask': Image, 'score': Image, 'alerts': Detection2DArray,
         'detections': Detection2DArray, 'obstacles': Detection3DArray, 'markers': MarkerArray}
"""Message type of each recorded output of the detector, by its topic below the node."""


class Recorder:
    """
    Subscribes to the detector's outputs and stores them as they arrive, not deserialised.

    :ivar facts: the latest value of each key that the detector has reported in its diagnostics of
        the model and of this camera.
    :ivar reports: number of diagnostics messages that have arrived.
    """

    def __init__(self, node: Node, messages: MessageStore, with_score: bool,
                 on_detections: Callable[[StoredMessage], None],
                 on_facts: Callable[[], None], camera: str = '') -> None:
        """
        Create the subscriptions; messages arrive while the executor of `node` spins.

        :param node: the node of this process; the detector must be `vl4ad_detector` in its
            namespace, and no other node may publish diagnostics there.
        :param messages: where the messages are stored, under topics below `DETECTOR`.
        :param with_score: subscribe to the score too; the detector publishes it only then.
        :param on_detections: called with each detections message; the detector publishes one for
            every frame that it processes.
        :param on_facts: called after each update of `facts`.
        :param camera: name of the camera among several; '' for the only one.
        """
        self._node, self._messages, self._camera = node, messages, camera
        self._on_detections, self._on_facts = on_detections, on_facts
        self.facts: dict[str, str] = {}
        self.reports = 0
        self._names = [n for n in TYPES if with_score or n != 'score']
        for name in self._names:
            node.create_subscription(TYPES[name], self._topic(name), self._keeper(name),
                                     QoSProfile(depth=10), raw=True)
        node.create_subscription(DiagnosticArray, 'diagnostics', self._diagnose,
                                 QoSProfile(depth=10), raw=True)

    @property
    def is_connected(self) -> bool:
        """Whether the detector has a publisher for every topic that is subscribed to."""
        return all(self._node.count_publishers(self._topic(n)) for n in self._names)

    def alerts(self, detections: StoredMessage) -> tuple[Alert, ...] | None:
        """
        Find the alerts of a frame.

        :param detections: the detections message of the frame.
        :returns: its alerts, with places and severities if these have arrived; None if no alerts
            message of this frame has arrived.
        """
        alerts = self._read(self._messages.of_same_frame(detections, self._output('alerts')),
                            'alerts')
        # A frame of another camera may have the same stamp; what it shows came before.
        find = self._messages.next_of_stamp if self._camera else self._messages.of_same_frame
        obstacles = self._read(find(detections, self._output('obstacles')), 'obstacles')
        return alerts_of(alerts, obstacles, self._camera) if alerts is not None else None

    @staticmethod
    def _read(cdr: bytes | None, name: str) -> Any | None:
        return None if cdr is None else deserialize_message(cdr, TYPES[name])

    def _output(self, name: str) -> str:
        return output_topic(DETECTOR, self._camera, name)

    def _topic(self, name: str) -> str:
        return f'{self._node.get_namespace()}{self._output(name)}'

    def _keeper(self, name: str) -> Callable[[bytes], None]:
        def keep(cdr: bytes) -> None:
            # A MarkerArray begins with the number of its markers, and these with their headers.
            stamp_ns = stamp_of(cdr[:4] + cdr[8:16]) if name == 'markers' else None
            entry = self._messages.append(self._output(name), time.time_ns(), cdr, stamp_ns)
            if name == 'detections':
                self._on_detections(entry)
        return keep

    def _diagnose(self, cdr: bytes) -> None:
        self._messages.append('/diagnostics', time.time_ns(), cdr)
        image = f'{self._camera} image' if self._camera else 'image'
        for status in deserialize_message(cdr, DiagnosticArray).status:
            if status.name.endswith((': model', f': {image}')):
                self.facts.update((v.key, v.value) for v in status.values)
        self.reports += 1
        self._on_facts()
