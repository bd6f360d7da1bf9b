# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The way of one image from its message to its published results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any, NamedTuple, Protocol

import numpy as np
from rclpy.lifecycle import LifecycleNode

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.images import SampleDepth
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import BackendError, FatalBackendError
from vl4ad_ros.node.frame_watch import FrameWatch
from vl4ad_ros.node.ground_source import GroundSource
from vl4ad_ros.node.health import Health
from vl4ad_ros.node.lifecycle import sentence
from vl4ad_ros.node.obstacle_outputs import ObstacleOutputs
from vl4ad_ros.node.outputs import Outputs
from vl4ad_ros.obstacles.pipeline import Pipeline
from vl4ad_ros.settings import Settings

_LOG_INTERVAL_S = 5.0
"""Seconds between two log lines about the same problem."""


class Convert(Protocol):
    """Converts a message to (H, W, 3) uint8 RGB; raises ConvertError if it cannot be read."""

    def __call__(self, message: Any, *, max_pixels: int, depth: SampleDepth) -> np.ndarray:
        """Return the image, whose width times height is at most `max_pixels`."""


@dataclass(frozen=True)
class Configuration:
    """
    Everything that can change between two frames; each frame is processed with one of these.

    :ivar settings: the parameters.
    :ivar prompts: the encoded prompts.
    """

    settings: Settings
    prompts: Prompts


class Received(NamedTuple):
    """
    A message that waits to be processed.

    :ivar message: `Image` or `CompressedImage`.
    :ivar at_ns: the node's clock when the message arrived, in ns.
    """

    message: Any
    at_ns: int


class Faults:
    """
    Counts the frames in a row, of all cameras, that could not be processed.

    A camera that makes every one of its frames fail does not stop the node while the frames of
    others can be processed.

    :ivar in_a_row: the count.
    """

    def __init__(self) -> None:
        self.in_a_row = 0


class FrameProcessor:
    """
    Processes the images of one camera from one activation to the next deactivation.

    :param node: gives the clock and the log.
    :param camera: name of the camera; '' for the only one.
    :param topic: of the images, for the log.
    :param detector: runs the network.
    :param convert: converts a message to RGB.
    :param ground: gives the ground as each image shows it.
    :param outputs: publishes the results.
    :param obstacles: publishes what stands on the ground, for all cameras.
    :param health: counts what happens to the images.
    :param faults: are counted for all cameras.
    :param give_up: is called when no further image can be processed: with a `FatalBackendError`
        if only a new process can.
    """

    def __init__(self, node: LifecycleNode, camera: str, topic: str, detector: Detector,
                 convert: Convert, ground: GroundSource, outputs: Outputs,
                 obstacles: ObstacleOutputs, health: Health, faults: Faults,
                 give_up: Callable[[Exception], None]) -> None:
        """Start with no tracks, and with nothing known of the camera's values."""
        self._node = node
        # A logger of its own, because the limit on its log lines must not silence other cameras.
        self._log = node.get_logger().get_child(camera) if camera else node.get_logger()
        self._camera = camera
        self._topic = topic
        self._detector = detector
        self._convert = convert
        self._ground = ground
        self._outputs = outputs
        self._obstacles = obstacles
        self._health = health
        self._faults = faults
        self._give_up = give_up
        self._pipeline = Pipeline()
        self._watch = FrameWatch()
        self._depth = SampleDepth()

    def process(self, received: Received, configuration: Configuration) -> bool:
        """
        Process one image; an image that cannot be processed is dropped, counted and logged.

        :param received: the message.
        :param configuration: used for the whole frame.
        :returns: whether the results were published.
        """
        began = time.monotonic()
        settings, header = configuration.settings, received.message.header
        if self._depth.max_value != settings.image_max_value:
            self._depth = SampleDepth(settings.image_max_value)
        try:
            image = self._convert(received.message, max_pixels=settings.image_max_pixels,
                                  depth=self._depth)
            self._health.depth = str(self._depth)
        except Exception as error:
            reason = sentence(error)
            self._health.refused(reason)
            self._log.warning(
                f'{self._topic}: {reason}', throttle_duration_sec=_LOG_INTERVAL_S)
            return False
        try:
            prediction = self._detector.detect(image, configuration.prompts)
            stages = dict(self._detector.backend.stages)
            self._health.looked(self._watch.look(image, prediction, settings.threshold))
            # Computed here, because rclpy's Time refuses a negative stamp.
            stamp_ns = 10 ** 9 * header.stamp.sec + header.stamp.nanosec
            view = self._ground.view(header, stamp_ns, prediction.image_size, settings.mounting)
            self._health.no_ground = self._ground.unknown
            motion = self._ground.motion(stamp_ns)
            result = self._pipeline.process(
                prediction, stamp_ns, received.at_ns, settings.limits, view, motion)
            self._outputs.publish(header, image, prediction, result, settings)
            self._obstacles.publish(self._camera, header, result, motion, received.at_ns,
                                    settings)
        except FatalBackendError as error:
            self._give_up(error)
            return False
        except Exception as error:
            if self._node.context.ok():
                self._drop(error, settings.health_fault_limit)
            return False
        self._faults.in_a_row = 0
        if result.reset:
            self._log.warning(
                f'{self._topic}: tracking was reset: {result.reset}',
                throttle_duration_sec=_LOG_INTERVAL_S)
        now_ns = self._node.get_clock().now().nanoseconds
        self._health.processed(result, stamp_ns, received.at_ns, now_ns,
                               time.monotonic() - began, stages)
        return True

    def _drop(self, error: Exception, limit: int) -> None:
        """Drop the frame, and give up after `limit` frames in a row that failed."""
        reason = sentence(error)
        self._health.fault(f'processing failed: {reason}')
        self._faults.in_a_row += 1
        self._log.error(
            f'{self._topic}: processing failed: {reason}', throttle_duration_sec=_LOG_INTERVAL_S)
        if self._faults.in_a_row >= limit:
            self._give_up(BackendError(f'{limit} failures in a row, the last: {reason}'))
