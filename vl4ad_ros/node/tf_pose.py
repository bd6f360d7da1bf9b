# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pose of the camera from TF. Only this file imports tf2_ros, which may be missing."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from vl4ad_ros.obstacles.ground_view import CameraPose
from vl4ad_ros.obstacles.mounting import NoGround, PoseSource, UnknownPose


class TfPose:
    """
    Looks the pose of the camera up in TF, at the stamp of each image.

    :param node: subscribes to `/tf` and `/tf_static`.
    :param library: the module `tf2_ros`.
    :param vehicle_frame: the frame of the vehicle, whose plane z = 0 is the ground.
    """

    def __init__(self, node: Node, library: Any, vehicle_frame: str) -> None:
        """Begin to listen."""
        self._library = library
        self._vehicle_frame = vehicle_frame
        self._buffer = library.Buffer()
        self._listener = library.TransformListener(self._buffer, node)

    def pose(self, camera_frame: str, stamp_ns: int) -> CameraPose:
        """
        Return the pose of the camera.

        :param camera_frame: `frame_id` of the image, an optical frame (REP 103).
        :param stamp_ns: stamp of the image, in ns; the newest pose is taken if it is 0 or less.
        :raises NoGround: if TF does not know it.
        """
        if not camera_frame:
            raise NoGround('the images have no frame_id, so TF cannot give the pose of their '
                           'camera; set it in the driver, or set camera.height_m')
        try:
            found = self._buffer.lookup_transform(
                self._vehicle_frame, camera_frame, Time(nanoseconds=max(stamp_ns, 0)))
            turn, place = found.transform.rotation, found.transform.translation
            return CameraPose.of_transform((turn.x, turn.y, turn.z, turn.w),
                                           (place.x, place.y, place.z))
        except (self._library.TransformException, ValueError) as error:
            raise NoGround(
                f"TF has no usable pose of '{camera_frame}' in '{self._vehicle_frame}': {error}; "
                'publish it, or set camera.height_m') from error

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()


def open_tf(node: Node, vehicle_frame: str) -> PoseSource:
    """
    Return the poses that TF knows.

    :param node: subscribes to TF.
    :param vehicle_frame: the frame of the vehicle.
    :returns: the source; without tf2_ros one that knows no pose and says so.
    """
    try:
        import tf2_ros
    except ImportError:
        return UnknownPose('the pose of the camera is not known: camera.height_m is 0 and tf2_ros '
                           'is not installed; set camera.height_m or install tf2_ros')
    return TfPose(node, tf2_ros, vehicle_frame)
