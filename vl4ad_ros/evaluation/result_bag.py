# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the result bag of a replay: camera images and all results in the recorded time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, COMPRESSED, RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.recorded_run import RecordedRun
from vl4ad_ros.evaluation.vision_messages import DETECTIONS, OBSTACLES

DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
MARKERS = 'visualization_msgs/msg/MarkerArray'
CAMERA_TOPIC = '/camera/image/compressed'
JPEG_QUALITY = 90


def write_result_bag(run: RecordedRun, path: Path) -> Path:
    """
    Write camera, mask, score, detections, alerts, obstacles, markers and diagnostics as mcap bag.

    All times are those of the recording: headers are as recorded, and each result is written as
    long after its frame as it took to arrive. Camera images are written as JPEG; a frame that
    cannot be decoded is left out. Scores are rounded to half precision, so that the file
    compresses better.

    :param run: the replay.
    :param path: folder of the bag; it must not exist yet.
    :returns: `path`.
    :raises BagError: if the recording is damaged.
    :raises rosbags.rosbag2.WriterError: if `path` exists already.
    """
    types = {run.topic(name): kind for name, kind in (
        ('mask', RAW), ('score', RAW), ('detections', DETECTIONS), ('alerts', DETECTIONS),
        ('obstacles', OBSTACLES), ('markers', MARKERS))}
    types |= {'/diagnostics': DIAGNOSTICS, CAMERA_TOPIC: COMPRESSED}
    store = typestore()
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {t: writer.add_connection(t, k, typestore=store) for t, k in types.items()}
        for frame in run.bag.frames():
            image = _jpeg(run, frame) if frame.index in run.sent_ns else None
            if image is not None:
                writer.write(connections[CAMERA_TOPIC], frame.time_ns, image)
        for entry, cdr in run.messages:
            if entry.topic.endswith('/score'):
                cdr = _halved(cdr)
            time_ns = run.bag_time_ns(entry.received_ns)
            writer.write(connections[entry.topic], time_ns, cdr)
    return path


def _jpeg(run: RecordedRun, frame: BagFrame) -> bytes | None:
    """Return a frame as a serialised CompressedImage; None if it cannot be decoded."""
    if run.bag.compressed:
        return frame.cdr
    try:
        rgb = run.bag.decode(frame, run.max_pixels, run.max_value)
    except BagError:
        return None
    store = typestore()
    data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
    original: Any = store.deserialize_cdr(frame.cdr, RAW)
    message = store.types[COMPRESSED](original.header, 'rgb8; jpeg compressed bgr8', data)
    return bytes(store.serialize_cdr(message, COMPRESSED))


def _halved(cdr: bytes) -> bytes:
    """Round the values of a serialised 32FC1 image to half precision (11 significant bits)."""
    message: Any = typestore().deserialize_cdr(cdr, RAW)
    rounded = message.data.view(np.float32).astype(np.float16).astype(np.float32)
    fields = {k: v for k, v in vars(message).items() if not k.startswith('_')}
    again = type(message)(**{**fields, 'data': rounded.view(np.uint8)})
    return bytes(typestore().serialize_cdr(again, RAW))
