# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the result bag of an offline evaluation: what a node would have published in no time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import sys
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import CameraBag, COMPRESSED, LABEL_TOPIC, RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.offline import EvaluatedFrame
from vl4ad_ros.evaluation.result_bag import CAMERA_TOPIC, DETECTIONS, JPEG_QUALITY
from vl4ad_ros.obstacles.pipeline import ANOMALY, Finding
from vl4ad_ros.settings import NODE_NAME

MASK_TOPIC, SCORE_TOPIC, DETECTIONS_TOPIC, ALERTS_TOPIC = (
    f'/{NODE_NAME}/{name}' for name in ('mask', 'score', 'detections', 'alerts'))
_STEPS = 256
"""Number of steps from 0 to 1 that scores are rounded to."""


class OfflineBag:
    """
    An mcap bag with the frames, their results and their labels, in the time of the recording.

    Topics and types are those of a replay, without obstacles in metres and diagnostics. Every
    message carries the header of its frame and is written at the record time of the frame. Scores
    are rounded to multiples of 1/256, so that the file compresses well. The bag depends only on
    the recording, on the parameters and on the scores: the same ones give the same bytes.
    """

    def __init__(self, path: Path, bag: CameraBag, threshold: float) -> None:
        """
        Create the bag; leave the context manager to complete it.

        :param path: folder of the bag; it must not exist yet.
        :param bag: the recording.
        :param threshold: score above which a pixel is in the mask, 0 to 1.
        :raises rosbags.rosbag2.WriterError: if `path` exists already.
        """
        self._bag, self._threshold = bag, threshold
        self._types = typestore().types
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        kinds = {CAMERA_TOPIC: COMPRESSED, MASK_TOPIC: RAW, SCORE_TOPIC: RAW,
                 DETECTIONS_TOPIC: DETECTIONS, ALERTS_TOPIC: DETECTIONS}
        if bag.has_truth:
            kinds[LABEL_TOPIC] = RAW
        self._writer.open()
        self._connections = {topic: self._writer.add_connection(topic, kind, typestore=typestore())
                             for topic, kind in kinds.items()}

    def __enter__(self) -> OfflineBag:
        """Return the bag."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Complete the bag, after an error too."""
        self._writer.close()

    def add(self, done: EvaluatedFrame) -> None:
        """
        Write one processed frame.

        :param done: the frame; they are written in the order of the recording.
        """
        header = self._bag.header(done.frame)
        self._write_image(done, header)
        self._write(MASK_TOPIC, done, self._image(
            header, done.prediction.mask(self._threshold), 'mono8'))
        score = np.round(done.prediction.score * _STEPS) / np.float32(_STEPS)
        self._write(SCORE_TOPIC, done, self._image(header, score, '32FC1'))
        self._write(DETECTIONS_TOPIC, done, self._found(header, done.result.detections))
        if done.result.alerts is not None:
            self._write(ALERTS_TOPIC, done, self._found(header, done.result.alerts))
        if done.label is not None:
            self._write(LABEL_TOPIC, done, self._image(header, done.label, 'mono8'))

    def _write_image(self, done: EvaluatedFrame, header: Any) -> None:
        if self._bag.compressed:
            self._writer.write(self._connections[CAMERA_TOPIC], done.frame.time_ns,
                               done.frame.cdr)
            return
        data = cv2.imencode('.jpg', cv2.cvtColor(done.image, cv2.COLOR_RGB2BGR),
                            [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
        self._write(CAMERA_TOPIC, done, self._types[COMPRESSED](
            header, 'rgb8; jpeg compressed bgr8', data))

    def _write(self, topic: str, done: EvaluatedFrame, message: Any) -> None:
        connection = self._connections[topic]
        self._writer.write(connection, done.frame.time_ns,
                           typestore().serialize_cdr(message, connection.msgtype))

    def _image(self, header: Any, array: np.ndarray, encoding: str) -> Any:
        array = np.ascontiguousarray(array)
        return self._types[RAW](header, array.shape[0], array.shape[1], encoding,
                                int(sys.byteorder == 'big'), array.strides[0],
                                array.view(np.uint8).ravel())

    def _found(self, header: Any, found: Iterable[Finding]) -> Any:
        return self._types[DETECTIONS](header, [self._detection(header, one) for one in found])

    def _detection(self, header: Any, found: Finding) -> Any:
        """Return a detection as `node.messages` does, whose message classes need ROS 2."""
        types = self._types
        x, y, width, height = map(float, found.region.box)
        centre = types['vision_msgs/msg/Pose2D'](
            types['vision_msgs/msg/Point2D'](x + width / 2, y + height / 2), 0.0)
        scores = {ANOMALY: found.region.score, **({found.name: found.mass} if found.name else {})}
        return types['vision_msgs/msg/Detection2D'](
            header, [self._hypothesis(*pair) for pair in scores.items()],
            types['vision_msgs/msg/BoundingBox2D'](centre, width, height), found.id)

    def _hypothesis(self, name: str, score: float) -> Any:
        types = self._types
        pose = types['geometry_msgs/msg/PoseWithCovariance'](
            types['geometry_msgs/msg/Pose'](
                types['geometry_msgs/msg/Point'](0.0, 0.0, 0.0),
                types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0)),
            np.zeros(36))
        return types['vision_msgs/msg/ObjectHypothesisWithPose'](
            types['vision_msgs/msg/ObjectHypothesis'](name, float(score)), pose)
