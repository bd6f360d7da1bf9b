# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the result bag of an offline evaluation: what a node would have published in no time."""

from __future__ import annotations

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
from vl4ad_ros.evaluation.result_bag import CAMERA_TOPIC, JPEG_QUALITY
from vl4ad_ros.evaluation.vision_messages import DETECTIONS, detections, OBSTACLES, obstacles
from vl4ad_ros.settings import NODE_NAME, Settings

MASK_TOPIC, SCORE_TOPIC, DETECTIONS_TOPIC, ALERTS_TOPIC, OBSTACLES_TOPIC = (
    f'/{NODE_NAME}/{name}' for name in ('mask', 'score', 'detections', 'alerts', 'obstacles'))
_STEPS = 256
"""Number of steps from 0 to 1 that scores are rounded to."""


class OfflineBag:
    """
    An mcap bag with the frames, their results and their labels, in the time of the recording.

    Topics and types are those of a replay, without markers and diagnostics. Every
    message carries the header of its frame and is written at the record time of the frame. Scores
    are rounded to multiples of 1/256, so that the file compresses well. The bag depends only on
    the recording, on the parameters and on the scores: the same ones give the same bytes.
    """

    def __init__(self, path: Path, bag: CameraBag, settings: Settings) -> None:
        """
        Create the bag; leave the context manager to complete it.

        :param path: folder of the bag; it must not exist yet.
        :param bag: the recording.
        :param settings: the parameters of the node, for the threshold and the frame of obstacles.
        :raises rosbags.rosbag2.WriterError: if `path` exists already.
        """
        self._bag, self._settings = bag, settings
        self._types = typestore().types
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        kinds = {CAMERA_TOPIC: COMPRESSED, MASK_TOPIC: RAW, SCORE_TOPIC: RAW,
                 DETECTIONS_TOPIC: DETECTIONS, ALERTS_TOPIC: DETECTIONS,
                 OBSTACLES_TOPIC: OBSTACLES}
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
            header, done.prediction.mask(self._settings.threshold), 'mono8'))
        score = np.round(done.prediction.score * _STEPS) / np.float32(_STEPS)
        self._write(SCORE_TOPIC, done, self._image(header, score, '32FC1'))
        self._write(DETECTIONS_TOPIC, done, detections(header, done.result.detections))
        if done.result.alerts is not None:
            self._write(ALERTS_TOPIC, done, detections(header, done.result.alerts))
        if done.result.obstacles is not None:
            in_metres = self._types['std_msgs/msg/Header'](
                header.stamp, self._settings.ground_frame_id)
            self._write(OBSTACLES_TOPIC, done, obstacles(in_metres, done.result.obstacles))
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
