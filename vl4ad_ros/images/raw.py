# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image: the memory layouts of its encodings, and conversion to RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from vl4ad_ros.images.depth import SampleDepth
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
    :ivar code: OpenCV's conversion code, for 8-bit values; None if they are RGB already, and for
        nv24, for which OpenCV has none.
    :ivar dtype: of one value.
    :ivar block: width and height must be multiples of these two numbers, in pixels.
    :ivar planes: rows of all planes, and the rows of the image that they belong to.
    """

    channels: int
    code: int | None
    dtype: type = np.uint8
    block: tuple[int, int] = (1, 1)
    planes: tuple[int, int] = (1, 1)


_PAIRS = (2, 1)
_QUADS = (2, 2)
_BAYER = {
    # OpenCV's old names, the only ones in OpenCV 4.5.4 of Humble, count from the second pixel
    # of the second row: BG is RGGB.
    'bayer_rggb': cv2.COLOR_BayerBG2RGB,
    'bayer_bggr': cv2.COLOR_BayerRG2RGB,
    'bayer_gbrg': cv2.COLOR_BayerGR2RGB,
    'bayer_grbg': cv2.COLOR_BayerGB2RGB,
}
# The bare OpenCV types do not name their channels; OpenCV's own order is BGR.
ENCODINGS = {
    'rgb8': Layout(3, None),
    'bgr8': Layout(3, cv2.COLOR_BGR2RGB),
    '8UC3': Layout(3, cv2.COLOR_BGR2RGB),
    'rgba8': Layout(4, cv2.COLOR_RGBA2RGB),
    'bgra8': Layout(4, cv2.COLOR_BGRA2RGB),
    '8UC4': Layout(4, cv2.COLOR_BGRA2RGB),
    'mono8': Layout(1, cv2.COLOR_GRAY2RGB),
    '8UC1': Layout(1, cv2.COLOR_GRAY2RGB),
    'rgb16': Layout(3, None, np.uint16),
    'bgr16': Layout(3, cv2.COLOR_BGR2RGB, np.uint16),
    '16UC3': Layout(3, cv2.COLOR_BGR2RGB, np.uint16),
    'rgba16': Layout(4, cv2.COLOR_RGBA2RGB, np.uint16),
    'bgra16': Layout(4, cv2.COLOR_BGRA2RGB, np.uint16),
    '16UC4': Layout(4, cv2.COLOR_BGRA2RGB, np.uint16),
    'mono16': Layout(1, cv2.COLOR_GRAY2RGB, np.uint16),
    '16UC1': Layout(1, cv2.COLOR_GRAY2RGB, np.uint16),
    **{f'{name}8': Layout(1, code) for name, code in _BAYER.items()},
    **{f'{name}16': Layout(1, code, np.uint16) for name, code in _BAYER.items()},
    'yuv422': Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=_PAIRS),
    'uyvy': Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=_PAIRS),
    'yuv422_yuy2': Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=_PAIRS),
    'yuyv': Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=_PAIRS),
    'nv12': Layout(1, cv2.COLOR_YUV2RGB_NV12, block=_QUADS, planes=(3, 2)),
    'nv21': Layout(1, cv2.COLOR_YUV2RGB_NV21, block=_QUADS, planes=(3, 2)),
    'i420': Layout(1, cv2.COLOR_YUV2RGB_I420, block=_QUADS, planes=(3, 2)),
    'nv24': Layout(1, None, planes=(3, 1)),
}
_YUV_TO_RGB = np.array([[1.164, 0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0]])
"""ITU-R BT.601 with luminance from 16 to 235, as OpenCV converts nv12."""
_ALIGNMENT = 256
"""Bytes; drivers pad rows to a multiple of this number or of a smaller one."""
_BY_LOWER_CASE = {name.lower(): layout for name, layout in ENCODINGS.items()}


def layout_of(encoding: str) -> Layout | None:
    """
    Return the layout of an encoding in any letter case.

    :param encoding: as a driver wrote it, such as 'rgb8' or 'RGB8'.
    :returns: its layout; None if it is not in `ENCODINGS`.
    """
    return _BY_LOWER_CASE.get(encoding.lower())


def bayer_code(encoding: str) -> int | None:
    """
    Return OpenCV's code for the conversion of a Bayer pattern to RGB.

    :param encoding: in lower case.
    :returns: the code; None if the encoding is no Bayer pattern.
    """
    return _BAYER.get(encoding[:-1] if encoding.endswith('8') else encoding.removesuffix('16'))


def image_to_rgb(message: Image, *, max_pixels: int = MAX_PIXELS,
                 depth: SampleDepth | None = None) -> np.ndarray:
    """
    Convert an uncompressed image.

    An rgb8 image without row padding becomes a view of the message's own memory. For nv12, nv21,
    nv24 and i420, both conventions are read: `height` as the height of the image, and `height` as
    the number of rows of all planes (1.5 times the height of the image; 3 times for nv24).

    :param message: from rclpy or from rosbags; `data` holds bytes.
    :param max_pixels: width times height of the largest image that is converted.
    :param depth: the bits that this camera uses of 16-bit values, which this image may raise;
        if None, those that this image alone uses. A camera with 16UC1 must have stated its
        largest value, because this encoding is mostly used for depth maps.
    :returns: (H, W, 3) uint8 RGB, 0 to 255.
    :raises ConvertError: if the encoding is not in `ENCODINGS`, the image is too large, or size,
        step and data do not fit together; and for 16UC1 without a stated value.
    """
    if depth is not None and not depth.max_value and message.encoding.lower() == '16uc1':
        raise ConvertError(f'{_described(message)} is probably a depth map. If it is grey, set '
                           'image.max_value to its largest value, such as 4095 for 12 bits')
    rows, layout = image_rows(message, max_pixels)
    if layout.dtype == np.uint16:
        rows = rows.view('>u2' if message.is_bigendian else '<u2')
        rows = (depth or SampleDepth()).to_bytes(rows)
    if layout.channels > 1:
        rows = rows.reshape(rows.shape[0], -1, layout.channels)
    try:
        if layout is ENCODINGS['nv24']:
            return _nv24_to_rgb(rows)
        if layout.code is None:
            return np.ascontiguousarray(rows)
        return cv2.cvtColor(np.ascontiguousarray(rows), layout.code)
    except Exception as error:  # cv2.error, or MemoryError
        raise ConvertError(f'{_described(message)}: OpenCV cannot convert it: {error}') from error


def image_rows(message: Image, max_pixels: int) -> tuple[np.ndarray, Layout]:
    """
    Check that encoding, size, step and data of an image fit together.

    :param message: from rclpy or from rosbags; `data` holds bytes.
    :param max_pixels: width times height of the largest image that is accepted.
    :returns: a view of the data as (rows, bytes of a row without its padding) uint8, and the
        layout of the encoding. nv12, nv21 and i420 have 1.5 rows for each row of the image, nv24
        has 3.
    :raises ConvertError: if they do not fit, the image is too large, or the encoding is not in
        `ENCODINGS`.
    """
    layout = layout_of(message.encoding)
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
    # A step can be of any size: it is the row of the whole sensor if the image is a part of it.
    # But grey rows of exactly three or four bytes a pixel are rgb8 or rgba8 with a wrong name.
    if layout == ENCODINGS['mono8'] and step > _ALIGNMENT and step in (3 * row, 4 * row):
        raise ConvertError(f'{_described(message)} has step {step}, {step / row:.1f} rows of '
                           f'{row} bytes; the encoding or the step is wrong')
    lines = height
    all_rows, own_rows = layout.planes
    if all_rows != own_rows:
        if own_rows * size == all_rows * step * height:
            lines = height * all_rows // own_rows
        height = lines * own_rows // all_rows
    if size != step * lines:
        raise ConvertError(f'{_described(message)} has {size} bytes of data, expected '
                           f'{step * lines} (step x rows); it was cut off, or its encoding is '
                           'wrong')
    across, down = layout.block
    if width % across or height % down or all_rows * height < own_rows * lines:
        raise ConvertError(f'{_described(message)} needs a width that is a multiple of {across} '
                           f'and a height that is a multiple of {down}')
    rows = np.frombuffer(message.data, np.uint8).reshape(lines, step)
    if layout is ENCODINGS['i420'] and step > row:
        # The rows of U and V are half as long as those of Y, and so is their padding.
        if step % 2:
            raise ConvertError(f'{_described(message)} has step {step}; expected an even number')
        chroma = rows[height:].reshape(-1, step // 2)[:, :row // 2].reshape(-1, row)
        return np.vstack((rows[:height, :row], chroma)), layout
    return rows[:, :row], layout


def _nv24_to_rgb(rows: np.ndarray) -> np.ndarray:
    """Convert rows of Y, followed by two rows of alternating U and V for each row of Y."""
    height = rows.shape[0] // 3
    chroma = rows[height:].reshape(height, -1, 2)
    shift = _YUV_TO_RGB @ (-16.0, -128.0, -128.0)
    return cv2.transform(np.dstack((rows[:height], chroma)),
                         np.column_stack((_YUV_TO_RGB, shift)))


def _described(message: Image) -> str:
    return f'{message.encoding} image {message.width}x{message.height}'
