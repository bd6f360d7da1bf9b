# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From CameraInfo and the place of the camera on the vehicle to the view of the ground."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any, Protocol

from vl4ad_ros.obstacles.camera_model import CalibrationError, CameraModel
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundLimits, GroundView


class NoGround(Exception):
    """The ground is not known for a frame; the message is a sentence that says why."""


class PoseSource(Protocol):
    """Knows where the camera is on the vehicle."""

    def pose(self, camera_frame: str, stamp_ns: int) -> CameraPose:
        """
        Return the pose of the camera at the time of an image.

        :param camera_frame: `frame_id` of the image.
        :param stamp_ns: stamp of the image, in ns.
        :raises NoGround: if it is not known.
        """


@dataclass(frozen=True)
class FixedPose:
    """
    A pose that parameters give.

    :ivar given: the pose.
    """

    given: CameraPose

    def pose(self, camera_frame: str, stamp_ns: int) -> CameraPose:
        """Return the given pose, whatever the frame and the stamp."""
        return self.given


@dataclass(frozen=True)
class UnknownPose:
    """
    No pose at all.

    :ivar reason: a sentence that says why, and what to do.
    """

    reason: str

    def pose(self, camera_frame: str, stamp_ns: int) -> CameraPose:
        """Raise `NoGround` with the reason."""
        raise NoGround(self.reason)


@dataclass(frozen=True)
class Mounting:
    """
    What parameters say about the camera and the ground.

    :ivar fixed: the pose of the camera; None if parameters do not give it.
    :ivar rectified: whether the images are rectified.
    :ivar limits: how far the ground is trusted, and how sure that is.
    """

    fixed: FixedPose | None = None
    rectified: bool = False
    limits: GroundLimits = GroundLimits()

    def view(self, info: Any, image_size: tuple[int, int], source: PoseSource, camera_frame: str,
             stamp_ns: int) -> GroundView:
        """
        Return the ground as an image shows it.

        :param info: the CameraInfo of the camera; None if there is none yet.
        :param image_size: (rows, columns) of the image.
        :param source: gives the pose if parameters do not.
        :param camera_frame: `frame_id` of the image.
        :param stamp_ns: stamp of the image, in ns.
        :raises NoGround: if there is no CameraInfo, if it cannot be used, or if the pose is not
            known or below the ground.
        """
        if info is None:
            raise NoGround('there is no CameraInfo')
        try:
            camera = CameraModel.of(info, image_size, self.rectified)
        except CalibrationError as error:
            raise NoGround(str(error)) from error
        pose = (self.fixed or source).pose(camera_frame, stamp_ns)
        if not 0 < pose.position[2] < math.inf:
            raise NoGround(
                f'the camera is {pose.position[2]:g} m above the plane z = 0 of the vehicle, '
                'which is taken for the ground; name a frame on the ground in ground.frame_id')
        return GroundView(camera, pose, self.limits)
