# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground as the frames of a recording show it, as the node would find it."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from vl4ad_ros.evaluation.bag_reader import BagFrame, CameraBag
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.obstacles.ground_view import GroundView
from vl4ad_ros.obstacles.mounting import Mounting, NoGround, UnknownPose

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_NO_POSE = UnknownPose('camera.height_m is 0, and TF is not read from recordings; set '
                       'camera.height_m')


class RecordedGround:
    """
    The CameraInfo of a recording, on the topic `camera_info` beside the image topic.

    A frame has the newest CameraInfo that was recorded up to its time. Frames before the first one
    have the first one, because a driver may publish an image before its CameraInfo.

    Nothing is read while parameters do not give the pose of the camera, because without a pose
    there are no positions.

    :ivar unknown: number of frames without a view though parameters ask for it.
    :ivar reason: why the last of them had none, as a sentence; ``''`` if there was none.
    """

    def __init__(self, bag: CameraBag, mounting: Mounting) -> None:
        """
        Read the messages.

        :param bag: the recording.
        :param mounting: what parameters say about the camera and the ground.
        :raises BagError: if the recording is damaged.
        """
        self.unknown, self.reason = 0, ''
        self._wanted = mounting.fixed is not None
        self._topic = f"{bag.topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
        self._times_ns: list[int] = []
        self._infos: list[Any] = []
        if not self._wanted:
            return
        last = b''
        for topic, time_ns, message in bag.messages_of(CAMERA_INFO):
            content = _content(message)
            if topic == self._topic and content != last:
                last = content
                self._times_ns.append(time_ns)
                self._infos.append(message)

    def info(self, time_ns: int) -> Any | None:
        """
        Return the CameraInfo of a time; None if the recording has none.

        :param time_ns: nanoseconds since the epoch, a record time.
        """
        if not self._infos:
            return None
        return self._infos[max(bisect_right(self._times_ns, time_ns) - 1, 0)]

    def serialised(self, time_ns: int) -> bytes | None:
        """
        Return the CameraInfo of a time as CDR; None if the recording has none.

        :param time_ns: nanoseconds since the epoch, a record time.
        """
        info = self.info(time_ns)
        return None if info is None else bytes(typestore().serialize_cdr(info, CAMERA_INFO))

    def view(self, frame: BagFrame, image_size: tuple[int, int],
             mounting: Mounting) -> GroundView | None:
        """
        Return the ground as a frame shows it; None if it is not known.

        :param frame: of the recording.
        :param image_size: (rows, columns) of its image.
        :param mounting: what parameters say about the camera and the ground.
        """
        if not self._wanted:
            return None
        try:
            info = self.info(frame.time_ns)
            if info is None:
                raise NoGround(f'the recording has no CameraInfo on {self._topic}')
            return mounting.view(info, image_size, _NO_POSE, '', frame.stamp_ns)
        except NoGround as error:
            self.unknown, self.reason = self.unknown + 1, str(error)
            return None


def _content(info: Any) -> bytes:
    """Return what a CameraInfo says, without its stamp."""
    cdr = typestore().serialize_cdr(info, CAMERA_INFO)
    return bytes(cdr)[12:]  # the header of CDR and the stamp
