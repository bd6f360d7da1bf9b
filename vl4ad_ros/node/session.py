# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One replay: the real node in a process of its own, fed from a bag over DDS and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
from threading import Event
import time
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from vl4ad_ros.evaluation.alert_metrics import Alert, FrameResult, Truth
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.replay import ParameterCall, Replay
from vl4ad_ros.evaluation.spool import Spool
from vl4ad_ros.node.caller import Caller
from vl4ad_ros.node.convert import compressed_to_rgb, image_to_rgb
from vl4ad_ros.node.dds import use_profile
from vl4ad_ros.node.player import Player
from vl4ad_ros.node.recorder import Recorder

DETECTOR = '/vl4ad_detector'
CAMERA_TOPIC = '/camera/image'
START_TIMEOUT_S = 60.0
LAST_ANSWER_TIMEOUT_S = 2.0
_DISTROS = {'3': 'humble', '7': 'jazzy', '9': 'kilted'}


class SessionError(RuntimeError):
    """The node did not do its part; the message holds its own last words."""


@dataclass(frozen=True)
class SessionOptions:
    """
    How to replay.

    :ivar bundle: model bundle, ``tiny`` or a directory.
    :ivar rate: speed, 1 is as recorded.
    :ivar parameters: further parameters of the node, by name.
    :ivar calls: parameters to set while the bag plays.
    """

    bundle: str = 'tiny'
    rate: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[ParameterCall] = ()


def open_bag(path: Path | str, topic: str | None = None) -> CameraBag:
    """Return the bag, decoded as the node decodes."""
    return CameraBag(path, topic, image_to_rgb, compressed_to_rgb)


def replay(bag: CameraBag, truth: Truth | None, spool: Spool, log: Path, options: SessionOptions,
           on_result: Callable[[FrameResult], None] = lambda result: None,
           on_progress: Callable[[int], None] = lambda published: None) -> Replay:
    """
    Play `bag` through a fresh node in real time and return what came back.

    Score maps are large: they are asked for only where `truth` can measure them.

    :param log: where the node's own output goes.
    :param on_result: called for every processed frame as it arrives.
    :param on_progress: called now and then with the number of frames published.
    :raises SessionError: if the node does not start, refuses to be activated, dies, never
        answers or refuses a parameter.
    """
    prepare_environment()
    results: list[FrameResult] = []
    with _process(bag, log, options) as process, _ros_node() as (node, executor):
        player = Player(node, bag, CAMERA_TOPIC, options.rate)

        def receive(stamp_ns: int, received_ns: int,
                    alerts: tuple[Alert, ...] | None) -> None:
            index = player.index_of.get(stamp_ns)
            if index is not None:
                results.append(FrameResult(index, received_ns - stamp_ns, alerts))
                on_result(results[-1])

        recorder = Recorder(node, DETECTOR, spool, truth is not None, receive)
        caller = Caller(node, DETECTOR, options.calls, options.rate)

        def spin(until: Callable[[], bool], seconds: float) -> bool:
            end = time.monotonic() + seconds
            while not until() and time.monotonic() < end:
                process.check()
                executor.spin_once(timeout_sec=0.05)
            return until()

        _activate(node, spin, process)
        matched = spin(lambda: caller.ready and player.publisher.get_subscription_count() and all(
            node.count_publishers(t) for t in recorder.topics), START_TIMEOUT_S)
        if not matched:
            raise SessionError(f'the node is active but does not listen to {CAMERA_TOPIC}; '
                               f'its output is in {log}')
        spin(lambda: False, 0.5)
        stop = Event()
        with ThreadPoolExecutor(1, 'player') as pool:
            playing = pool.submit(player.play, stop)
            try:
                spin(lambda: bool(player.stamps_ns) or playing.done(), START_TIMEOUT_S)
                caller.start()
                while not spin(playing.done, 0.2):
                    on_progress(len(player.stamps_ns))
            finally:
                stop.set()
        playing.result()
        on_progress(len(player.stamps_ns))
        last = max(player.stamps_ns)
        spin(lambda: recorder.answered(player.stamps_ns[last]), LAST_ANSWER_TIMEOUT_S)
        spin(lambda: False, 0.3)
        recorder.finish()
        spin(lambda: 'backend' in recorder.facts, LAST_ANSWER_TIMEOUT_S)
        if not spin(lambda: caller.done, LAST_ANSWER_TIMEOUT_S) or caller.refusals:
            raise SessionError('the node would not take parameters while frames flowed: '
                               f'{caller.refusals or "no answer"}; {process.tail()}')
        if not results:
            raise SessionError(f'the node answered none of {last + 1} frames; {process.tail()}')
        about = {'model': recorder.facts.get('bundle', options.bundle),
                 'backend': recorder.facts.get('backend', 'unknown'),
                 'ros_distro': ros_distro(), 'rate': options.rate}
        if recorder.facts.get('notice'):
            about['notice'] = recorder.facts['notice']
    return Replay(bag, truth, tuple(results), dict(player.stamps_ns), spool, DETECTOR, about,
                  tuple(caller.made))


def prepare_environment() -> None:
    """
    Keep the traffic of this process and its children on this machine and apart from others.

    Sets a random domain unless ROS_DOMAIN_ID is set, and the profile with which Fast DDS carries
    large images. Must run before the first use of rclpy.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    use_profile()


def ros_distro() -> str:
    """Return the name of the ROS 2 version in use."""
    if os.environ.get('ROS_DISTRO'):
        return os.environ['ROS_DISTRO']
    try:
        version = metadata.version('ros-rclpy')
    except metadata.PackageNotFoundError:
        return 'unknown'
    return _DISTROS.get(version.partition('.')[0], f'rclpy {version}')


class _NodeProcess:
    """The detector, started; `check` tells early when it is gone."""

    def __init__(self, popen: subprocess.Popen, log: Path) -> None:
        self._popen, self._log = popen, log

    def check(self) -> None:
        """Raise SessionError if the node has ended."""
        code = self._popen.poll()
        if code is not None:
            how = f'signal {-code}' if code < 0 else f'exit code {code}'
            raise SessionError(f'the node ended on its own ({how}); {self.tail()}')

    def tail(self) -> str:
        """Return the node's last words and where to read the rest."""
        lines = self._log.read_text(errors='replace').splitlines()[-8:]
        said = '\n    '.join(lines) if lines else '(nothing)'
        return f'its last output, in full in {self._log}:\n    {said}'

    def stop(self) -> None:
        """End it as Ctrl-C would; by force if it does not go."""
        for number, seconds in ((signal.SIGINT, 8), (signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            if self._popen.poll() is None:
                self._popen.send_signal(number)
                try:
                    self._popen.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue


@contextmanager
def _process(bag: CameraBag, log: Path, options: SessionOptions) -> Iterator[_NodeProcess]:
    parameters = {**options.parameters, 'model.bundle': options.bundle,
                  'image_transport': 'compressed' if bag.compressed else 'raw'}
    command = [sys.executable, '-m', 'vl4ad_ros.node', '--ros-args',
               '-r', f'image:={CAMERA_TOPIC}']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={json.dumps(value)}']
    with log.open('wb') as out:
        # A session of its own: Ctrl-C reaches only us, and we stop the node in order.
        process = _NodeProcess(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True), log)
        try:
            yield process
        finally:
            process.stop()


@contextmanager
def _ros_node() -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = Node('vl4ad_replay', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            yield node, executor
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def _activate(node: Node, spin: Callable[[Callable[[], bool], float], bool],
              process: _NodeProcess) -> None:
    client = node.create_client(ChangeState, f'{DETECTOR}/change_state')
    if not spin(client.service_is_ready, START_TIMEOUT_S):
        raise SessionError(f'the node did not appear within {START_TIMEOUT_S:.0f} s; '
                           f'{process.tail()}')
    for name, number in (('configure', Transition.TRANSITION_CONFIGURE),
                         ('activate', Transition.TRANSITION_ACTIVATE)):
        future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
        if not spin(future.done, START_TIMEOUT_S) or not future.result().success:
            raise SessionError(f'the node would not {name}; {process.tail()}')
