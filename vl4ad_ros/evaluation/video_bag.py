# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts a video file to a camera bag, so that it can be replayed through the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import COMPRESSED, RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.outputs import beside, keep_apart

TOPIC, FRAME_ID, JPEG_QUALITY = '/camera/image', 'camera_optical', 95


class VideoError(ValueError):
    """A video cannot be converted to a bag; the message says why and what to do."""


def write_video_bag(video: Path, bag: Path, storage: str = 'mcap', compressed: bool = False,
                    rate_hz: float | None = None, max_seconds: float | None = None,
                    on_frame: Callable[[], None] = lambda: None) -> int:
    """
    Write the frames of a video to the topic `/camera/image` of a new bag.

    The bag appears under its name only when it is complete. The first frame has the modification
    time of the video file as its stamp and record time.

    :param video: a file that OpenCV can read.
    :param bag: folder of the bag; it must not exist yet.
    :param storage: ``mcap`` or ``sqlite3``.
    :param compressed: write JPEG to `/camera/image/compressed` instead of raw rgb8.
    :param rate_hz: frames per second to keep; at most the frame rate of the video, which None
        stands for. If the video does not state its frame rate, this is taken for it.
    :param max_seconds: stop after so many seconds of the video; None writes all of it.
    :param on_frame: called after each frame that was written.
    :returns: the number of frames written.
    :raises VideoError: if the video cannot be read, its frame rate is unknown, or `bag` exists.
    :raises OutputError: if `bag` is the video, or another process is writing to it.
    """
    keep_apart(bag, [video])
    if bag.exists():
        raise VideoError(f"'{bag}' exists already; remove it, or choose another folder with --out")
    frames = _frames(video, rate_hz, max_seconds)
    kind = COMPRESSED if compressed else RAW
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    store, count = typestore(), 0
    with beside(bag) as path:
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            topic = f'{TOPIC}/compressed' if compressed else TOPIC
            connection = writer.add_connection(topic, kind, typestore=store)
            for stamp, bgr in frames:
                message = _message(bgr, stamp, compressed)
                writer.write(connection, stamp, store.serialize_cdr(message, kind))
                count += 1
                on_frame()
        if not count:
            raise VideoError(f"'{video}' has no frame that OpenCV can decode; convert it first: "
                             'ffmpeg -i VIDEO -c:v libx264 OUT.mp4')
    return count


def _frames(video: Path, rate_hz: float | None,
            max_seconds: float | None) -> Iterator[tuple[int, np.ndarray]]:
    """Check the video at once, and return the stamps (ns) and BGR images of the frames to keep."""
    if not video.is_file():
        raise VideoError(f"no video at '{video}'; expected the path of a video file")
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise VideoError(f"'{video}' is not a video that OpenCV can open; convert it first: "
                         'ffmpeg -i VIDEO -c:v libx264 OUT.mp4')
    own = capture.get(cv2.CAP_PROP_FPS)
    if not 0 < own < 1000:
        if not rate_hz:
            raise VideoError(f"'{video}' does not state its frame rate; give the frames per "
                             'second with --fps')
        own = rate_hz
    return _kept(capture, own, min(rate_hz or own, own), max_seconds,
                 int(video.stat().st_mtime * 1e9))


def _kept(capture: cv2.VideoCapture, own: float, wanted: float, max_seconds: float | None,
          start_ns: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the frames to keep of a video with `own` frames per second."""
    kept = -1
    for index in range(int(max_seconds * own) if max_seconds else 1 << 62):
        read, bgr = capture.read()
        if not read:
            break
        if int(index * wanted / own + 1e-6) > kept:
            kept += 1
            yield start_ns + round(index * 1e9 / own), bgr
    capture.release()


def _message(bgr: np.ndarray, stamp_ns: int, compressed: bool) -> object:
    types = typestore().types
    header = types['std_msgs/msg/Header'](
        types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9)), FRAME_ID)
    if compressed:
        data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
        return types[COMPRESSED](header, 'bgr8; jpeg compressed bgr8', data)
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    height, width = rgb.shape[:2]
    return types[RAW](header, height, width, 'rgb8', 0, 3 * width, rgb.ravel())
