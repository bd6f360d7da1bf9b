# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera: its subscriptions, and the publishers of the results for its images."""

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
from vl4ad_ros.node import qos
from vl4ad_ros.node.frames import Configuration, Convert, Faults, FrameProcessor, Received
from vl4ad_ros.node.ground_source import GroundSource
from vl4ad_ros.node.health import Health
from vl4ad_ros.node.obstacle_outputs import ObstacleOutputs
from vl4ad_ros.node.outputs import Outputs
from vl4ad_ros.node.publishers import COMPRESSED, source_problem
from vl4ad_ros.node.vehicle_source import VehicleSource

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


@dataclass(frozen=True)
class Shared:
    """
    What all cameras use.

    :ivar detector: runs the network.
    :ivar convert_raw: converts a message with an uncompressed image.
    :ivar obstacles: publishes what stands on the ground.
    :ivar give_up: is called from the worker thread when no further image can be processed: with a
        `FatalBackendError` if only a new process can.
    """

    detector: Detector
    convert_raw: Convert
    obstacles: ObstacleOutputs
    give_up: Callable[[Exception], None]


@dataclass(frozen=True)
class _Stream:
    """What exists only while images are taken."""

    subscription: Subscription
    profile: QoSProfile
    ground: GroundSource
    frames: FrameProcessor
    health: Health


class Camera:
    """
    Answers each image of one topic with results that carry its header and have its size.

    The publishers exist from the creation to `close`; images are taken between `start` and
    `stop`. The executor's thread only hands each message over; a worker calls `process`.

    :ivar name: of the camera; '' for the only one.
    :ivar configuration: is used from the next image on; may be replaced at any time.
    """

    def __init__(self, node: LifecycleNode, name: str, shared: Shared,
                 configuration: Configuration) -> None:
        """
        Create the publishers.

        :param node: creates the publishers and the subscriptions, and gives the clock and the log.
        :param name: of the camera; '' for the only one.
        :param shared: what all cameras use.
        :param configuration: for the first image.
        :raises Exception: what rclpy raises, such as for an unusable `qos_overrides` parameter.
        """
        self._node = node
        self.name = name
        self._shared = shared
        self.configuration = configuration
        self._stream: _Stream | None = None
        # The compressed topic is built from the remapped one: 'image/compressed' itself would not
        # follow a remapping of 'image'.
        self._remap = f'{name}/image' if name else 'image'
        self._raw_topic: str = node.resolve_topic_name(self._remap)
        self._topic = self._raw_topic
        self._type: type = Image
        self._convert = shared.convert_raw
        if configuration.settings.image_transport == 'compressed':
            self._topic += COMPRESSED
            self._type = CompressedImage
            self._convert = compressed_to_rgb
        self._outputs = Outputs(node, name)

    def start(self, vehicle: VehicleSource, faults: Faults,
              take: Callable[[str, Received], None]) -> None:
        """
        Begin to take images, with no tracks and with all counts at zero.

        :param vehicle: odometry and TF.
        :param faults: are counted for all cameras.
        :param take: is called with the name of the camera and each message; must return at once.
        :raises Exception: what rclpy raises if it cannot subscribe; no images are taken then.
        """
        health = Health(self._topic, self._remap)
        ground = GroundSource(self._node, self.name, self._raw_topic, vehicle)

        def receive(message: Any) -> None:
            health.received(len(message.data))
            take(self.name, Received(message, self._node.get_clock().now().nanoseconds))

        def lost(event: Any) -> None:
            health.lost(event.total_count_change)

        profile = qos.newest_image()
        try:
            frames = FrameProcessor(
                self._node, self.name, self._topic, self._shared.detector, self._convert, ground,
                self._outputs, self._shared.obstacles, health, faults, self._shared.give_up)
            subscription = self._node.create_subscription(
                self._type, self._topic, receive, profile,
                qos_overriding_options=qos.overridable(),
                event_callbacks=SubscriptionEventCallbacks(message_lost=lost))
        except Exception:
            ground.close()
            raise
        self._stream = _Stream(subscription, profile, ground, frames, health)
        self._node.get_logger().info(f'taking images from {self._topic}')

    def process(self, received: Received) -> bool:
        """
        Process an image; the worker calls this.

        :param received: the message.
        :returns: whether the results were published; False if no images are taken any more.
        """
        stream = self._stream
        return stream is not None and stream.frames.process(received, self.configuration)

    def stop(self) -> None:
        """Take no more images; may be called twice."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._node.destroy_subscription(stream.subscription)
            stream.ground.close()

    def close(self) -> None:
        """Stop, and destroy the publishers; may be called twice."""
        self.stop()
        self._outputs.close()

    def report(self, replaced: int, hung_s: float) -> tuple[bytes, str, dict[str, str]] | None:
        """
        Return level, sentence and values for `/diagnostics`; None if no images are taken.

        :param replaced: images that a newer one replaced before they were processed.
        :param hung_s: seconds that an inference has hung; 0 if none hangs.
        """
        stream = self._stream
        if stream is None:
            return None
        source = source_problem(self._node, self._topic, self._type, stream.profile, self._remap)
        return stream.health.report(self.configuration.settings, source,
                                    self._node.count_publishers(self._topic), replaced, hung_s)
