# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`/diagnostics`: one status for the model and, while images are taken, one for each camera."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Header

from vl4ad_ros.bundle.coverage import coverage_warning
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.node import messages, qos
from vl4ad_ros.node.cameras import Cameras

INTERVAL_S = 1.0
"""Seconds between two messages (REP-107)."""


class Diagnostics:
    """
    Publishes the state of the node.

    :param node: creates the publisher, and gives the clock, the log and the name.
    :param memory_problem: what is wrong with the shared memory, or ''; see `node.dds`.
    """

    def __init__(self, node: Node, memory_problem: str) -> None:
        """Create the publisher."""
        self._node = node
        self._memory_problem = memory_problem
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', qos.event())
        self._last_levels: dict[str, bytes] = {}
        self._published = 0.0

    @property
    def due(self) -> bool:
        """Whether the last message is older than `INTERVAL_S`."""
        return time.monotonic() - self._published > INTERVAL_S

    def publish(self, state: str, activity: str, trouble: str, detector: Detector | None = None,
                cameras: Cameras | None = None, prompts_pending: bool = False) -> None:
        """
        Publish one message.

        :param state: of the lifecycle, such as 'inactive'.
        :param activity: what the node is doing now, a sentence, or ''.
        :param trouble: what keeps the node from working, a sentence, or ''.
        :param detector: of a configured node.
        :param cameras: of a configured node.
        :param prompts_pending: whether new prompts are being encoded.
        """
        self._published = time.monotonic()
        level, sentence = DiagnosticStatus.OK, activity or state
        # Tools that read recorded diagnostics expect a constant id.
        values, hardware = {'state': state}, self._node.get_fully_qualified_name()
        if detector is not None and cameras is not None:
            bundle, backend = detector.bundle, detector.backend
            prompts = cameras.configuration.prompts
            values.update({'bundle': bundle.name, 'notice': bundle.notice,
                           'prompts': prompts.digest[:12],
                           'prompts and calibration': coverage_warning(
                               detector.missing_classes(prompts)),
                           'prompts pending': 'yes' if prompts_pending else 'no',
                           'backend': backend.name, 'backend description': backend.description})
            held = backend.device_memory()
            if held is not None:
                values['device memory (MiB)'] = f'{held / 2 ** 20:.0f}'
        if trouble:
            level, sentence = DiagnosticStatus.ERROR, f'{state}: {trouble}'
        elif self._memory_problem:
            level, sentence = DiagnosticStatus.WARN, f'{sentence}: {self._memory_problem}'
        name = self._node.get_name()
        statuses = [messages.status(f'{name}: model', level, sentence, hardware, values)]
        for camera, report in ({} if cameras is None else cameras.reports()).items():
            level, sentence, values = report
            part = f'{camera} image' if camera else 'image'
            statuses.append(messages.status(f'{name}: {part}', level, sentence, hardware, values))
            if level > self._last_levels.get(camera, DiagnosticStatus.OK):
                self._node.get_logger().warning(sentence)
            self._last_levels[camera] = level
        self._publisher.publish(DiagnosticArray(
            header=Header(stamp=self._node.get_clock().now().to_msg()), status=statuses))

    def flush(self) -> None:
        """Wait up to one second until all subscribers have received the last message."""
        self._publisher.wait_for_all_acked(Duration(seconds=1))
