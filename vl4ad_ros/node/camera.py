# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One image stream: its subscription, its pipeline and everything published about it."""

from __future__ import annotations

from dataclasses import dataclass
import time
from typing import Any, Callable, NamedTuple

import numpy as np
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.images import compressed_to_rgb, image_to_rgb
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.inference.errors import BackendError, FatalBackendError
from vl4ad_ros.node import messages, overlay, qos
from vl4ad_ros.node.health import Health
from vl4ad_ros.node.mailbox import Mailbox
from vl4ad_ros.node.publishers import source_problem
from vl4ad_ros.node.worker import Worker
from vl4ad_ros.obstacles.pipeline import Pipeline, Result
from vl4ad_ros.settings import Settings

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

_QUIET_S = 5.0
"""Seconds between two log lines about the same trouble."""


@dataclass(frozen=True)
class Configuration:
    """What a frame is processed with, from its start to its last message."""

    settings: Settings
    prompts: Prompts


class Received(NamedTuple):
    """A message, and the node's clock when it came, ns."""

    message: Any
    at_ns: int


class Camera:
    """
    Answer each image of one topic with results that carry its header and its size.

    Publishers live between `open` and `close`, images come between `start` and `stop`. All work
    on an image is done in one worker thread.

    :ivar configuration: what the next image is processed with; replaced whole at any time.
    :param give_up: called from the worker when it cannot go on: with a `FatalBackendError` if
        only a new process can.
    """

    def __init__(self, node: LifecycleNode, detector: Detector, configuration: Configuration,
                 give_up: Callable[[Exception], None]) -> None:
        self._node = node
        self._detector = detector
        self.configuration = configuration
        self._give_up = give_up
        self._topic = ''
        self._publishers: list[LifecyclePublisher] = []
        self._subscription = None
        self._worker: Worker | None = None
        self._reset()

    def open(self) -> None:
        """Create the publishers."""
        # The compressed topic is a sibling of the remapped one: 'image/compressed' itself would
        # not follow a remap of 'image'.
        self._topic = self._node.resolve_topic_name('image')
        self._type, self._decode = Image, image_to_rgb
        if self.configuration.settings.image_transport == 'compressed':
            self._type, self._decode = CompressedImage, compressed_to_rgb
            self._topic += '/compressed'
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
        self._profile = qos.newest_image()
        self._subscription = self._node.create_subscription(
            self._type, self._topic, self._receive, self._profile,
            qos_overriding_options=qos.overridable(),
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=lambda event: self._health.lost(event.total_count_change)))
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

    def close(self) -> None:
        """Stop and destroy the publishers."""
        self.stop()
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def report(self) -> tuple[bytes, str, dict[str, str]]:
        """Return level, sentence and values for `/diagnostics`."""
        source = source_problem(self._node, self._topic, self._type, self._profile)
        return self._health.report(self.configuration.settings, source,
                                   self._node.count_publishers(self._topic),
                                   self._mailbox.replaced)

    def _reset(self) -> None:
        self._mailbox: Mailbox[Received] = Mailbox()
        self._health = Health(self._topic)
        self._pipeline = Pipeline()

    def _publisher(self, kind: type, name: str, profile: Any) -> LifecyclePublisher:
        publisher = self._node.create_lifecycle_publisher(
            kind, f'~/{name}', profile, qos_overriding_options=qos.overridable())
        self._publishers.append(publisher)
        return publisher

    def _receive(self, message: Any) -> None:
        self._health.received(len(message.data))
        self._mailbox.put(Received(message, self._now_ns()))

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _process(self, received: Received) -> None:
        """Answer one image; whatever is wrong with it costs this image only."""
        began = time.monotonic()
        configuration = self.configuration
        settings, header = configuration.settings, received.message.header
        try:
            image = self._decode(received.message, max_pixels=settings.image_max_pixels)
        except Exception as error:
            said = _sentence(error)
            self._health.refused(said)
            self._node.get_logger().warning(
                f'{self._topic}: {said}', throttle_duration_sec=_QUIET_S)
            return
        try:
            prediction = self._detector.detect(image, configuration.prompts)
            stages = dict(self._detector.backend.stages)
            # By hand: rclpy's Time refuses a negative stamp.
            stamp_ns = 10 ** 9 * header.stamp.sec + header.stamp.nanosec
            result = self._pipeline.process(prediction, stamp_ns, received.at_ns, settings.limits)
            self._publish(header, image, prediction, result, settings)
        except FatalBackendError as error:
            self._give_up(error)
            return
        except Exception as error:
            if self._node.context.ok():
                self._fault(error, settings.health_fault_limit)
            return
        if result.reset:
            self._node.get_logger().warning(f'tracking begins anew: {result.reset}',
                                            throttle_duration_sec=_QUIET_S)
        self._health.processed(result, stamp_ns, received.at_ns, self._now_ns(),
                               time.monotonic() - began, stages)

    def _publish(self, header: Header, image: np.ndarray, prediction: Prediction,
                 result: Result, settings: Settings) -> None:
        mask = prediction.mask(settings.threshold)
        self._mask.publish(messages.image(header, mask, 'mono8'))
        self._detections.publish(messages.detections(header, result.detections))
        # An empty message says that there is no obstacle, which may not be known yet.
        if result.alerts is not None:
            self._alerts.publish(messages.detections(header, result.alerts))
        if self._score.get_subscription_count():
            self._score.publish(messages.image(header, prediction.score, '32FC1'))
        if self._overlay.get_subscription_count():
            self._overlay.publish(messages.image(header, overlay.draw(
                image, mask, settings.output_overlay_alpha,
                [(a.region.box, f'#{a.id} {a.caption}') for a in result.alerts or ()]), 'rgb8'))

    def _fault(self, error: Exception, limit: int) -> None:
        """Drop the frame; a backend that fails on every frame is not worth keeping active."""
        said = _sentence(error)
        self._health.fault(f'processing failed: {said}')
        self._node.get_logger().error(f'processing failed: {said}', throttle_duration_sec=_QUIET_S)
        if self._health.faults_in_a_row >= limit:
            self._give_up(BackendError(f'{limit} failures in a row, the last: {said}'))

    def _died(self, error: BaseException) -> None:
        if self._node.context.ok():
            self._give_up(RuntimeError(f'the worker died of {type(error).__name__}: {error}'))


def _sentence(error: Exception) -> str:
    """Return what an error says; those of this package are sentences, a KeyError, say, is not."""
    if isinstance(error, (ValueError, RuntimeError, OSError)):
        return str(error)
    return f'{type(error).__name__}: {error}'
