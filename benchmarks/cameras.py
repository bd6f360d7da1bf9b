# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How evenly cameras share one node, and its memory over many configurations: docs/benchmarks.md.

    python -m benchmarks.cameras [--cameras 4] [--size 720x1280] [--rate 30] [--seconds 20]
    python -m benchmarks.cameras --cycles 200

This process is the cameras: each publishes the last reference frame of the street model, as rgb8
with new stamps. The node runs in a process of its own, first with the null backend of
`benchmarks.node`, which answers at once, then with the default backend and bundle. The figures are
those of its diagnostics.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from benchmarks.node import null_backend
from benchmarks.node.process import resident_mib
import cv2
from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import load_reference
from vl4ad_ros.node import messages, qos
from vl4ad_ros.node.dds import use_profile
from vl4ad_ros.node.detector_node import DetectorNode
from vl4ad_ros.node.process import tune
from vl4ad_ros.processes import end_with

BACKENDS = ('null', 'default')
START_S = 120.0
"""Longest time until the node takes images."""
SHOWN = ('received', 'replaced', 'processed', 'age p50 (ms)', 'age p95 (ms)')
"""Values of diagnostics in the table."""


def detector(backend: str, namespace: str, cameras: list[str]) -> DetectorNode:
    """Return the unconfigured node; with `backend` 'null', in place of a real backend."""
    chosen = {'model.backend': null_backend.NAME} if backend == 'null' else {}
    if chosen:
        null_backend.install()
    return DetectorNode(namespace=namespace, parameter_overrides=[
        Parameter(name, value=value) for name, value in {'cameras': cameras, **chosen}.items()])


def serve(backend: str, namespace: str, cameras: list[str], parent: int) -> None:
    """Be the node, until the parent process kills it."""
    end_with(parent)
    tune()
    use_profile()
    rclpy.init()
    node = detector(backend, namespace, cameras)
    for transition in (node.trigger_configure, node.trigger_activate):
        if transition() != TransitionCallbackReturn.SUCCESS:
            raise SystemExit('the node did not become active')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin()


class Vehicle:
    """Publishes the images of all cameras, and keeps the newest diagnostics."""

    def __init__(self, cameras: list[str], size: tuple[int, int], namespace: str) -> None:
        """Join the graph; `size` is rows and columns of the images."""
        self.node = Node('vehicle', namespace=namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.values: dict[str, dict[str, str]] = {}
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._take, qos.event())
        self._images = [self.node.create_publisher(Image, f'{name}/image', qos.image_result())
                        for name in cameras]
        picture = cv2.resize(load_reference(Bundle.open('street')).images[-1], size[::-1])
        self._image = messages.image(Header(frame_id='camera_optical'), picture, 'rgb8')

    @property
    def connected(self) -> bool:
        """Whether the node takes the images of every camera."""
        return all(publisher.get_subscription_count() for publisher in self._images)

    def spin_until(self, end: float) -> None:
        """Take diagnostics until a time of the steady clock."""
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def publish(self, rate_hz: float, seconds: float) -> float:
        """Publish for a time, the cameras one after another; return the rate of each in Hz."""
        began = due = time.monotonic()
        count = 0
        while time.monotonic() < began + seconds:
            for publisher in self._images:
                stamp = self._image.header.stamp
                stamp.sec, stamp.nanosec = divmod(time.time_ns(), 10 ** 9)
                publisher.publish(self._image)
                due = max(due + 1 / rate_hz / len(self._images), time.monotonic())
                self.spin_until(due)
            count += 1
        return count / (time.monotonic() - began)

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.rpartition(': ')[2]
            self.values[name] = {value.key: value.value for value in status.values}


def share(backend: str, cameras: list[str], size: tuple[int, int], rate_hz: float,
          seconds: float) -> None:
    """Print how many images of each camera one node processed."""
    namespace = f'/benchmark_{os.getpid()}_{backend}'
    child = subprocess.Popen([sys.executable, '-m', 'benchmarks.cameras', '--serve', backend,
                              namespace, str(os.getpid()), *cameras])
    vehicle = Vehicle(cameras, size, namespace)
    try:
        end = time.monotonic() + START_S
        while not vehicle.connected:
            if child.poll() is not None or time.monotonic() > end:
                raise SystemExit('the node did not come up')
            vehicle.spin_until(time.monotonic() + 0.1)
        rate = vehicle.publish(rate_hz, seconds)
        vehicle.spin_until(time.monotonic() + 2)  # until diagnostics count the last image
    finally:
        child.kill()
        child.wait()
    print(f'\n{backend} backend, {size[1]}x{size[0]}, {rate:.1f} images a second from each camera,'
          f' load average {os.getloadavg()[0]:.1f}\n\n| camera | {" | ".join(SHOWN)} |\n'
          f'|---|{"---|" * len(SHOWN)}')
    processed = []
    for name in cameras:
        found = vehicle.values[f'{name} image']
        processed.append(int(found['processed']))
        print(f'| {name} | {" | ".join(found[key] for key in SHOWN)} |')
    print(f'\nmost / fewest processed: {max(processed) / max(1, min(processed)):.3f}', flush=True)


def cycles(count: int, cameras: list[str]) -> None:
    """Print the memory of a node that is configured, activated and cleaned up many times."""
    node = detector('default', f'/benchmark_{os.getpid()}', cameras)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print('| cycle | resident, MiB | threads | open files |\n|---|---|---|---|')
    for cycle in range(count):
        for transition in (node.trigger_configure, node.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise SystemExit('a transition failed')
        executor.spin_once(timeout_sec=0.01)
        node.trigger_deactivate()
        node.trigger_cleanup()
        if cycle % max(1, count // 10) == 0 or cycle == count - 1:
            print(f'| {cycle + 1} | {resident_mib()[0]:.1f} | {len(os.listdir("/proc/self/task"))}'
                  f' | {len(os.listdir("/proc/self/fd"))} |', flush=True)
    node.destroy_node()


def main() -> None:
    """Print tables."""
    if sys.argv[1:2] == ['--serve']:
        backend, namespace, parent, *names = sys.argv[2:]
        serve(backend, namespace, names, int(parent))
        return
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--cameras', type=int, default=4, metavar='N')
    parser.add_argument('--size', default='720x1280', help="the cameras' rows x columns")
    parser.add_argument('--rate', type=float, default=30.0, help='images per second and camera')
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--cycles', type=int, default=0, metavar='N',
                        help='configure and clean up so many times instead')
    args = parser.parse_args()
    names = [f'camera_{number}' for number in range(1, args.cameras + 1)]
    tune()
    use_profile()
    rclpy.init()
    if args.cycles:
        cycles(args.cycles, names)
    else:
        rows, columns = map(int, args.size.split('x'))
        for backend in BACKENDS:
            share(backend, names, (rows, columns), args.rate, args.seconds)
    rclpy.shutdown()


if __name__ == '__main__':
    main()
