# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts a video file to a camera bag, so that it can be replayed through the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import COMPRESSED, RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.recording import is_storage_file
from vl4ad_ros.evaluation.video_file import VideoError, VideoFile
from vl4ad_ros.outputs import beside, keep_apart

TOPIC, FRAME_ID, JPEG_QUALITY = '/camera/image', 'camera_optical', 95
_LATEST_S = 2 ** 31 - 2 ** 20
"""Latest second of a first frame: the stamps of ROS count seconds in 32 bits until 2038."""
_TIME_STEP_S = 0.001
"""Seconds by which the time of a frame may be off: Matroska files have whole milliseconds."""


def is_video(recording: Path) -> bool:
    """Tell whether a recording is a file that is no bag, neither by its name nor its content."""
    return recording.is_file() and not is_storage_file(recording)


def write_video_bag(video: Path, bag: Path, storage: str = 'mcap', compressed: bool = False,
                    rate_hz: float | None = None, max_seconds: float | None = None,
                    on_frame: Callable[[], None] = lambda: None,
                    on_warning: Callable[[str], None] = lambda sentence: None) -> int:
    """
    Write the frames of a video to the topic `/camera/image` of a new bag.

    The bag appears under its name only when it is complete. The first frame has the modification
    time of the video file as its stamp and record time, and the others follow as the video shows
    them.

    :param video: a file that OpenCV can read.
    :param bag: folder of the bag; it must not exist yet.
    :param storage: ``mcap`` or ``sqlite3``.
    :param compressed: write JPEG to `/camera/image/compressed` instead of raw rgb8.
    :param rate_hz: frames per second to keep; at most the frame rate of the video, which None
        stands for. If the video does not state its frame rate, this is taken for it.
    :param max_seconds: stop after so many seconds of the video; None writes all of it.
    :param on_frame: called after each frame that was written.
    :param on_warning: called with a sentence if damaged frames were left out.
    :returns: the number of frames written.
    :raises VideoError: if the video cannot be read, its frame rate is unknown, or `bag` exists.
    :raises OutputError: if `bag` is the video, or another process is writing to it.
    """
    keep_apart(bag, [video])
    if bag.exists():
        raise VideoError(f"'{bag}' exists already; remove it, or choose another folder with --out")
    file = VideoFile(video, rate_hz)
    frames = _kept(file, rate_hz, max_seconds)
    kind = COMPRESSED if compressed else RAW
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    store, count = typestore(), 0
    with beside(bag) as path:
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            topic = f'{TOPIC}/compressed' if compressed else TOPIC
            connection = writer.add_connection(topic, kind, typestore=store)
            for stamp, rgb in frames:
                message = image_message(rgb, stamp, compressed)
                writer.write(connection, stamp, store.serialize_cdr(message, kind))
                count += 1
                on_frame()
    if file.warning:
        on_warning(file.warning)
    return count


def _kept(video: VideoFile, rate_hz: float | None,
          max_seconds: float | None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield stamp (ns) and image of the frames to keep."""
    # A stamp of 0 would not be usable.
    start_ns = int(min(max(video.path.stat().st_mtime, 1), _LATEST_S) * 1e9)
    kept = -1
    for time_ns, rgb in video.frames():
        if max_seconds and time_ns >= max_seconds * 1e9:
            break
        if rate_hz is not None and rate_hz < video.rate_hz:
            slot = int((time_ns * 1e-9 + _TIME_STEP_S) * rate_hz)
            if slot <= kept:
                continue
            kept = slot
        yield start_ns + time_ns, rgb


def image_message(rgb: np.ndarray, stamp_ns: int, compressed: bool) -> object:
    """
    Return a message with an image.

    :param rgb: (H, W, 3) uint8.
    :param stamp_ns: stamp of its header, nanoseconds.
    :param compressed: a CompressedImage with JPEG instead of an Image with rgb8.
    """
    types = typestore().types
    header = types['std_msgs/msg/Header'](
        types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9)), FRAME_ID)
    if compressed:
        data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                            [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
        return types[COMPRESSED](header, 'bgr8; jpeg compressed bgr8', data)
    height, width = rgb.shape[:2]
    return types[RAW](header, height, width, 'rgb8', 0, 3 * width, rgb.ravel())
