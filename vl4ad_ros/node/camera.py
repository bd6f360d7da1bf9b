# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One image topic: its subscription, and the worker that processes its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from vl4ad_ros.images import compressed_to_rgb
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import FatalBackendError
from vl4ad_ros.node import qos
from vl4ad_ros.node.frames import Configuration, Convert, FrameProcessor, Received
from vl4ad_ros.node.ground_source import GroundSource
from vl4ad_ros.node.health import Health
from vl4ad_ros.node.mailbox import Mailbox
from vl4ad_ros.node.outputs import Outputs
from vl4ad_ros.node.publishers import COMPRESSED, source_problem
from vl4ad_ros.node.worker import Worker

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


@dataclass(frozen=True)
class _Stream:
    """What exists only while images are taken."""

    subscription: Subscription
    profile: QoSProfile
    ground: GroundSource
    mailbox: Mailbox[Received]
    worker: Worker[Received]
    health: Health


class Camera:
    """
    Answers each image of one topic with results that carry its header and have its size.

    The publishers exist from the creation to `close`; images are taken between `start` and
    `stop`. One worker thread does all work on an image.

    :ivar configuration: is used from the next image on; may be replaced at any time.
    """

    def __init__(self, node: LifecycleNode, detector: Detector, configuration: Configuration,
                 convert_raw: Convert, give_up: Callable[[Exception], None]) -> None:
        """
        Create the publishers.

        :param node: creates the publishers and the subscription, and gives the clock and the log.
        :param detector: runs the network.
        :param configuration: for the first image.
        :param convert_raw: converts a message with an uncompressed image.
        :param give_up: is called from the worker thread when no further image can be processed:
            with a `FatalBackendError` if only a new process can.
        :raises Exception: what rclpy raises, such as for an unusable `qos_overrides` parameter.
        """
        self._node = node
        self._detector = detector
        self.configuration = configuration
        self._give_up = give_up
        self._stream: _Stream | None = None
        # The compressed topic is built from the remapped one: 'image/compressed' itself would not
        # follow a remapping of 'image'.
        self._raw_topic: str = node.resolve_topic_name('image')
        self._topic = self._raw_topic
        self._type: type = Image
        self._convert = convert_raw
        if configuration.settings.image_transport == 'compressed':
            self._topic += COMPRESSED
            self._type = CompressedImage
            self._convert = compressed_to_rgb
        self._outputs = Outputs(node)

    @property
    def running(self) -> bool:
        """Whether images are taken."""
        return self._stream is not None

    def start(self) -> None:
        """
        Begin to take images, with no tracks and with all counts at zero.

        :raises Exception: what rclpy raises if it cannot subscribe; no images are taken then.
        """
        mailbox: Mailbox[Received] = Mailbox()
        health = Health(self._topic)
        ground = GroundSource(self._node, self._raw_topic, self.configuration.settings.mounting)
        frames = FrameProcessor(self._node, self._topic, self._detector, self._convert, ground,
                                self._outputs, health, self._give_up)

        def receive(message: Any) -> None:
            health.received(len(message.data))
            mailbox.put(Received(message, self._node.get_clock().now().nanoseconds))

        def lost(event: Any) -> None:
            health.lost(event.total_count_change)

        profile = qos.newest_image()
        try:
            subscription = self._node.create_subscription(
                self._type, self._topic, receive, profile,
                qos_overriding_options=qos.overridable(),
                event_callbacks=SubscriptionEventCallbacks(message_lost=lost))
        except Exception:
            ground.close()
            raise
        worker = Worker(
            mailbox, lambda received: frames.process(received, self.configuration), self._died)
        self._stream = _Stream(subscription, profile, ground, mailbox, worker, health)
        self._node.get_logger().info(f'taking images from {self._topic}')

    def stop(self) -> None:
        """
        Take no more images and finish the current one; may be called twice.

        :raises FatalBackendError: if the inference hangs; `give_up` was called with it, too.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._node.destroy_subscription(stream.subscription)
        stream.ground.close()
        patience_s = stream.health.patience_s
        if not stream.worker.stop(patience_s):
            error = FatalBackendError(f'an inference does not end within {patience_s:.0f} s')
            self._give_up(error)
            raise error

    def close(self) -> None:
        """
        Stop, and destroy the publishers; may be called twice.

        :raises FatalBackendError: as `stop` does.
        """
        self.stop()
        self._outputs.close()

    def report(self) -> tuple[bytes, str, dict[str, str]] | None:
        """Return level, sentence and values for `/diagnostics`; None if no images are taken."""
        stream = self._stream
        if stream is None:
            return None
        source = source_problem(self._node, self._topic, self._type, stream.profile)
        return stream.health.report(self.configuration.settings, source,
                                    self._node.count_publishers(self._topic),
                                    stream.mailbox.replaced)

    def _died(self, error: BaseException) -> None:
        if self._node.context.ok():
            self._give_up(RuntimeError(f'the worker died of {type(error).__name__}: {error}'))
