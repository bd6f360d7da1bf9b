# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag's camera topic and the clock that goes with it over DDS."""

from __future__ import annotations

from threading import Event
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from vl4ad_ros.evaluation.bag_reader import BagFrame, CameraBag
from vl4ad_ros.evaluation.ledger import Ledger

_TICK_S = 0.02
"""Seconds from one message of the clock to the next, at most."""


class UnansweredError(RuntimeError):
    """A frame to which the node did not say anything; the message names it."""


class Player:
    """
    A camera driver and a clock made of a bag.

    Images go out as they lie in the bag, with their recorded stamps. The clock shows the time at
    which the bag recorded them, so that their age is what it was for a recorder on the vehicle.
    """

    def __init__(self, node: Node, bag: CameraBag, ledger: Ledger, rate: float | None,
                 patience_s: float | None) -> None:
        """
        Advertise the topics `image` (`image/compressed` for CompressedImage) and `clock`.

        :param node: lends the topics its namespace.
        :param ledger: is told of each frame before it goes out.
        :param rate: speed at which the frames follow each other, 1 is as recorded; None: without
            waiting for their time.
        :param patience_s: wait so long for `go_on` after each frame; None: do not wait.
        """
        self._bag, self._ledger, self._rate = bag, ledger, rate
        self._patience_s, self._may_go_on = patience_s, Event()
        # Lost images are part of real time only.
        reliability = (ReliabilityPolicy.BEST_EFFORT if patience_s is None else
                       ReliabilityPolicy.RELIABLE)
        self.images = node.create_publisher(
            CompressedImage if bag.compressed else Image,
            'image/compressed' if bag.compressed else 'image',
            QoSProfile(depth=5, reliability=reliability))
        self.clock = node.create_publisher(Clock, 'clock', QoSProfile(depth=1))

    @property
    def has_listeners(self) -> bool:
        """Whether the node receives images and clock."""
        return bool(self.images.get_subscription_count() and self.clock.get_subscription_count())

    def show_start(self) -> None:
        """Set the clock to the bag's first frame."""
        self._show(self._bag.times_ns[0])

    def go_on(self) -> None:
        """Allow the next frame to be sent."""
        self._may_go_on.set()

    def play(self, stop: Event) -> None:
        """
        Publish every frame; return early once `stop` is set.

        :raises UnansweredError: if `go_on` is not called in time.
        """
        start_ns, first_ns = None, self._bag.times_ns[0]
        for frame in self._bag.frames():
            start_ns = start_ns or time.monotonic_ns()
            while self._rate and not stop.is_set():
                left_ns = first_ns + (time.monotonic_ns() - start_ns) * self._rate - frame.time_ns
                if left_ns >= 0:
                    break
                self._show(frame.time_ns + int(left_ns))
                stop.wait(min(_TICK_S, -left_ns / self._rate / 1e9))
            if stop.is_set():
                return
            self._show(frame.time_ns)
            self._may_go_on.clear()
            self._ledger.send(frame.index, frame.stamp_ns, time.time_ns())
            self.images.publish(frame.cdr)
            if self._patience_s is not None:
                self._wait_for_answer(frame, stop)

    def _wait_for_answer(self, frame: BagFrame, stop: Event) -> None:
        end = time.monotonic() + self._patience_s
        while not self._may_go_on.wait(0.1) and not stop.is_set():
            if time.monotonic() > end:
                raise UnansweredError(
                    f'the node did not answer frame {frame.index} (stamp '
                    f'{frame.stamp_ns / 1e9:.3f}) within {self._patience_s:.0f} s')

    def _show(self, time_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 10**9)
        self.clock.publish(message)
