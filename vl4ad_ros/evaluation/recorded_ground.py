# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground and the motion of the vehicle at the frames of a recording, as the node has them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.bag_reader import BagFrame, CameraBag
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.recorded_pose import RecordedPose
from vl4ad_ros.evaluation.storage.stored import frame_id_of
from vl4ad_ros.obstacles.ground_view import GroundView
from vl4ad_ros.obstacles.motion import Motion, MotionLog
from vl4ad_ros.obstacles.mounting import NoGround, PoseSource
from vl4ad_ros.settings import ParameterError, Settings

CAMERA_INFO, ODOMETRY = 'sensor_msgs/msg/CameraInfo', 'nav_msgs/msg/Odometry'
AHEAD = 2
"""How many frames odometry is ahead, because it may be recorded after a frame of its stamp."""
_STANDING_M = 0.5  # Odometry of a vehicle that stands wanders by less.


class RecordedGround:
    """
    The CameraInfo, the pose of the camera and the odometry of a recording.

    CameraInfo is that of the topic `camera_info` beside the image topic. A frame has the newest
    one that was recorded up to its time. Frames before the first one have the first one, because a
    driver may publish an image before its CameraInfo. Odometry is that of the first topic of this
    type, in the order of their names. If parameters do not give the pose of the camera, TF does.

    Nothing is read while the pose of the camera is not known, because without a pose there are no
    positions.

    :ivar frame_id: the frame of the vehicle, in which positions are given.
    :ivar unknown: number of frames without a view though parameters or TF and CameraInfo should
        give one.
    :ivar reason: why the last of them had none, as a sentence; ``''`` if there was none.
    :ivar parameters: the parameters of the node that stand for the pose from TF, by their names;
        empty if parameters give the pose, or if the camera moves on the vehicle.
    """

    def __init__(self, bag: CameraBag, settings: Settings) -> None:
        """
        Read the messages.

        :param bag: the recording.
        :param settings: what parameters say about the camera and the ground.
        :raises BagError: if the recording is damaged.
        """
        self.frame_id = settings.ground_frame_id
        self.unknown, self.reason = 0, ''
        self._mounting = settings.mounting
        self._topic = f"{bag.topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
        self._times_ns: list[int] = []
        self._infos: list[Any] = []
        self._frames_ns: Sequence[int] = bag.times_ns
        self._motions: list[tuple[int, Any]] = []
        self._log, self._passed = MotionLog(), 0
        self.parameters: dict[str, float] = {}
        fixed = self._mounting.fixed
        tf = None if fixed else RecordedPose(bag, settings.ground_frame_id)
        self._source: PoseSource | None = fixed or tf
        self._wanted = tf is None or not tf.empty
        if not self._wanted:
            return
        last = b''
        for _, time_ns, message in bag.messages_of(CAMERA_INFO, self._topic):
            content = _content(message)
            if content != last:
                last = content
                self._times_ns.append(time_ns)
                self._infos.append(message)
        self._wanted = tf is None or bool(self._infos)
        if self._wanted:
            self._motions = _odometry(bag)
        if self._wanted and tf is not None:
            self.parameters = _parameters(tf, bag, settings)
            # The node gets these parameters in a replay, so that both see the same pose.
            self._mounting = settings.changed(self.parameters).mounting

    @property
    def has_odometry(self) -> bool:
        """Whether there is odometry, and positions that it serves."""
        return bool(self._motions)

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

    def odometry(self, index: int) -> list[Any]:
        """
        Return the odometry that comes before a frame, once; the frames are asked for in order.

        :param index: of the frame.
        :returns: the messages that were recorded up to the time of the frame `AHEAD` later, and
            that were not returned before.
        """
        last = min(index + AHEAD, len(self._frames_ns) - 1)
        end = bisect_right(self._motions, self._frames_ns[last], key=lambda one: one[0])
        found = [message for _, message in self._motions[self._passed:end]]
        self._passed = max(end, self._passed)
        return found

    def motion(self, frame: BagFrame) -> Motion | None:
        """
        Return the motion of the vehicle at a frame; None without odometry.

        :param frame: of the recording; the frames are asked for in order.
        """
        for message in self.odometry(frame.index):
            self._log.add(message)
        return self._log.at(frame.stamp_ns)

    def path_ahead(self, frame: BagFrame, reach_m: float) -> np.ndarray:
        """
        Return where the vehicle went after a frame, by odometry.

        :param frame: of the recording.
        :param reach_m: distance in metres at which the path ends.
        :returns: (N, 2) float64, x and y in metres in the frame of the vehicle at the frame, the
            nearest point first; N is 0 if odometry does not cover the frame, or if the vehicle
            did not move.
        """
        poses = self._poses
        later = poses[poses[:, 0] > frame.stamp_ns]
        if len(later) == len(poses) or not len(later):
            return np.zeros((0, 2))
        here = [np.interp(frame.stamp_ns, poses[:, 0], column) for column in poses.T[1:]]
        turn = np.array([[np.cos(here[2]), -np.sin(here[2])], [np.sin(here[2]), np.cos(here[2])]])
        path = np.concatenate([np.zeros((1, 2)), (later[:, 1:3] - here[:2]) @ turn])
        away = np.hypot(*path.T)
        path = path[:int(np.argmax(np.append(away, np.inf) > reach_m))]
        return path if away.max() > _STANDING_M else np.zeros((0, 2))

    @cached_property
    def _poses(self) -> np.ndarray:
        """Stamp in ns, x, y and unwrapped yaw of each odometry message, in the order of stamps."""
        motions = sorted((motion for _, message in self._motions
                          if (motion := Motion.of(message)) is not None),
                         key=lambda motion: motion.stamp_ns)
        if not motions:
            return np.zeros((0, 4))
        return np.column_stack([
            [m.stamp_ns for m in motions], [m.x_m for m in motions], [m.y_m for m in motions],
            np.unwrap([m.yaw_rad for m in motions])])

    def view(self, frame: BagFrame, image_size: tuple[int, int]) -> GroundView | None:
        """
        Return the ground as a frame shows it; None if it is not known.

        :param frame: of the recording.
        :param image_size: (rows, columns) of its image.
        """
        if not self._wanted or self._source is None:
            return None
        try:
            info = self.info(frame.time_ns)
            if info is None:
                raise NoGround(f'the recording has no CameraInfo on {self._topic}')
            # Without a stamp, the time of recording is the best that is known.
            stamp_ns = frame.stamp_ns if frame.stamp_ns > 0 else frame.time_ns
            return self._mounting.view(info, image_size, self._source, frame_id_of(frame.cdr),
                                       stamp_ns)
        except NoGround as error:
            self.unknown, self.reason = self.unknown + 1, str(error)
            return None


def _parameters(pose: RecordedPose, bag: CameraBag, settings: Settings) -> dict[str, float]:
    """Return the parameters that stand for a pose that does not change; empty if it does."""
    try:
        fixed = pose.fixed_pose(frame_id_of(bag.frame(0).cdr))
        if fixed is None:
            return {}
        found = {f'camera.{name}': value for name, value in fixed.angles.items()}
        settings.changed(found)
    except (NoGround, ParameterError):
        return {}
    return found


def _content(info: Any) -> bytes:
    """Return what a CameraInfo says, without its stamp."""
    cdr = typestore().serialize_cdr(info, CAMERA_INFO)
    return bytes(cdr)[12:]  # the header of CDR and the stamp


def _odometry(bag: CameraBag) -> list[tuple[int, Any]]:
    """Return time and message of the first topic with odometry, in the order of their times."""
    first, found = '', []
    for topic, time_ns, message in bag.messages_of(ODOMETRY):
        first = first or topic
        if topic != first:
            break
        found.append((time_ns, message))
    return sorted(found, key=lambda one: one[0])
