# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bag that a replay leaves: the camera and all answers of the node on one clock."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import BagError, COMPRESSED, RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.replay_result import Replay

DETECTIONS, DIAGNOSTICS = 'vision_msgs/msg/Detection2DArray', 'diagnostic_msgs/msg/DiagnosticArray'
CAMERA_TOPIC = '/camera/image/compressed'
JPEG_QUALITY = 90


def write_result_bag(replay: Replay, path: Path) -> Path:
    """
    Write camera, mask, score, detections, alerts and diagnostics as an mcap bag.

    Everything has the time of the recording: headers are as recorded, and each answer lies as long
    after its frame as it took to arrive. Camera frames are JPEG; scores are rounded to half
    precision (11 bits), so that the file compresses better.

    :param path: the bag's folder, which must not exist.
    """
    types = {f'{replay.namespace}/{name}': kind for name, kind in (
        ('mask', RAW), ('score', RAW), ('detections', DETECTIONS), ('alerts', DETECTIONS))}
    types |= {'/diagnostics': DIAGNOSTICS, CAMERA_TOPIC: COMPRESSED}
    store = typestore()
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {t: writer.add_connection(t, k, typestore=store) for t, k in types.items()}
        for frame in replay.bag.frames():
            cdr = _jpeg(replay, frame) if frame.index in replay.sent_ns else None
            if cdr:
                writer.write(connections[CAMERA_TOPIC], frame.time_ns, cdr)
        for entry, cdr in replay.spool:
            if entry.topic.endswith('/score'):
                cdr = _halved(cdr)
            time_ns = replay.bag_time_ns(entry.received_ns)
            writer.write(connections[entry.topic], time_ns, cdr)
    return path


def _jpeg(replay: Replay, frame) -> bytes | None:
    """Return the camera message as CompressedImage; None if it cannot be decoded."""
    if replay.bag.compressed:
        return frame.cdr
    try:
        rgb = replay.bag.decode(frame)
    except BagError:
        return None
    store = typestore()
    data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
    header = store.deserialize_cdr(frame.cdr, RAW).header
    message = store.types[COMPRESSED](header, 'rgb8; jpeg compressed bgr8', data)
    return bytes(store.serialize_cdr(message, COMPRESSED))


def _halved(cdr: bytes) -> bytes:
    message = typestore().deserialize_cdr(cdr, RAW)
    rounded = message.data.view(np.float32).astype(np.float16).astype(np.float32)
    fields = {k: v for k, v in vars(message).items() if not k.startswith('_')}
    again = type(message)(**{**fields, 'data': rounded.view(np.uint8)})
    return bytes(typestore().serialize_cdr(again, RAW))
