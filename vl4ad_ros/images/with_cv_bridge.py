# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Conversion by ROS's cv_bridge, where it is installed and works.

The C++ part of cv_bridge crashes, or returns wrong pixels, where it was compiled for another
version of NumPy. `python -m vl4ad_ros.images.with_cv_bridge` converts one small image of each
encoding and compares the pixels; `cv_bridge_problem` runs this in a child process.
"""

from __future__ import annotations

from functools import lru_cache
import importlib.util
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np

from vl4ad_ros.images.depth import SampleDepth
from vl4ad_ros.images.errors import ConvertError, MAX_PIXELS
from vl4ad_ros.images.raw import ENCODINGS, Image, image_rows, image_to_rgb

BRIDGED = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8')
"""The encodings that cv_bridge converts; its result for others depends on its version."""
_TIMEOUT_S = 20.0


def image_to_rgb_with_cv_bridge(message: Image, *, max_pixels: int = MAX_PIXELS,
                                depth: SampleDepth | None = None) -> np.ndarray:
    """
    Convert an uncompressed image as `image_to_rgb` does; cv_bridge converts those in `BRIDGED`.

    :param message: from rclpy or from rosbags; `data` holds bytes.
    :param max_pixels: width times height of the largest image that is converted.
    :param depth: as `image_to_rgb` takes it; cv_bridge gets no 16-bit values.
    :returns: (H, W, 3) uint8 RGB, 0 to 255.
    :raises ConvertError: as `image_to_rgb` does.
    """
    if message.encoding not in BRIDGED:
        return image_to_rgb(message, max_pixels=max_pixels, depth=depth)
    rows, _ = image_rows(message, max_pixels)
    # cv_bridge shifts the pixels of padded rows, and fails under NumPy 2 if is_bigendian is set,
    # which means nothing for bytes. So it gets rows without padding.
    compact = SimpleNamespace(
        encoding=message.encoding, height=message.height, width=message.width,
        step=rows.shape[1], is_bigendian=int(sys.byteorder == 'big'),
        data=np.ascontiguousarray(rows).reshape(-1))
    try:
        import cv_bridge

        return cv_bridge.CvBridge().imgmsg_to_cv2(compact, 'rgb8')
    except Exception as error:  # CvBridgeError, cv2.error, or MemoryError
        raise ConvertError(f'{message.encoding} image {message.width}x{message.height}: cv_bridge '
                           f'cannot convert it: {error}') from error


@lru_cache(maxsize=1)
def cv_bridge_problem() -> str:
    """
    Return why cv_bridge cannot be used in this process, or '' if it can.

    The first call starts a child process, which takes about as long as importing OpenCV and is
    ended after 20 seconds; later calls return the same answer at once.

    :returns: a clause such as 'it is not installed'.
    """
    if importlib.util.find_spec('cv_bridge') is None:
        return 'it is not installed'
    command = [sys.executable, '-m', 'vl4ad_ros.images.with_cv_bridge']
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, env=environment, timeout=_TIMEOUT_S, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors='replace')
    except subprocess.TimeoutExpired:
        return f'its test did not end within {_TIMEOUT_S:.0f} s'
    except OSError as error:
        return f'its test could not be started: {error}'
    if done.returncode < 0:
        return f'its test was ended by {signal.Signals(-done.returncode).name}'
    last_line = done.stdout.strip().rpartition('\n')[2]
    return f'its test failed: {last_line}' if done.returncode else ''


def first_wrong_encoding() -> str:
    """
    Convert a small image of each encoding in `BRIDGED`, and compare with `image_to_rgb`.

    :returns: the first encoding whose pixels differ, or '' if there is none.
    :raises ConvertError: if cv_bridge refuses an image.
    """
    for encoding in BRIDGED:
        channels = ENCODINGS[encoding].channels
        height, width, padding = 3, 5, 2
        step = width * channels + padding
        data = (np.arange(height * step) * 37 % 251).astype(np.uint8)
        message = SimpleNamespace(encoding=encoding, height=height, width=width, step=step,
                                  is_bigendian=0, data=data)
        converted = image_to_rgb_with_cv_bridge(message)
        if converted.dtype != np.uint8 or not np.array_equal(converted, image_to_rgb(message)):
            return encoding
    return ''


if __name__ == '__main__':
    signal.alarm(round(2 * _TIMEOUT_S))  # a test that hangs does not outlive a killed parent
    wrong = first_wrong_encoding()
    sys.exit(f'{wrong} has wrong pixels' if wrong else 0)
