# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera of the process that is measured, which also takes the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.node.process import Measured, WARM_UP
import cv2
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import load_reference
from vl4ad_ros.node import messages, qos

DISCOVERY_S, SILENCE_S = 120.0, 60.0
"""Longest time until both processes see each other, and until something is answered."""
LOST_S = 0.5
"""An image that is not answered within this time counts as lost, and the next one is published."""
_PATIENCE = 5
"""The measurement may take so many times as long as on a machine that nothing else uses."""
RESULTS = {'mask': Image, 'alerts': Detection2DArray, 'obstacles': Detection3DArray}


class Camera:
    """
    Publishes one picture again and again, with CameraInfo, and counts the results.

    :ivar namespace: of the image topic and of the node that is measured.
    :ivar received: how many messages came, by topic.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """
        Join the graph in a namespace of its own.

        :param size: rows and columns of the picture, the last reference frame of the street model.
        """
        self.namespace = f'/benchmark_{os.getpid()}'
        self._node = rclpy.create_node('camera', namespace=self.namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, 'image', qos.image_result())
        self._infos = self._node.create_publisher(CameraInfo, 'camera_info', qos.image_result())
        self.received: Counter[str] = Counter()
        self._answered_ns = 0
        for name, kind in RESULTS.items():
            self._node.create_subscription(
                kind, f'vl4ad_detector/{name}',
                lambda message, name=name: self._take(name, message), qos.event())
        rows, columns = size
        picture = cv2.resize(load_reference(Bundle.open('street')).images[-1], (columns, rows))
        self._image = messages.image(Header(frame_id='camera_optical'), picture, 'rgb8')
        focal = 0.6 * columns
        self._info = CameraInfo(
            header=self._image.header, height=rows, width=columns, distortion_model='plumb_bob',
            d=[0.0] * 5, k=[focal, 0, columns / 2, 0, focal, rows / 2, 0, 0, 1])

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()

    def measure(self, kind: str, frames: int, period_s: float) -> Measured:
        """
        Run a process and give it images until it has measured enough of them.

        :param kind: one of `process.KINDS`.
        :param frames: how many images are measured.
        :param period_s: seconds between two images; 0 publishes each image when the mask of the
            one before has come.
        :raises RuntimeError: if the process fails, or answers no more.
        """
        self.received.clear()
        with tempfile.TemporaryFile('w+') as output:
            child = subprocess.Popen(
                [sys.executable, '-m', 'benchmarks.node.process', kind, self.namespace,
                 str(frames), str(os.getpid())], stdout=output)
            try:
                self._spin_until(lambda: self._sees(kind), DISCOVERY_S, child)
                if period_s:
                    self._publish_at_rate(child, period_s, frames)
                else:
                    self._publish_when_answered(child)
                if child.wait(SILENCE_S):
                    raise RuntimeError(f'the process {kind} ended with {child.returncode}')
            finally:
                child.kill()
                child.wait()
            output.seek(0)
            return Measured(**json.load(output))

    def _sees(self, kind: str) -> bool:
        node = self._node
        return self._images.get_subscription_count() > 0 and (kind != 'node' or (
            self._infos.get_subscription_count() > 0 and all(
                node.count_publishers(f'{self.namespace}/vl4ad_detector/{name}')
                for name in RESULTS)))

    def _publish_at_rate(self, child: subprocess.Popen, period_s: float, frames: int) -> None:
        due = time.monotonic()
        end = due + _PATIENCE * period_s * (frames + WARM_UP) + SILENCE_S
        while child.poll() is None:
            if time.monotonic() > end:
                raise RuntimeError(f'fewer than {frames} images were processed; is the machine '
                                   'too busy?')
            self._publish()
            due = max(due + period_s, time.monotonic())  # a delay is not made up for
            while (left := due - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left)

    def _publish_when_answered(self, child: subprocess.Popen) -> None:
        answered = time.monotonic()
        while child.poll() is None:
            stamp_ns = self._publish()
            self._spin_for_answer(stamp_ns)
            if self._answered_ns == stamp_ns:
                answered = time.monotonic()
            elif time.monotonic() - answered > SILENCE_S:
                raise RuntimeError(f'no mask came for {SILENCE_S:.0f} s')

    def _spin_for_answer(self, stamp_ns: int) -> None:
        end = time.monotonic() + LOST_S
        while self._answered_ns != stamp_ns and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _publish(self) -> int:
        stamp_ns = time.time_ns()
        stamp = self._image.header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp_ns, 10 ** 9)
        self._infos.publish(self._info)
        self._images.publish(self._image)
        return stamp_ns

    def _spin_until(self, condition: Callable[[], bool], timeout_s: float,
                    child: subprocess.Popen) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError('the process that is measured did not come up')
            self._executor.spin_once(timeout_sec=0.05)

    def _take(self, name: str, message: Any) -> None:
        self.received[name] += 1
        if name == 'mask':
            stamp = message.header.stamp
            self._answered_ns = 10 ** 9 * stamp.sec + stamp.nanosec
