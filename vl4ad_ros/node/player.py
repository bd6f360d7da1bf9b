# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag's camera topic over DDS at the pace at which it was recorded."""

from __future__ import annotations

from threading import Event
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from vl4ad_ros.evaluation.bag_reader import CameraBag, restamp


class Player:
    """
    A camera driver made of a bag.

    Messages go out as they lie in the bag, never decoded; only their stamp becomes the wall
    clock at publication. So age is what a live camera would see, and since every output carries
    its input's header, that stamp also says which frame an answer belongs to.

    :ivar stamps_ns: the stamp under which each frame went out, by frame index.
    :ivar index_of: the reverse.
    """

    def __init__(self, node: Node, bag: CameraBag, topic: str, rate: float = 1.0) -> None:
        """Advertise `topic` (`topic`/compressed for a bag of CompressedImage)."""
        self._bag, self._rate = bag, rate
        self.stamps_ns: dict[int, int] = {}
        self.index_of: dict[int, int] = {}
        self.publisher = node.create_publisher(
            CompressedImage if bag.compressed else Image,
            f'{topic}/compressed' if bag.compressed else topic,
            QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))

    def play(self, stop: Event) -> None:
        """Publish every frame at its time; return early once `stop` is set."""
        start = first = None
        for frame in self._bag.frames():
            if start is None:
                start, first = time.monotonic_ns(), frame.time_ns
            due = start + int((frame.time_ns - first) / self._rate)
            if stop.wait(max(0, due - time.monotonic_ns()) / 1e9):
                return
            stamp = time.time_ns()
            self.stamps_ns[frame.index] = stamp
            self.index_of[stamp] = frame.index
            self.publisher.publish(restamp(frame.cdr, stamp))
