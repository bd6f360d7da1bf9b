# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All cameras of the node, and the one worker that processes their images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rclpy.lifecycle import LifecycleNode

from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import FatalBackendError
from vl4ad_ros.node.camera import Camera, Shared
from vl4ad_ros.node.frames import Configuration, Convert, Faults, Received
from vl4ad_ros.node.mailbox import Mailbox
from vl4ad_ros.node.obstacle_outputs import ObstacleOutputs
from vl4ad_ros.node.vehicle_source import VehicleSource
from vl4ad_ros.node.worker import Worker


@dataclass(frozen=True)
class _Running:
    """What exists only while images are taken."""

    vehicle: VehicleSource
    mailbox: Mailbox[Received]
    worker: Worker[Received]


class Cameras:
    """
    Lets one worker, and so one engine, process the images of all cameras.

    The camera whose oldest unanswered image has waited longest comes first. Nothing that one
    camera sends delays the others by more than the time for one image.
    """

    def __init__(self, node: LifecycleNode, detector: Detector, configuration: Configuration,
                 convert_raw: Convert, give_up: Callable[[Exception], None]) -> None:
        """
        Create the publishers.

        :param node: creates publishers and subscriptions, and gives the clock and the log.
        :param detector: runs the network.
        :param configuration: for the first images; its settings name the cameras.
        :param convert_raw: converts a message with an uncompressed image.
        :param give_up: is called from the worker thread when no further image can be processed:
            with a `FatalBackendError` if only a new process can.
        :raises Exception: what rclpy raises, such as for an unusable `qos_overrides` parameter.
        """
        self._node = node
        self._give_up = give_up
        self._configuration = configuration
        self._running: _Running | None = None
        names = configuration.settings.cameras
        self._obstacles = ObstacleOutputs(node, names)
        shared = Shared(detector, convert_raw, self._obstacles, give_up)
        self._cameras: dict[str, Camera] = {}
        try:
            for name in names:
                self._cameras[name] = Camera(node, name, shared, _of(name, configuration))
        except Exception:
            self._close()
            raise

    @property
    def running(self) -> bool:
        """Whether images are taken."""
        return self._running is not None

    @property
    def configuration(self) -> Configuration:
        """What is used from the next images on: the settings of all cameras, and the prompts."""
        return self._configuration

    @configuration.setter
    def configuration(self, configuration: Configuration) -> None:
        self._configuration = configuration
        for name, camera in self._cameras.items():
            camera.configuration = _of(name, configuration)

    def start(self) -> None:
        """
        Begin to take images, with no tracks and with all counts at zero.

        :raises Exception: what rclpy raises if it cannot subscribe; no images are taken then.
        """
        self._obstacles.forget()
        settings = self._configuration.settings
        needs_tf = any(not settings.of_camera(name).mounting.fixed for name in self._cameras)
        vehicle = VehicleSource(self._node, settings.ground_frame_id, needs_tf)
        mailbox: Mailbox[Received] = Mailbox()
        faults = Faults()
        try:
            for camera in self._cameras.values():
                camera.start(vehicle, faults, mailbox.put)
        except Exception:
            for camera in self._cameras.values():
                camera.stop()
            vehicle.close()
            raise
        worker = Worker(
            mailbox, lambda name, received: self._cameras[name].process(received), self._died)
        self._running = _Running(vehicle, mailbox, worker)

    def stop(self) -> None:
        """
        Take no more images and finish the current one; may be called twice.

        :raises FatalBackendError: if the inference hangs; `give_up` was called with it, too.
        """
        running, self._running = self._running, None
        if running is None:
            return
        patience_s = running.worker.patience_s
        ended = running.worker.stop()
        for camera in self._cameras.values():
            camera.stop()
        running.vehicle.close()
        if not ended:
            error = FatalBackendError(f'an inference does not end within {patience_s:.0f} s')
            self._give_up(error)
            raise error

    def close(self) -> None:
        """
        Stop, and destroy the publishers.

        :raises FatalBackendError: as `stop` does.
        """
        self.stop()
        self._close()

    def reports(self) -> dict[str, tuple[bytes, str, dict[str, str]]]:
        """Return level, sentence and values for `/diagnostics` by camera; only while running."""
        running = self._running
        if running is None:
            return {}
        hung_s = running.worker.hung_s
        reports = {name: camera.report(running.mailbox.replaced[name], hung_s)
                   for name, camera in self._cameras.items()}
        return {name: report for name, report in reports.items() if report is not None}

    def _close(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        self._obstacles.close()

    def _died(self, error: BaseException) -> None:
        if self._node.context.ok():
            self._give_up(RuntimeError(f'the worker died of {type(error).__name__}: {error}'))


def _of(camera: str, configuration: Configuration) -> Configuration:
    """Return the configuration of one camera."""
    return replace(configuration, settings=configuration.settings.of_camera(camera))
