# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to RGB arrays and back, without cv_bridge (NumPy 2 breaks it)."""

from __future__ import annotations

from dataclasses import dataclass
import sys

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


class ConvertError(ValueError):
    """An image message that cannot be read; the message says what it should be."""


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
_ALIGNMENT = 256
"""Bytes; drivers pad rows to a multiple of this or less."""


def image_to_rgb(message: Image) -> np.ndarray:
    """
    Return the picture of `message` as (H, W, 3) uint8 RGB.

    An unpadded rgb8 picture is a view of the message's own memory. For nv12 and nv21 both
    habits are read: `height` of the picture, and `height` of both planes (1.5 times it).

    :raises ConvertError: if the encoding is not in `ENCODINGS`, or size, step and data do not
        belong together.
    """
    layout = ENCODINGS.get(message.encoding)
    if layout is None:
        raise ConvertError(f"encoding '{message.encoding}' is not supported; publish one of "
                           f'{", ".join(ENCODINGS)}, or set image_transport: compressed')
    rows = _rows(message, layout)
    if layout.dtype == np.uint16:
        rows = rows.view('>u2' if message.is_bigendian else '<u2') >> 8
        rows = rows.astype(np.uint8)
    if layout.channels > 1:
        rows = rows.reshape(rows.shape[0], -1, layout.channels)
    if layout.code is None:
        return np.ascontiguousarray(rows)
    try:
        return cv2.cvtColor(np.ascontiguousarray(rows), layout.code)
    except cv2.error as error:
        raise ConvertError(f'{_said(message)}: OpenCV cannot convert it: {error.err}') from error


def compressed_to_rgb(message: CompressedImage) -> np.ndarray:
    """
    Return the picture of `message` as (H, W, 3) uint8 RGB, in the sensor's orientation.

    The channel order in `format` describes what was compressed, not what OpenCV returns, so
    it is not used.

    :raises ConvertError: if the data are empty, cut off, or neither JPEG nor PNG.
    """
    data = np.frombuffer(message.data, np.uint8)
    said = f"compressed image '{message.format}' of {data.size} bytes"
    if 'compressedDepth' in message.format:
        raise ConvertError(f'{said} is a depth map; subscribe to a colour image')
    raw = data.tobytes()
    # Some cameras fill their buffer up with zeros after the picture's end.
    end = raw.rstrip(b'\0')[-64:]
    if raw.startswith(b'\xff\xd8'):
        # libjpeg fills what is missing with grey and only warns.
        whole = b'\xff\xd9' in end
    else:
        whole = not raw.startswith(b'\x89PNG') or b'IEND' in end
    if not whole:
        raise ConvertError(f'{said} is cut off: it has no end marker; check the driver and the '
                           'network (lost fragments: use the shipped Fast DDS profile)')
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        bgr = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise ConvertError(f'{said} cannot be decoded; expected an undamaged JPEG or PNG')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def to_message(header: Header, array: np.ndarray, encoding: str) -> Image:
    """
    Return `array`, (H, W) or (H, W, C), as an Image with the given header and encoding.

    Rows are not padded: `len(data) == step * height`.
    """
    array = np.ascontiguousarray(array)
    message = Image(header=header, height=array.shape[0], width=array.shape[1],
                    encoding=encoding, step=array.strides[0],
                    is_bigendian=int(sys.byteorder == 'big'))
    # Appending to the field's own array.array is the one fast way that Humble has too:
    # assigning bytes or an ndarray is checked element by element there.
    message.data.frombytes(memoryview(array).cast('B'))
    return message


def _rows(message: Image, layout: _Layout) -> np.ndarray:
    """Return (rows, bytes of a row without padding) uint8 after checking that all sizes fit."""
    width, height, step, size = message.width, message.height, message.step, len(message.data)
    if not width or not height:
        raise ConvertError(f'{_said(message)} has no pixels; check the camera driver')
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
