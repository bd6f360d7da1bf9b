# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera of a replay: its recording, and what the node answers to its frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any

from rclpy.node import Node

from vl4ad_ros.evaluation.alert_metrics import FrameResult, Truth
from vl4ad_ros.evaluation.answer_matcher import AnswerMatcher
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.message_store import MessageStore, StoredMessage
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.evaluation.recorded_run import AnsweredCall, RecordedRun
from vl4ad_ros.replay.recorder import DETECTOR, Recorder
from vl4ad_ros.settings import Settings

_ALERTS_TIMEOUT_S = 0.25
"""
Time after the detections of a frame when its alerts, and what is published after them, are no
longer expected, in seconds.
"""


@dataclass(frozen=True)
class RecordedCamera:
    """
    One camera of a recording that is to be replayed.

    :ivar bag: its images.
    :ivar truth: its ground truth; None if it has none, or if nothing shall be measured.
    :ivar messages: an empty store for what the node publishes about it.
    :ivar name: its name among several cameras; '' for the only one.
    :ivar on_result: is called for every processed frame soon after its answer has arrived.
    """

    bag: CameraBag
    truth: Truth | None
    messages: MessageStore
    name: str = ''
    on_result: Callable[[FrameResult], None] = lambda result: None


class CameraReplay:
    """
    What happens to the frames of one camera during a replay.

    :ivar camera: the camera.
    :ivar ground: CameraInfo, pose and odometry of its recording.
    :ivar matcher: knows which frames were sent.
    :ivar recorder: receives what the node publishes.
    """

    def __init__(self, node: Node, camera: RecordedCamera, ground: RecordedGround,
                 settings: Settings, go_on: Callable[[], None]) -> None:
        """
        Subscribe to the results.

        :param node: the node of this process.
        :param camera: the camera.
        :param ground: of its recording.
        :param settings: the parameters of the node for this camera.
        :param go_on: is called when the node has answered or refused a frame.
        """
        self.camera, self.ground, self._settings = camera, ground, settings
        self.matcher = AnswerMatcher()
        self._go_on = go_on
        self._answers: dict[int, StoredMessage] = {}
        self._incomplete: deque[int] = deque()
        self._results: list[FrameResult] = []
        self._refused = 0
        self.recorder = Recorder(node, camera.messages, camera.truth is not None, self._receive,
                                 self._pass_over, camera.name)

    @property
    def done(self) -> bool:
        """Whether the last frame that was sent has been answered."""
        return max(self.matcher.sent_ns) in self._answers

    @property
    def answered(self) -> bool:
        """Whether any frame has been answered."""
        return bool(self._results)

    def complete(self, final: bool = False) -> None:
        """
        Turn answers into results once alerts and severities are there or not expected.

        :param final: nothing more is expected.
        """
        while self._incomplete:
            index = self._incomplete[0]
            answer = self._answers[index]
            alerts = self.recorder.alerts(answer)
            waited_s = (time.time_ns() - answer.received_ns) / 1e9
            whole = alerts is not None and (not alerts or any(a.severity for a in alerts))
            if not whole and waited_s < _ALERTS_TIMEOUT_S and not final:
                return
            self._incomplete.popleft()
            age_ns = answer.received_ns - self.matcher.sent_ns[index]
            self._results.append(FrameResult(index, age_ns, alerts))
            self.camera.on_result(self._results[-1])

    def run(self, about: dict[str, Any], calls: tuple[AnsweredCall, ...]) -> RecordedRun:
        """
        Return what was recorded.

        :param about: facts for the report.
        :param calls: the parameter calls that were made.
        """
        camera, settings = self.camera, self._settings
        return RecordedRun(
            camera.bag, camera.truth, tuple(self._results), dict(self.matcher.sent_ns),
            self._answers, camera.messages, DETECTOR, about, calls,
            int(self.recorder.facts.get('bad', 0)), settings.image_max_pixels,
            settings.image_max_value, self.ground, camera.name)

    def _receive(self, detections: StoredMessage) -> None:
        index = self.matcher.answer(detections.stamp_ns, detections.received_ns)
        if index is not None:
            self._answers[index] = detections
            self._incomplete.append(index)
            self._go_on()

    def _pass_over(self) -> None:
        """Go on after a frame that the node has counted as refused or failed."""
        refused = sum(int(self.recorder.facts.get(name, 0)) for name in ('bad', 'faults'))
        latest = max(self.matcher.sent_ns, default=None)
        if refused > self._refused and latest is not None and latest not in self._answers:
            self.matcher.refuse(latest)
            self._go_on()
        self._refused = refused
