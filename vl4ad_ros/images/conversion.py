# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to RGB arrays and back, without cv_bridge (NumPy 2 breaks it)."""

from __future__ import annotations

from dataclasses import dataclass
import struct
from typing import Any, Protocol

import cv2
import numpy as np


class ConvertError(ValueError):
    """An image message that cannot be read; the message says what it should be."""


class Image(Protocol):
    """What is read of a `sensor_msgs/msg/Image`, from rclpy or from rosbags."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedImage(Protocol):
    """What is read of a `sensor_msgs/msg/CompressedImage`, from rclpy or from rosbags."""

    format: str
    data: Any


@dataclass(frozen=True)
class _Layout:
    """How one row of an encoding lies in memory, and the OpenCV code that makes it RGB."""

    channels: int
    code: int | None
    dtype: type = np.uint8
    block: tuple[int, int] = (1, 1)
    """Width and height must be multiples of this."""


_PAIRS = (2, 1)
_QUADS = (2, 2)
ENCODINGS = {
    'rgb8': _Layout(3, None),
    'bgr8': _Layout(3, cv2.COLOR_BGR2RGB),
    '8UC3': _Layout(3, cv2.COLOR_BGR2RGB),
    'rgba8': _Layout(4, cv2.COLOR_RGBA2RGB),
    'bgra8': _Layout(4, cv2.COLOR_BGRA2RGB),
    'mono8': _Layout(1, cv2.COLOR_GRAY2RGB),
    'mono16': _Layout(1, cv2.COLOR_GRAY2RGB, np.uint16),
    # OpenCV's old names (all that 4.5.4 of Humble has) count from the second pixel of the
    # second row: BG is RGGB.
    'bayer_rggb8': _Layout(1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': _Layout(1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': _Layout(1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': _Layout(1, cv2.COLOR_BayerGB2RGB),
    'yuv422': _Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=_PAIRS),
    'uyvy': _Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=_PAIRS),
    'yuv422_yuy2': _Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=_PAIRS),
    'yuyv': _Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=_PAIRS),
    'nv12': _Layout(1, cv2.COLOR_YUV2RGB_NV12, block=_QUADS),
    'nv21': _Layout(1, cv2.COLOR_YUV2RGB_NV21, block=_QUADS),
}
_TWO_PLANES = ('nv12', 'nv21')
_JPEG, _PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
_NO_MARKER = frozenset((0x00, 0x01, *range(0xd0, 0xd8), 0xff))
"""What follows 0xff without a length: stuffed and filling bytes, TEM, restarts."""
_SIZES = frozenset((*range(0xc0, 0xd0),)) - {0xc4, 0xc8, 0xcc}
_SCAN = 0xda
_ALIGNMENT = 256
"""Bytes; drivers pad rows to a multiple of this or less."""
MAX_PIXELS = 64_000_000
"""Pixels of the largest picture that is converted unless told otherwise."""


def image_to_rgb(message: Image, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Return the picture of `message` as (H, W, 3) uint8 RGB.

    An unpadded rgb8 picture is a view of the message's own memory. For nv12 and nv21 both
    habits are read: `height` of the picture, and `height` of both planes (1.5 times it).

    :param max_pixels: width times height of the largest picture that is converted.
    :raises ConvertError: if the encoding is not in `ENCODINGS`, the picture is too large, or size,
        step and data do not belong together.
    """
    layout = ENCODINGS.get(message.encoding)
    if layout is None:
        raise ConvertError(f"encoding '{message.encoding:.40}' is not supported; publish one of "
                           f'{", ".join(ENCODINGS)}, or set image_transport: compressed')
    rows = _rows(message, layout, max_pixels)
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
        raise ConvertError(f'{_said(message)}: OpenCV cannot convert it: {error}') from error


def compressed_to_rgb(message: CompressedImage, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Return the picture of `message` as (H, W, 3) uint8 RGB, in the sensor's orientation.

    The channel order in `format` describes what was compressed, not what OpenCV returns, so
    it is not used. The size is read from the header first: a few kilobytes can hold a picture
    that takes gigabytes.

    :param max_pixels: width times height of the largest picture that is decoded.
    :raises ConvertError: if the data are empty, cut off, or neither JPEG nor PNG, or the picture
        is too large.
    """
    data = np.frombuffer(message.data, np.uint8)
    said = f"compressed image '{message.format:.40}' of {data.size} bytes"
    if 'compressedDepth' in message.format:
        raise ConvertError(f'{said} is a depth map; subscribe to a colour image')
    raw = data.tobytes()
    # Some cameras fill their buffer up with zeros after the picture's end.
    end = raw.rstrip(b'\0')[-64:]
    if raw.startswith(_JPEG):
        # libjpeg fills what is missing with grey and only warns.
        size, whole = _jpeg_size(raw), b'\xff\xd9' in end
    elif raw.startswith(_PNG):
        size, whole = _png_size(raw), b'IEND' in end
    else:  # OpenCV knows more formats, whose sizes are not known here
        size, whole = None, True
    if not whole:
        raise ConvertError(f'{said} is cut off: it has no end marker; check the driver and the '
                           'network (lost fragments: use the shipped Fast DDS profile)')
    undamaged = f'{said} cannot be decoded; expected an undamaged JPEG or PNG'
    if size is None:
        raise ConvertError(undamaged)
    _check_pixels(said, *size, max_pixels)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        rgb = None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    except Exception as error:  # cv2.error, or MemoryError
        raise ConvertError(undamaged) from error
    if rgb is None or rgb.shape != (size[1], size[0], 3):
        raise ConvertError(undamaged)
    return rgb


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in the frame header (SOF) of a JPEG; None if there is none."""
    position = 2
    while True:
        # Bytes between two segments are skipped, as libjpeg does.
        position = data.find(b'\xff', position) + 1
        if not position or position + 8 > len(data):
            return None
        marker = data[position]
        if marker in _NO_MARKER:
            continue
        length = int.from_bytes(data[position + 1:position + 3], 'big')
        if marker in _SIZES:
            height, width = struct.unpack_from('>HH', data, position + 4)
            return width, height
        if marker == _SCAN or length < 2:
            return None
        position += 1 + length


def _png_size(data: bytes) -> tuple[int, int] | None:
    """
    Return width and height in the header of a PNG; None if its chunks do not follow each other.

    OpenCV takes as much memory as a chunk says that it is long, up to 4 GB.
    """
    size, position = None, len(_PNG)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, position)
        if (size is None) != (kind == b'IHDR') or position + 12 + length > len(data):
            return None
        if kind == b'IHDR':
            if length != 13:
                return None
            size = struct.unpack_from('>II', data, position + 8)
        elif kind == b'IEND':
            return size
        position += 12 + length
    return None


def _check_pixels(said: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ConvertError(f'{said} has {width}x{height} pixels, more than the {max_pixels} that '
                           'are taken; make the camera publish smaller images, or raise '
                           'image.max_pixels')


def _rows(message: Image, layout: _Layout, max_pixels: int) -> np.ndarray:
    """Return (rows, bytes of a row without padding) uint8 after checking that all sizes fit."""
    width, height, step, size = message.width, message.height, message.step, len(message.data)
    if not width or not height:
        raise ConvertError(f'{_said(message)} has no pixels; check the camera driver')
    _check_pixels(f'{message.encoding} image', width, height, max_pixels)
    row = width * layout.channels * np.dtype(layout.dtype).itemsize
    if step < row:
        raise ConvertError(f'{_said(message)} has step {step}, but its rows need {row} bytes; '
                           'the encoding or the step is wrong')
    if step >= 2 * row and step > _ALIGNMENT:
        raise ConvertError(f'{_said(message)} has step {step}, {step / row:.1f} rows of {row} '
                           'bytes; the encoding or the step is wrong')
    lines = height
    if message.encoding in _TWO_PLANES:
        if 2 * size == 3 * step * height:
            lines = height * 3 // 2
        height = lines * 2 // 3
    if size != step * lines:
        raise ConvertError(f'{_said(message)} has {size} bytes of data, expected {step * lines} '
                           '(step x rows); it was cut off, or its encoding is wrong')
    across, down = layout.block
    if width % across or height % down or 3 * height < 2 * lines:
        raise ConvertError(f'{_said(message)} needs a width that is a multiple of {across} and '
                           f'a height that is a multiple of {down}')
    return np.frombuffer(message.data, np.uint8).reshape(lines, step)[:, :row]


def _said(message: Image) -> str:
    return f'{message.encoding} image {message.width}x{message.height}'
