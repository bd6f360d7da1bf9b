# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sets the detector's parameters during a replay, by the service that `ros2 param set` calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import time

from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from rclpy.timer import Timer

from vl4ad_ros.evaluation.recorded_run import AnsweredCall, ParameterCall


class ParameterSetter:
    """
    Makes a list of parameter calls at their times; does nothing if the list is empty.

    :ivar made: the calls that the node has accepted so far, in the order of its answers.
    :ivar refusals: the reason of each call that the node refused.
    """

    def __init__(self, node: Node, namespace: str, calls: Sequence[ParameterCall],
                 rate: float = 1.0) -> None:
        """
        Create the client of the parameter service.

        :param node: the node of this process; its executor sends the calls.
        :param namespace: full name of the detector, such as ``/vl4ad_detector``.
        :param calls: the calls to make.
        :param rate: speed of the replay; 1 is the speed of the recording.
        """
        self._node, self._calls, self._rate = node, calls, rate
        self._client = node.create_client(SetParameters, f'{namespace}/set_parameters')
        self._timers: list[Timer] = []
        self.made: list[AnsweredCall] = []
        self.refusals: list[str] = []

    @property
    def ready(self) -> bool:
        """Whether the service of the detector is available, or no call is to be made."""
        return not self._calls or self._client.service_is_ready()

    @property
    def done(self) -> bool:
        """Whether the node has answered every call."""
        return len(self.made) + len(self.refusals) == len(self._calls)

    def start(self) -> None:
        """Start the timers of all calls; the first frame is being sent now."""
        for index, call in enumerate(self._calls):
            self._timers.append(self._node.create_timer(
                call.at_s / self._rate, partial(self._call, index)))

    def _call(self, index: int) -> None:
        self._timers[index].cancel()
        sent_ns = time.time_ns()
        future = self._client.call_async(SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg()
            for name, value in self._calls[index].values.items()]))
        future.add_done_callback(lambda answer: self._answered(sent_ns, answer))

    def _answered(self, sent_ns: int, answer: Future) -> None:
        refused = [r.reason for r in answer.result().results if not r.successful]
        if refused:
            self.refusals += refused[:1]
        else:
            self.made.append(AnsweredCall(sent_ns, time.time_ns()))
