# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One replay: the real node in a process of its own, fed from a bag over DDS and recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
import json
import os
from pathlib import Path
import random
import secrets
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

from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.evaluation.alert_metrics import FrameResult, Truth
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.ledger import Ledger
from vl4ad_ros.evaluation.replay_result import ParameterCall, Replay
from vl4ad_ros.evaluation.spool import Entry, Spool
from vl4ad_ros.node.dds import use_profile
from vl4ad_ros.replay.caller import Caller
from vl4ad_ros.replay.player import Player, UnansweredError
from vl4ad_ros.replay.recorder import DETECTOR, Recorder, TYPES
from vl4ad_ros.settings import Settings
from vl4ad_ros.signals import check, undisturbed

START_TIMEOUT_S = 60.0
LAST_ANSWER_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 60.0
"""Seconds that a frame may take in lockstep."""
_ALERTS_TIMEOUT_S = 0.25
"""Seconds after a frame's detections when there will be no alerts of that frame any more."""
_DISTROS = {'3': 'humble', '7': 'jazzy', '9': 'kilted'}


class SessionError(RuntimeError):
    """The node did not do its part; the message holds its own last words."""


@dataclass(frozen=True)
class SessionOptions:
    """
    How to replay.

    :ivar bundle: name of an installed bundle, or a folder; counts more than `parameters`.
    :ivar rate: speed, 1 is as recorded; None: each frame as soon as it may be sent.
    :ivar lockstep: send a frame only after the answer to the one before.
    :ivar parameters: further parameters of the node, by name.
    :ivar calls: parameters to set while the bag plays.
    """

    bundle: str = DEFAULT
    rate: float | None = 1.0
    lockstep: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[ParameterCall] = ()

    @property
    def settings(self) -> Settings:
        """
        What the node is started with.

        :raises ParameterError: if the node would refuse a parameter.
        """
        return Settings().changed({**self.parameters, 'model.bundle': self.bundle})


def replay(bag: CameraBag, truth: Truth | None, spool: Spool, log: Path, options: SessionOptions,
           on_result: Callable[[FrameResult], None] = lambda result: None,
           on_progress: Callable[[int], None] = lambda published: None) -> Replay:
    """
    Play `bag` through a fresh node and return what came back.

    Node, topics, diagnostics and clock have a namespace of their own, so that nothing of this
    replay reaches another node of the same domain, nor the other way round. Score maps are large:
    they are asked for only where `truth` can measure them.

    :param log: where the node's own output goes; a file of the same name that ends in `.yaml`
        tells it its parameters.
    :param on_result: called for every processed frame soon after its answer arrived.
    :param on_progress: called now and then with the number of frames published.
    :raises SessionError: if the node does not start, refuses to be activated, dies, never
        answers or refuses a parameter, or in lockstep leaves a frame without an answer.
    """
    prepare_environment()
    namespace = f'/vl4ad_replay_{secrets.token_hex(8)}'
    with _process(bag, namespace, log, options) as process, (
            _ros_node(namespace)) as (node, executor):
        return _Session(bag, truth, spool, options, on_result, on_progress, process, node,
                        executor).run()


class _Session:
    """One replay, with the node's process started and this process's own node there."""

    def __init__(self, bag: CameraBag, truth: Truth | None, spool: Spool, options: SessionOptions,
                 on_result: Callable[[FrameResult], None], on_progress: Callable[[int], None],
                 process: _NodeProcess, node: Node, executor: SingleThreadedExecutor) -> None:
        self._bag, self._truth, self._spool, self._options = bag, truth, spool, options
        self._on_result, self._on_progress = on_result, on_progress
        self._process, self._node, self._executor = process, node, executor
        self._ledger = Ledger()
        self._player = Player(node, bag, self._ledger, options.rate,
                              ANSWER_TIMEOUT_S if options.lockstep else None)
        self._recorder = Recorder(node, spool, truth is not None, self._receive, self._pass_over)
        self._caller = Caller(node, f'{node.get_namespace()}{DETECTOR}', options.calls,
                              options.rate or 1.0)
        self._answers: dict[int, Entry] = {}
        self._unsettled: deque[int] = deque()
        self._results: list[FrameResult] = []
        self._refused = 0

    def run(self) -> Replay:
        """Activate the node, play the bag, wait for the last answers, and return all."""
        sent, facts, caller = self._ledger.sent_ns, self._recorder.facts, self._caller
        self._activate()
        # The recorder listens to diagnostics last. So once they arrive, the node knows of all that
        # listens here, and not even the first answer is lost.
        if not self._spin(lambda: (caller.ready and self._player.has_listeners
                                   and self._recorder.is_connected and 'backend' in facts),
                          START_TIMEOUT_S):
            raise SessionError('the node is active but does not listen to the images or does not '
                               f'publish results; {self._process.tail()}')
        self._player.show_start()
        self._spin(lambda: False, 0.5)
        self._play()
        self._spin(lambda: max(sent) in self._answers, LAST_ANSWER_TIMEOUT_S)
        self._spin(lambda: False, 0.3)
        self._settle(final=True)
        if not self._spin(lambda: caller.done, LAST_ANSWER_TIMEOUT_S) or caller.refusals:
            raise SessionError('the node would not take parameters while frames flowed: '
                               f'{caller.refusals or "no answer"}; {self._process.tail()}')
        if not self._results:
            raise SessionError(f'the node answered none of {len(sent)} frames; '
                               f'{self._process.tail()}')
        about = {'model': facts['bundle'], 'backend': facts['backend'],
                 'ros_distro': ros_distro()}
        about |= {'rate': self._options.rate} if self._options.rate else {}
        about |= {'lockstep': True} if self._options.lockstep else {}
        about |= {'notice': facts['notice']} if facts.get('notice') else {}
        return Replay(self._bag, self._truth, tuple(self._results), dict(sent), self._answers,
                      self._spool, DETECTOR, about, tuple(caller.made))

    def _activate(self) -> None:
        client = self._node.create_client(
            ChangeState, f'{self._node.get_namespace()}{DETECTOR}/change_state')
        if not self._spin(client.service_is_ready, START_TIMEOUT_S):
            raise SessionError(f'the node did not appear within {START_TIMEOUT_S:.0f} s; '
                               f'{self._process.tail()}')
        for name, number in (('configure', Transition.TRANSITION_CONFIGURE),
                             ('activate', Transition.TRANSITION_ACTIVATE)):
            future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
            if not self._spin(future.done, START_TIMEOUT_S) or not future.result().success:
                raise SessionError(f'the node would not {name}; {self._process.tail()}')

    def _play(self) -> None:
        sent, stop = self._ledger.sent_ns, Event()
        pool = ThreadPoolExecutor(1, 'player')
        try:
            playing = pool.submit(self._player.play, stop)
            self._spin(lambda: bool(sent) or playing.done(), START_TIMEOUT_S)
            self._caller.start()
            while not self._spin(playing.done, 0.2):
                self._on_progress(len(sent))
        finally:
            with undisturbed():
                stop.set()
                pool.shutdown()
        try:
            playing.result()
        except UnansweredError as error:
            raise SessionError(f'{error}; {self._process.tail()}') from error
        self._on_progress(len(sent))

    def _spin(self, until: Callable[[], bool], seconds: float) -> bool:
        """Receive until something is the case, or for some time; return whether it is."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            check()
            self._process.check()
            self._executor.spin_once(timeout_sec=0.05)
            self._settle()
        return until()

    def _receive(self, detections: Entry) -> None:
        index = self._ledger.answer(detections.stamp_ns, detections.received_ns)
        if index is not None:
            self._answers[index] = detections
            self._unsettled.append(index)
            self._player.go_on()

    def _pass_over(self) -> None:
        """In lockstep, go on after a frame that the node counts as one it could not use."""
        refused = sum(int(self._recorder.facts.get(name, 0)) for name in ('bad', 'faults'))
        latest = max(self._ledger.sent_ns, default=None)
        if self._options.lockstep and refused > self._refused and latest not in self._answers:
            self._ledger.refuse(latest)
            self._player.go_on()
        self._refused = refused

    def _settle(self, final: bool = False) -> None:
        """Turn answers into results once their alerts are there, or will not come."""
        while self._unsettled:
            index = self._unsettled[0]
            answer = self._answers[index]
            alerts = self._recorder.alerts(answer)
            waited_s = (time.time_ns() - answer.received_ns) / 1e9
            if alerts is None and waited_s < _ALERTS_TIMEOUT_S and not final:
                return
            self._unsettled.popleft()
            age_ns = answer.received_ns - self._ledger.sent_ns[index]
            self._results.append(FrameResult(index, age_ns, alerts))
            self._on_result(self._results[-1])


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
        """Return the node's last words."""
        lines = self._log.read_text(errors='replace').splitlines()[-8:]
        said = '\n    '.join(lines) if lines else '(nothing)'
        return f'its last output:\n    {said}'

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
def _process(bag: CameraBag, namespace: str, log: Path,
             options: SessionOptions) -> Iterator[_NodeProcess]:
    command = [sys.executable, '-m', 'vl4ad_ros.node.child', str(os.getpid()), '--ros-args',
               '--params-file', str(_write_parameters(bag, namespace, log, options)),
               '--disable-rosout-logs', '-r', f'__ns:={namespace}']
    for topic in ('/clock', '/diagnostics'):
        command += ['-r', f'{topic}:={namespace}{topic}']
    with log.open('wb') as out:
        # A session of its own: Ctrl-C reaches only us, and we stop the node in order.
        process = _NodeProcess(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True), log)
        try:
            yield process
        finally:
            with undisturbed():
                process.stop()


def _write_parameters(bag: CameraBag, namespace: str, log: Path, options: SessionOptions) -> Path:
    """Write all parameters of the node as a file and return it."""
    parameters = {**options.parameters, 'model.bundle': options.bundle, 'use_sim_time': True,
                  'image_transport': 'compressed' if bag.compressed else 'raw'}
    if options.lockstep:
        # Nothing may be lost on the way, nor replaced by something newer before it is sent.
        image = f'{namespace}/image{"/compressed" if bag.compressed else ""}'
        parameters[f'qos_overrides.{image}.subscription.reliability'] = 'reliable'
        parameters |= {f'qos_overrides.{namespace}{DETECTOR}/{name}.publisher.depth': 10
                       for name in TYPES}
    path = log.with_suffix('.yaml')
    # JSON is YAML.
    path.write_text(json.dumps({'/**': {'ros__parameters': parameters}}, ensure_ascii=False),
                    encoding='utf-8')
    return path


@contextmanager
def _ros_node(namespace: str) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = Node('vl4ad_replay', context=context, namespace=namespace, enable_rosout=False)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            yield node, executor
        finally:
            with undisturbed():
                executor.shutdown()
                node.destroy_node()
    finally:
        with undisturbed():
            rclpy.shutdown(context=context)
