# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sets the detector's parameters while a bag plays, by the service that `ros2 param set` calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import time

from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

from vl4ad_ros.evaluation.replay_result import CallMade, ParameterCall


class Caller:
    """
    A user at a terminal, made of a list of calls; without any it asks nothing of the node.

    :ivar made: the calls that the node answered with success so far.
    :ivar refusals: what it said to the others.
    """

    def __init__(self, node: Node, namespace: str, calls: Sequence[ParameterCall],
                 rate: float = 1.0) -> None:
        """Connect; `namespace` is the detector's full name, such as ``/vl4ad_detector``."""
        self._node, self._calls, self._rate = node, calls, rate
        self._client = node.create_client(SetParameters, f'{namespace}/set_parameters')
        self._timers = []
        self.made: list[CallMade] = []
        self.refusals: list[str] = []

    @property
    def ready(self) -> bool:
        """Whether the node's service is there, or not needed."""
        return not self._calls or self._client.service_is_ready()

    @property
    def done(self) -> bool:
        """Whether every call was answered."""
        return len(self.made) + len(self.refusals) == len(self._calls)

    def start(self) -> None:
        """Let the bag's time begin now; the executor of the node does the rest."""
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
            self.made.append(CallMade(sent_ns, time.time_ns()))
