# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One image stream: its subscription, its tracks and everything published about it."""

from __future__ import annotations

from dataclasses import dataclass
import time
from typing import Any, Callable, TypeVar

import numpy as np
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import qos_policy_name_from_kind
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from vl4ad_ros.node import messages, overlay, qos
from vl4ad_ros.node.aside import aside
from vl4ad_ros.node.convert import compressed_to_rgb, ConvertError, image_to_rgb, to_message
from vl4ad_ros.node.health import Health
from vl4ad_ros.node.mailbox import Mailbox
from vl4ad_ros.node.parameters import Settings
from vl4ad_ros.node.stamps import Stamps
from vl4ad_ros.node.worker import Worker
from vl4ad_ros.obstacles.monitor import ObstacleMonitor
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.runtime.backends import BackendError, FatalBackendError
from vl4ad_ros.runtime.detector import Detector, Prediction
from vl4ad_ros.runtime.prompts import Prompts

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

_QUIET_S = 5.0
"""Seconds between two log lines about the same trouble."""
_POLL_S = 0.01
"""Seconds between two looks for an image while prompts are embedded."""

T = TypeVar('T')


@dataclass(frozen=True)
class Live:
    """What a frame is processed with, from its start to its last message."""

    settings: Settings
    prompts: Prompts


class Camera:
    """
    Answer each image of one topic with results that carry its header and its size.

    Publishers live between `open` and `close`, images come between `start` and `stop`. All work
    on an image is done in one worker thread.

    :param live: gives the pair to process the next image with.
    :param give_up: called from the worker when it cannot go on: with a `FatalBackendError` if
        only a new process can.
    """

    def __init__(self, node: LifecycleNode, detector: Detector, live: Callable[[], Live],
                 give_up: Callable[[Exception], None]) -> None:
        self._node = node
        self._detector = detector
        self._live = live
        self._give_up = give_up
        self._type, self._decode = Image, image_to_rgb
        # The compressed topic is a sibling of the remapped one: 'image/compressed' itself would
        # not follow a remap of 'image'.
        self._topic = node.resolve_topic_name('image')
        if live().settings.image_transport == 'compressed':
            self._type, self._decode = CompressedImage, compressed_to_rgb
            self._topic += '/compressed'
        self._publishers: list[LifecyclePublisher] = []
        self._subscription = None
        self._worker: Worker | None = None
        self._monitor = ObstacleMonitor()
        self._reset()

    def open(self) -> None:
        """Create the publishers."""
        self._mask = self._publisher(Image, 'mask', qos.image_result())
        self._score = self._publisher(Image, 'score', qos.image_result())
        self._overlay = self._publisher(Image, 'overlay', qos.image_result())
        self._detections = self._publisher(Detection2DArray, 'detections', qos.event())
        self._alerts = self._publisher(Detection2DArray, 'alerts', qos.event())

    @property
    def running(self) -> bool:
        """Whether images are taken."""
        return self._worker is not None

    def start(self) -> None:
        """Begin to take images."""
        self._reset()
        self._worker = Worker(self._mailbox, self._process, self._died)
        self._subscription = self._node.create_subscription(
            self._type, self._topic, self._receive, qos.newest_image(),
            qos_overriding_options=qos.overridable(),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._incompatible_qos))
        self._node.get_logger().info(f'taking images from {self._topic}')

    def stop(self) -> None:
        """
        Take no more images and finish the one in hand; may be called twice.

        :raises FatalBackendError: if the inference hangs; `give_up` was called, too.
        """
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        worker, self._worker = self._worker, None
        patience_s = self._health.patience_s
        if worker is not None and not worker.stop(patience_s):
            error = FatalBackendError(f'an inference does not end within {patience_s:.0f} s')
            self._give_up(error)
            raise error

    def keep_taking(self, work: Callable[[], T]) -> T:
        """
        Return ``work()``, taking images meanwhile; called from the executor's thread.

        A large text tower embeds new prompts for seconds.
        """
        def take() -> None:
            if self._subscription is not None:
                with self._subscription.handle:
                    taken = self._subscription.handle.take_message(self._type, False)
                if taken:
                    self._receive(taken[0])
        return aside(work, take, _POLL_S)

    def close(self) -> None:
        """Stop and destroy the publishers."""
        self.stop()
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def report(self) -> tuple[bytes, str, dict[str, str]]:
        """Return level, sentence and values for `/diagnostics`."""
        return self._health.report(self._live().settings,
                                   self._node.count_publishers(self._topic),
                                   self._mailbox.replaced)

    def _reset(self) -> None:
        self._mailbox: Mailbox[Any] = Mailbox()
        self._health = Health(self._topic)
        self._stamps = Stamps()
        self._monitor.reset()
        self._names: dict[int, str] = {}
        self._scene: tuple[int, ...] = ()
        self._last_seen = time.monotonic()

    def _publisher(self, kind: type, name: str, profile: Any) -> LifecyclePublisher:
        publisher = self._node.create_lifecycle_publisher(
            kind, f'~/{name}', profile, qos_overriding_options=qos.overridable())
        self._publishers.append(publisher)
        return publisher

    def _receive(self, message: Any) -> None:
        self._health.received()
        self._mailbox.put(message)

    def _incompatible_qos(self, event: Any) -> None:
        self._health.incompatible_qos(qos_policy_name_from_kind(event.last_policy_kind))

    def _process(self, message: Any) -> None:
        began = time.monotonic()
        live = self._live()
        try:
            image = self._decode(message)
        except ConvertError as error:
            self._health.refused(str(error))
            self._node.get_logger().warning(
                f'{self._topic}: {error}', throttle_duration_sec=_QUIET_S)
            return
        try:
            prediction = self._detector.detect(image, live.prompts)
            stages = dict(self._detector.backend.stages)
        except FatalBackendError as error:
            self._give_up(error)
            return
        except Exception as error:
            self._fault(error, live.settings.health_fault_limit)
            return
        # By hand: rclpy's Time refuses a negative stamp.
        stamp = message.header.stamp
        stamp_ns = 10 ** 9 * stamp.sec + stamp.nanosec
        odd = self._stamps.look(stamp_ns, self._node.get_clock().now().nanoseconds)
        if odd:
            self._health.odd_stamp(odd)
        self._forget_other_scene(image.shape, odd == 'back', live.settings)
        self._publish(message.header, image, prediction, live.settings)
        age_ns = self._node.get_clock().now().nanoseconds - stamp_ns
        self._health.processed(
            None if odd else age_ns / 1e9, time.monotonic() - began, stages)

    def _publish(self, header: Header, image: np.ndarray, prediction: Prediction,
                 settings: Settings) -> None:
        mask = prediction.mask(settings.threshold)
        self._mask.publish(to_message(header, mask, 'mono8'))
        obstacles = self._monitor.update(prediction.score)

        def name(region: Region) -> str:
            return prediction.class_in(region.box)[1] or 'anomaly'
        # A track that is missed keeps the name it had: its box shows something else now.
        self._names = {t.id: (t.missed and self._names.get(t.id)) or name(t.region)
                       for t in obstacles.confirmed}
        alerts = [(t.region, str(t.id), self._names[t.id]) for t in obstacles.confirmed]
        self._detections.publish(messages.detections(
            header, [(region, '', name(region)) for region in obstacles.regions]))
        self._alerts.publish(messages.detections(header, alerts))
        if self._score.get_subscription_count():
            self._score.publish(to_message(header, prediction.score, '32FC1'))
        if self._overlay.get_subscription_count():
            self._overlay.publish(to_message(header, overlay.draw(
                image, mask, settings.output_overlay_alpha,
                [(r.box, f'{what} #{number} {r.score:.2f}') for r, number, what in alerts]),
                'rgb8'))

    def _forget_other_scene(self, shape: tuple[int, ...], jumped_back: bool,
                            settings: Settings) -> None:
        """Start tracking anew where the last frame says nothing about this one."""
        now = time.monotonic()
        stalled = now - self._last_seen > settings.health_stall_timeout_s
        self._last_seen = now
        self._monitor.set_limits(settings.region_limits, settings.track_limits)
        if shape != self._scene or jumped_back or stalled:
            self._monitor.reset()
        self._scene = shape

    def _fault(self, error: Exception, limit: int) -> None:
        """Drop the frame; a backend that fails on every frame is not worth keeping active."""
        self._health.fault(f'inference failed: {error}')
        self._node.get_logger().error(f'inference failed: {error}', throttle_duration_sec=_QUIET_S)
        if self._health.faults_in_a_row >= limit:
            self._give_up(BackendError(f'{limit} inference failures in a row, the last: {error}'))

    def _died(self, error: BaseException) -> None:
        if self._node.context.ok():
            self._give_up(RuntimeError(f'the worker died of {type(error).__name__}: {error}'))
