# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs one replay: starts the node in its own process, plays a bag, and records the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
import secrets
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
from vl4ad_ros.evaluation.message_store import MessageStore
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.evaluation.recorded_run import output_topic, ParameterCall, RecordedRun
from vl4ad_ros.replay.camera_replay import CameraReplay, RecordedCamera
from vl4ad_ros.replay.node_process import (
    node_process, NodeProcess, prepare_environment, ros_distro, SessionError)
from vl4ad_ros.replay.parameter_setter import ParameterSetter
from vl4ad_ros.replay.player import Player, UnansweredError
from vl4ad_ros.replay.recorder import DETECTOR, TYPES
from vl4ad_ros.settings import own_name, Settings
from vl4ad_ros.signals import check, undisturbed

START_TIMEOUT_S = 60.0
"""Longest time for the start of the node, and for each of its transitions, in seconds."""
LAST_ANSWER_TIMEOUT_S = 2.0
"""Longest time to wait for the answers to the last frame and to parameter calls, in seconds."""
ANSWER_TIMEOUT_S = 60.0
"""Longest time that the node may take for one frame in lockstep, in seconds."""
_REPORT_TIMEOUT_S = 5.0
"""Longest time to wait for a diagnostics message, in seconds; the node sends one each second."""


@dataclass(frozen=True)
class SessionOptions:
    """
    How a bag is replayed.

    :ivar bundle: name of an installed bundle, or a folder; replaces `model.bundle` of
        `parameters`.
    :ivar rate: speed, above 0; 1 is the speed of the recording. None sends each frame as soon as
        `lockstep` allows it.
    :ivar lockstep: send each frame after the answer to the one before, so that none is dropped.
    :ivar parameters: further parameters of the node, by name.
    :ivar calls: parameters to set while the bag is played.
    :ivar max_gap_s: seconds of recorded time to which a longer pause between two frames is
        shortened.
    :ivar namespace: full namespace of the node, its topics and its clock, such as ``/replay``;
        ``''`` takes one that no other replay has.
    """

    bundle: str = DEFAULT
    rate: float | None = 1.0
    lockstep: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[ParameterCall] = ()
    max_gap_s: float = 2.0
    namespace: str = ''

    @property
    def settings(self) -> Settings:
        """
        The settings with which the node starts.

        :raises ParameterError: if the node would refuse a parameter.
        """
        return Settings().changed({**self.parameters, 'model.bundle': self.bundle})


def replay(bag: CameraBag, truth: Truth | None, messages: MessageStore, log: Path,
           options: SessionOptions,
           on_result: Callable[[FrameResult], None] = lambda result: None,
           on_progress: Callable[[int], None] = lambda published: None) -> RecordedRun:
    """
    Play a bag through a new node and return what the node published.

    The node, its topics, its diagnostics and the clock have their own namespace, so the replay
    neither disturbs other nodes of the same ROS domain nor is disturbed by them. Scores are large,
    so they are recorded only if there is ground truth.

    :param bag: the recording.
    :param truth: its ground truth; None if it has none, or if nothing shall be measured.
    :param messages: an empty store for the messages of the node.
    :param log: the file for the output of the node; a file of the same name that ends in `.yaml`
        is written beside it with the parameters of the node.
    :param options: how the bag is replayed.
    :param on_result: called for every processed frame soon after its answer has arrived.
    :param on_progress: called several times a second with the number of frames published.
    :returns: the messages, results and times of the replay.
    :raises SessionError: if the node does not start, cannot be activated, ends by itself, answers
        no frame, refuses a parameter, or in lockstep does not answer a frame in time.
    :raises BagError: if the bag is damaged.
    :raises ParameterError: if the node would refuse a parameter of `options`.
    """
    return replay_cameras([RecordedCamera(bag, truth, messages, '', on_result)], log, options,
                          on_progress)[0]


def replay_cameras(cameras: Sequence[RecordedCamera], log: Path, options: SessionOptions,
                   on_progress: Callable[[int], None] = lambda published: None
                   ) -> list[RecordedRun]:
    """
    Play several cameras of a recording through one new node, as `replay` does with one.

    :param cameras: at least one. If there are several, each has a name, and all have compressed
        images or none.
    :param log: as of `replay`.
    :param options: as of `replay`. The names of the cameras replace the parameter `cameras`.
    :param on_progress: called several times a second with the number of frames published.
    :returns: what the node published about each camera, in their order.
    :raises SessionError: as `replay`, and if only some cameras have compressed images.
    """
    prepare_environment()
    compressed = [camera.bag.compressed for camera in cameras]
    if len(set(compressed)) > 1:
        raise SessionError('some of the cameras have compressed images and others do not, which '
                           'one node cannot take; replay them one by one')
    namespace = options.namespace or f'/vl4ad_replay_{secrets.token_hex(8)}'
    names = [camera.name for camera in cameras]
    own = options.settings.changed({'cameras': names})
    grounds = [RecordedGround(camera.bag, own.of_camera(camera.name)) for camera in cameras]
    poses = {own_name(name, key) if name else key: value
             for name, ground in zip(names, grounds) for key, value in ground.parameters.items()}
    options = replace(options, parameters={**options.parameters, 'cameras': names, **poses})
    parameters = _parameters(compressed[0], namespace, options)
    with node_process(parameters, namespace, log) as process, (
            _ros_node(namespace)) as (node, executor):
        return _Session(cameras, grounds, options, on_progress, process, node, executor).run()


class _Session:
    """One replay; the process of the detector and the node of this process exist already."""

    def __init__(self, cameras: Sequence[RecordedCamera], grounds: Sequence[RecordedGround],
                 options: SessionOptions, on_progress: Callable[[int], None],
                 process: NodeProcess, node: Node, executor: SingleThreadedExecutor) -> None:
        self._options, self._on_progress = options, on_progress
        self._process, self._node, self._executor = process, node, executor
        settings = options.settings
        self._replays = [
            CameraReplay(node, camera, ground, settings.of_camera(camera.name), self._go_on)
            for camera, ground in zip(cameras, grounds)]
        self._player = Player(node, self._replays, options.rate,
                              ANSWER_TIMEOUT_S if options.lockstep else None,
                              options.max_gap_s)
        self._setter = ParameterSetter(node, f'{node.get_namespace()}{DETECTOR}', options.calls,
                                       options.rate or 1.0)

    def run(self) -> list[RecordedRun]:
        """Activate the node, play the bag, wait for the last answers, and return the results."""
        replays, setter = self._replays, self._setter
        self._activate()
        # A recorder subscribes to diagnostics last. So once they arrive, the detector has
        # discovered all subscriptions of this process, and the first answer is not lost either.
        if not self._spin(lambda: (setter.ready and self._player.has_listeners and all(
                one.recorder.is_connected and 'bad' in one.recorder.facts for one in replays)),
                START_TIMEOUT_S):
            raise SessionError('the node is active, but it does not subscribe to the images or '
                               f'does not publish results; {self._process.tail()}')
        if self._player.has_rivals:
            raise SessionError(f'another replay runs in the namespace {self._options.namespace}; '
                               'choose another one with --namespace')
        self._player.show_start()
        self._spin(lambda: False, 0.5)
        self._play()
        self._spin(lambda: all(one.done for one in replays), LAST_ANSWER_TIMEOUT_S)
        self._spin(lambda: False, 0.3)
        for one in replays:
            one.complete(final=True)
        if not self._spin(lambda: setter.done, LAST_ANSWER_TIMEOUT_S) or setter.refusals:
            raise SessionError('the node did not accept parameters during the replay: '
                               f'{"; ".join(setter.refusals) or "no answer"}; '
                               f'{self._process.tail()}')
        for one in replays:
            if not one.answered:
                raise SessionError(f'the node answered 0 of {len(one.matcher.sent_ns)} frames of '
                                   f'{one.camera.bag.topic}; {self._process.tail()}')
        # Only the diagnostics say how many frames the node refused. A report that arrives from
        # here on includes all frames.
        reports = [one.recorder.reports for one in replays]
        if not self._spin(lambda: all(one.recorder.reports > earlier for one, earlier in
                                      zip(replays, reports)), _REPORT_TIMEOUT_S):
            raise SessionError('the node does not publish diagnostics any more; '
                               f'{self._process.tail()}')
        facts = replays[0].recorder.facts
        about: dict[str, Any] = {
            'model': facts['bundle'], 'backend': facts['backend'], 'ros_distro': ros_distro()}
        about |= {'rate': self._options.rate} if self._options.rate else {}
        about |= {'lockstep': True} if self._options.lockstep else {}
        about |= {'notice': facts['notice']} if facts.get('notice') else {}
        return [one.run(about, tuple(setter.made)) for one in replays]

    def _activate(self) -> None:
        client = self._node.create_client(
            ChangeState, f'{self._node.get_namespace()}{DETECTOR}/change_state')
        if not self._spin(client.service_is_ready, START_TIMEOUT_S):
            raise SessionError(f'the node did not start within {START_TIMEOUT_S:.0f} s; '
                               f'{self._process.tail()}')
        for name, number in (('configure', Transition.TRANSITION_CONFIGURE),
                             ('activate', Transition.TRANSITION_ACTIVATE)):
            future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
            if not self._spin(future.done, START_TIMEOUT_S) or not future.result().success:
                raise SessionError(f'the node failed to {name}; {self._process.tail()}')

    def _play(self) -> None:
        stop = Event()
        pool = ThreadPoolExecutor(1, 'player')
        try:
            playing = pool.submit(self._player.play, stop)
            self._spin(lambda: self._sent > 0 or playing.done(), START_TIMEOUT_S)
            self._setter.start()
            while not self._spin(playing.done, 0.2):
                self._on_progress(self._sent)
        finally:
            with undisturbed():
                stop.set()
                pool.shutdown()
        try:
            playing.result()
        except UnansweredError as error:
            raise SessionError(f'{error}; {self._process.tail()}') from error
        self._on_progress(self._sent)

    @property
    def _sent(self) -> int:
        """The number of frames that were sent, of all cameras."""
        return sum(len(one.matcher.sent_ns) for one in self._replays)

    def _go_on(self) -> None:
        self._player.go_on()

    def _spin(self, until: Callable[[], bool], seconds: float) -> bool:
        """Receive messages until a condition holds or the time is over; return the condition."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            check()
            self._process.check()
            self._executor.spin_once(timeout_sec=0.05)
            for one in self._replays:
                one.complete()
        return until()


def _parameters(compressed: bool, namespace: str, options: SessionOptions) -> dict[str, Any]:
    """Return the parameters of the node."""
    parameters = {**options.parameters, 'model.bundle': options.bundle, 'use_sim_time': True,
                  'image_transport': 'compressed' if compressed else 'raw'}
    if options.lockstep:
        # No message may be lost, or be replaced by a newer one before it is sent.
        parameters |= {f'qos_overrides.{namespace}/odometry.subscription.{name}': value
                       for name, value in (('reliability', 'reliable'), ('depth', 1000))}
        for camera in options.parameters['cameras']:
            image = f'{namespace}/{camera and camera + "/"}image{"/compressed" * compressed}'
            parameters[f'qos_overrides.{image}.subscription.reliability'] = 'reliable'
            parameters |= {
                f'qos_overrides.{namespace}{output_topic(DETECTOR, camera, name)}.publisher.depth':
                10 for name in TYPES}
    return parameters


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
