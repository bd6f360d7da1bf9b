# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the cameras of a bag, and a clock that shows the recorded time, over DDS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import heapq
from threading import Event
import time

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vl4ad_ros.evaluation.bag_reader import BagFrame
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.recorded_ground import ODOMETRY
from vl4ad_ros.replay.camera_replay import CameraReplay

_TICK_S = 0.02
"""Longest time between two messages of the clock, in seconds."""
_ARRIVAL_S = 0.1
"""In lockstep, the time that a new CameraInfo is given to arrive before its image."""


class UnansweredError(RuntimeError):
    """The node has not answered a frame in time; the message names the frame."""


class Player:
    """
    Takes the place of the camera driver and of the clock during a replay.

    Images are published as they are stored in the bag, with their recorded stamps. The clock shows
    the time at which the bag recorded them, so their age is what a recorder on the vehicle saw.
    """

    def __init__(self, node: Node, replays: Sequence[CameraReplay], rate: float | None,
                 patience_s: float | None, max_gap_s: float = 2.0) -> None:
        """
        Create publishers for the images of each camera, the other inputs and `clock`.

        :param node: the node of this process; the topics are in its namespace.
        :param replays: of the cameras. Odometry is that of the first one that has any.
        :param rate: speed of the replay, above 0; 1 is the speed of the recording. None sends each
            frame at once.
        :param patience_s: wait after each frame until `go_on` is called, at most so many seconds;
            None does not wait.
        :param max_gap_s: seconds of recorded time to which a longer pause between two frames is
            shortened; the clock leaps over the rest of the pause.
        """
        self._node = node
        self._max_gap_ns = int(max_gap_s * 1e9)
        self._rate = rate
        self._patience_s, self._may_go_on = patience_s, Event()
        self._feeds = [_Feed(node, replay, patience_s is not None) for replay in replays]
        self._start_ns = min(replay.camera.bag.times_ns[0] for replay in replays)
        self._moving = next((one for one in replays if one.ground.has_odometry), replays[0])
        self.odometry = node.create_publisher(Odometry, 'odometry', QoSProfile(depth=1000))
        self.clock = node.create_publisher(Clock, 'clock', QoSProfile(depth=1))

    @property
    def has_listeners(self) -> bool:
        """Whether all inputs of the node have a subscriber."""
        return all(publisher.get_subscription_count()
                   for publisher in (self.odometry, self.clock, *(
                       one for feed in self._feeds for one in (feed.images, feed.infos))))

    @property
    def has_rivals(self) -> bool:
        """Whether another process publishes the clock of this replay."""
        return self._node.count_publishers(self.clock.topic_name) > 1

    def show_start(self) -> None:
        """Publish the record time of the first frame on the clock, and what belongs to it."""
        self._show(self._start_ns)
        for feed in self._feeds:
            feed.publish_info(feed.replay.camera.bag.times_ns[0])
        self._publish_odometry(0)

    def go_on(self) -> None:
        """Allow the next frame to be sent."""
        self._may_go_on.set()

    def play(self, stop: Event) -> None:
        """
        Publish every frame.

        :param stop: once it is set, the rest of the frames is not published.
        :raises UnansweredError: if `go_on` is not called in time.
        :raises BagError: if the bag is damaged.
        """
        start_ns, previous_ns, due_ns = time.monotonic_ns(), self._start_ns, 0
        for feed, frame in heapq.merge(*(feed.frames() for feed in self._feeds),
                                       key=lambda pair: pair[1].time_ns):
            due_ns += min(frame.time_ns - previous_ns, self._max_gap_ns)
            previous_ns = frame.time_ns
            while self._rate and not stop.is_set():
                ahead_ns = due_ns - (time.monotonic_ns() - start_ns) * self._rate
                if ahead_ns <= 0:
                    break
                self._show(frame.time_ns - int(ahead_ns))
                stop.wait(min(_TICK_S, ahead_ns / self._rate / 1e9))
            if stop.is_set():
                return
            self._show(frame.time_ns)
            if feed.publish_info(frame.time_ns) and self._patience_s is not None:
                stop.wait(_ARRIVAL_S)
            if feed.replay is self._moving:
                self._publish_odometry(frame.index)
            self._may_go_on.clear()
            feed.replay.matcher.send(frame.index, frame.stamp_ns, time.time_ns())
            feed.images.publish(frame.cdr)
            if self._patience_s is not None:
                self._wait_for_answer(frame, self._patience_s, stop)

    def _wait_for_answer(self, frame: BagFrame, patience_s: float, stop: Event) -> None:
        end = time.monotonic() + patience_s
        while not self._may_go_on.wait(0.1) and not stop.is_set():
            if time.monotonic() > end:
                raise UnansweredError(
                    f'the node did not answer frame {frame.index} (stamp '
                    f'{frame.stamp_ns / 1e9:.3f}) within {patience_s:.0f} s')

    def _publish_odometry(self, index: int) -> None:
        for message in self._moving.ground.odometry(index):
            self.odometry.publish(bytes(typestore().serialize_cdr(message, ODOMETRY)))

    def _show(self, time_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 10**9)
        self.clock.publish(message)


class _Feed:
    """The images and the CameraInfo of one camera."""

    def __init__(self, node: Node, replay: CameraReplay, reliable: bool) -> None:
        """Create the publishers; images may only be lost when the replay runs in real time."""
        self.replay = replay
        self._info: bytes | None = None
        prefix = f'{replay.camera.name}/' if replay.camera.name else ''
        compressed = replay.camera.bag.compressed
        self.images = node.create_publisher(
            CompressedImage if compressed else Image,
            f'{prefix}image/compressed' if compressed else f'{prefix}image',
            QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE if reliable
                       else ReliabilityPolicy.BEST_EFFORT))
        self.infos = node.create_publisher(CameraInfo, f'{prefix}camera_info', QoSProfile(depth=5))

    def frames(self) -> Iterator[tuple[_Feed, BagFrame]]:
        """Yield each frame with this feed."""
        for frame in self.replay.camera.bag.frames():
            yield self, frame

    def publish_info(self, time_ns: int) -> bool:
        """Publish the CameraInfo of a time, if there is any; return whether it is a new one."""
        info = self.replay.ground.serialised(time_ns)
        if info is None:
            return False
        self.infos.publish(info)
        new, self._info = info != self._info, info
        return new
