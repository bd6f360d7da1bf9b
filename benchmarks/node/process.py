# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The process that is measured: the node with the null backend, or a subscriber that only copies.

    python -m benchmarks.node.process node|copy NAMESPACE FRAMES PARENT

It ends after so many images, and writes a `Measured` as JSON to its standard output.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import sys
import threading
import time
from typing import Any

from benchmarks.node import null_backend
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vl4ad_ros.node import qos
from vl4ad_ros.node.dds import use_profile
from vl4ad_ros.node.detector_node import DetectorNode
from vl4ad_ros.node.frames import FrameProcessor
from vl4ad_ros.node.mailbox import Mailbox
from vl4ad_ros.node.process import tune
from vl4ad_ros.processes import end_with

KINDS = ('node', 'copy')
CLOCKS = ('callback to published', 'worker thread', "executor's thread", 'whole process')
WARM_UP = 30
"""Images that are not measured."""
SAMPLES = 200
"""So many times the memory is read."""
PARAMETERS = {'model.backend': null_backend.NAME, 'camera.height_m': 1.5,
              'camera.pitch_deg': 4.0}


@dataclass(frozen=True)
class Measured:
    """
    What a process found.

    :ivar cpu_ms: for each image after the warm-up, the CPU time of `CLOCKS` in ms. The first one
        is that of the whole process from the beginning of the callback to the end of the work.
        The others go from the end of the work on the image before to the end of this one.
    :ivar age_ms: for each image after the warm-up, the time from its stamp to the end of the work,
        in ms.
    :ivar memory: after how many images there was how much resident memory, and how much of it was
        not shared with other processes, in MiB.
    """

    cpu_ms: list[list[float]]
    age_ms: list[float]
    memory: list[tuple[int, float, float]]


class Meter:
    """Takes the figures of each image, until there are enough."""

    def __init__(self, frames: int) -> None:
        """
        Start without an image; the thread that calls this is the one in which callbacks run.

        :param frames: how many images are measured, after the warm-up.
        """
        self._memory: list[tuple[int, float, float]] = []
        self.done = False
        # In memory from the start, so that it does not look like growth of the node.
        self._figures = np.full((frames, len(CLOCKS) + 1), np.nan)
        self._frames = frames
        self._seen = 0
        self._began: dict[int, float] = {}
        self._before = np.zeros(3)
        self._executor = time.pthread_getcpuclockid(threading.get_ident())

    def begin(self, stamp: Any) -> None:
        """Note that the callback with an image began; its thread calls this."""
        self._began[_ns(stamp)] = time.process_time()

    def end(self, stamp: Any) -> None:
        """Note that the results of an image are published; the thread that did it calls this."""
        now = self._clocks()
        age_s = (time.time_ns() - _ns(stamp)) / 1e9
        began = self._began.pop(_ns(stamp))
        # Images that the mailbox replaced never end. The other thread may add one meanwhile.
        for earlier in [ns for ns in self._began.copy() if ns < _ns(stamp)]:
            del self._began[earlier]
        self._seen += 1
        measured = self._seen - WARM_UP
        if 0 < measured <= self._frames:
            self._figures[measured - 1] = (
                1e3 * (now[2] - began), *(1e3 * (now - self._before)), 1e3 * age_s)
            if measured % max(1, self._frames // SAMPLES) == 0:
                self._memory.append((measured, *resident_mib()))
            if measured == self._frames:
                self.done = True
        self._before = self._clocks()  # so that the meter does not measure itself

    @property
    def found(self) -> Measured:
        """What was found."""
        return Measured(self._figures[:, :-1].tolist(), self._figures[:, -1].tolist(),
                        self._memory)

    def _clocks(self) -> np.ndarray:
        return np.array((time.thread_time(), time.clock_gettime(self._executor),
                         time.process_time()))


def resident_mib() -> tuple[float, float]:
    """Return the resident memory of this process, and the part that is not shared, in MiB."""
    pages, shared = map(int, Path('/proc/self/statm').read_text().split()[1:3])
    page_mib = os.sysconf('SC_PAGE_SIZE') / 2 ** 20
    return pages * page_mib, (pages - shared) * page_mib


def watch_node(meter: Meter) -> None:
    """Have every node of this process report to a meter when an image comes and is done."""
    put, process = Mailbox.put, FrameProcessor.process

    def measured_put(self: Any, sender: str, item: Any) -> None:
        meter.begin(item.message.header.stamp)
        put(self, sender, item)

    def measured_process(self: Any, received: Any, configuration: Any) -> bool:
        published = process(self, received, configuration)
        if published:
            meter.end(received.message.header.stamp)
        return published

    Mailbox.put, FrameProcessor.process = measured_put, measured_process


def detector(namespace: str) -> DetectorNode:
    """Return the active node with the null backend."""
    null_backend.install()
    node = DetectorNode(namespace=namespace, parameter_overrides=[
        Parameter(name, value=value) for name, value in PARAMETERS.items()])
    for transition in (node.trigger_configure, node.trigger_activate):
        if transition() != TransitionCallbackReturn.SUCCESS:
            raise SystemExit('the node did not become active')
    return node


def copier(namespace: str, meter: Meter) -> rclpy.node.Node:
    """Return a node that copies the data of the images and does nothing else."""
    node = rclpy.create_node('copier', namespace=namespace)

    def copy(message: Image) -> None:
        meter.begin(message.header.stamp)
        bytes(message.data)
        meter.end(message.header.stamp)

    node.create_subscription(Image, 'image', copy, qos.newest_image())
    return node


def _ns(stamp: Any) -> int:
    return 10 ** 9 * stamp.sec + stamp.nanosec


def main() -> None:
    """Measure, and print the figures."""
    kind, namespace, frames, parent = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    end_with(int(parent))
    if kind == 'node':
        tune()  # as the node's own program does
    use_profile()
    rclpy.init()
    meter = Meter(frames)
    if kind == 'node':
        watch_node(meter)
    node = detector(namespace) if kind == 'node' else copier(namespace, meter)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    # Not spin_until_future_complete, which keeps a new callback for each message. The camera goes
    # on after the last image, so this ends.
    while not meter.done:
        executor.spin_once()
    if isinstance(node, DetectorNode):
        node.release()
    node.destroy_node()
    rclpy.shutdown()
    print(json.dumps(asdict(meter.found)))


if __name__ == '__main__':
    main()
