# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image: the memory layouts of its encodings, and conversion to RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from vl4ad_ros.images.errors import check_pixels, ConvertError, MAX_PIXELS


class Image(Protocol):
    """The fields of a `sensor_msgs/msg/Image`, from rclpy or from rosbags."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


@dataclass(frozen=True)
class Layout:
    """
    How an encoding lies in memory, and how OpenCV converts it to RGB.

    :ivar channels: values for each pixel of a row.
    :ivar code: OpenCV's conversion code; None if the values are RGB already.
    :ivar dtype: of one value.
    :ivar block: width and height must be multiples of these two numbers, in pixels.
    """

    channels: int
    code: int | None
    dtype: type = np.uint8
    block: tuple[int, int] = (1, 1)


_PAIRS = (2, 1)
_QUADS = (2, 2)
ENCODINGS = {
    'rgb8': Layout(3, None),
    'bgr8': Layout(3, cv2.COLOR_BGR2RGB),
    '8UC3': Layout(3, cv2.COLOR_BGR2RGB),
    'rgba8': Layout(4, cv2.COLOR_RGBA2RGB),
    'bgra8': Layout(4, cv2.COLOR_BGRA2RGB),
    'mono8': Layout(1, cv2.COLOR_GRAY2RGB),
    'mono16': Layout(1, cv2.COLOR_GRAY2RGB, np.uint16),
    # OpenCV's old names, the only ones in OpenCV 4.5.4 of Humble, count from the second pixel
    # of the second row: BG is RGGB.
    'bayer_rggb8': Layout(1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': Layout(1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': Layout(1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': Layout(1, cv2.COLOR_BayerGB2RGB),
    'yuv422': Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=_PAIRS),
    'uyvy': Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=_PAIRS),
    'yuv422_yuy2': Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=_PAIRS),
    'yuyv': Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=_PAIRS),
    'nv12': Layout(1, cv2.COLOR_YUV2RGB_NV12, block=_QUADS),
    'nv21': Layout(1, cv2.COLOR_YUV2RGB_NV21, block=_QUADS),
}
_TWO_PLANES = ('nv12', 'nv21')
_ALIGNMENT = 256
"""Bytes; drivers pad rows to a multiple of this number or of a smaller one."""


def image_to_rgb(message: Image, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Convert an uncompressed image.

    An rgb8 image without row padding becomes a view of the message's own memory. For nv12 and
    nv21, both conventions are read: `height` as the height of the image, and `height` as the
    number of rows of both planes (1.5 times the height of the image).

    :param message: from rclpy or from rosbags; `data` holds bytes.
    :param max_pixels: width times height of the largest image that is converted.
    :returns: (H, W, 3) uint8 RGB, 0 to 255.
    :raises ConvertError: if the encoding is not in `ENCODINGS`, the image is too large, or size,
        step and data do not fit together.
    """
    rows, layout = image_rows(message, max_pixels)
    if layout.dtype == np.uint16:
        rows = rows.view('>u2' if message.is_bigendian else '<u2') >> 8
        rows = rows.astype(np.uint8)
    if layout.channels > 1:
        rows = rows.reshape(rows.shape[0], -1, layout.channels)
    if layout.code is None:
        return np.ascontiguousarray(rows)
    try:
        return cv2.cvtColor(np.ascontiguousarray(rows), layout.code)
    except Exception as error:  # cv2.error, or MemoryError
        raise ConvertError(f'{_described(message)}: OpenCV cannot convert it: {error}') from error


def image_rows(message: Image, max_pixels: int) -> tuple[np.ndarray, Layout]:
    """
    Check that encoding, size, step and data of an image fit together.

    :param message: from rclpy or from rosbags; `data` holds bytes.
    :param max_pixels: width times height of the largest image that is accepted.
    :returns: a view of the data as (rows, bytes of a row without its padding) uint8, and the
        layout of the encoding. nv12 and nv21 have 1.5 rows for each row of the image.
    :raises ConvertError: if they do not fit, the image is too large, or the encoding is not in
        `ENCODINGS`.
    """
    layout = ENCODINGS.get(message.encoding)
    if layout is None:
        raise ConvertError(f"encoding '{message.encoding:.40}' is not supported; publish one of "
                           f'{", ".join(ENCODINGS)}, or set image_transport: compressed')
    width, height, step, size = message.width, message.height, message.step, len(message.data)
    if not width or not height:
        raise ConvertError(f'{_described(message)} has no pixels; check the camera driver')
    check_pixels(f'{message.encoding} image', width, height, max_pixels)
    row = width * layout.channels * np.dtype(layout.dtype).itemsize
    if step < row:
        raise ConvertError(f'{_described(message)} has step {step}, but its rows need {row} '
                           'bytes; the encoding or the step is wrong')
    if step >= 2 * row and step > _ALIGNMENT:
        raise ConvertError(f'{_described(message)} has step {step}, {step / row:.1f} rows of '
                           f'{row} bytes; the encoding or the step is wrong')
    lines = height
    if message.encoding in _TWO_PLANES:
        if 2 * size == 3 * step * height:
            lines = height * 3 // 2
        height = lines * 2 // 3
    if size != step * lines:
        raise ConvertError(f'{_described(message)} has {size} bytes of data, expected '
                           f'{step * lines} (step x rows); it was cut off, or its encoding is '
                           'wrong')
    across, down = layout.block
    if width % across or height % down or 3 * height < 2 * lines:
        raise ConvertError(f'{_described(message)} needs a width that is a multiple of {across} '
                           f'and a height that is a multiple of {down}')
    return np.frombuffer(message.data, np.uint8).reshape(lines, step)[:, :row], layout


def _described(message: Image) -> str:
    return f'{message.encoding} image {message.width}x{message.height}'
