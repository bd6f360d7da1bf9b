# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage: the headers of JPEG and PNG, and decoding to RGB."""

from __future__ import annotations

from collections.abc import Iterator
import struct
from typing import Any, Protocol

import cv2
import numpy as np

from vl4ad_ros.images.errors import check_pixels, ConvertError, MAX_PIXELS


class CompressedImage(Protocol):
    """The fields of a `sensor_msgs/msg/CompressedImage`, from rclpy or from rosbags."""

    format: str
    data: Any


JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
"""The first bytes of a file in these formats."""
_WITHOUT_LENGTH = frozenset((0x00, 0x01, *range(0xd0, 0xd8), 0xff))
"""Bytes that can follow 0xff without a length: stuffing, TEM, restart markers, fill bytes."""
_FRAME_HEADERS = frozenset(range(0xc0, 0xd0)) - {0xc4, 0xc8, 0xcc}
"""The markers SOF0 to SOF15 of a JPEG; three codes in this range mean something else."""
START_OF_SCAN = 0xda
"""Marker (SOS) after whose segment the compressed pixels of a JPEG begin."""


def compressed_to_rgb(message: CompressedImage, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Decode a JPEG or PNG image in the sensor's orientation.

    The channel order in `format` describes the image before compression, not the output of
    OpenCV's decoder, so it is not used. The size is read from the header before anything is
    decoded, because a few kilobytes can hold an image that takes gigabytes.

    :param message: from rclpy or from rosbags; `data` holds bytes.
    :param max_pixels: width times height of the largest image that is decoded.
    :returns: (H, W, 3) uint8 RGB, 0 to 255.
    :raises ConvertError: if the data are empty, cut off, or neither JPEG nor PNG, or if the image
        is too large.
    """
    data = np.frombuffer(message.data, np.uint8)
    description = f"compressed image '{message.format:.40}' of {data.size} bytes"
    if 'compressedDepth' in message.format:
        raise ConvertError(f'{description} is a depth map; subscribe to a colour image')
    raw = data.tobytes()
    # Some cameras fill their buffer with zeros after the end of the image.
    end = raw.rstrip(b'\0')[-64:]
    if raw.startswith(JPEG):
        # libjpeg fills missing rows with grey and only warns.
        size, complete = jpeg_size(raw), b'\xff\xd9' in end
    elif raw.startswith(PNG):
        size, complete = png_size(raw), b'IEND' in end
    else:  # OpenCV reads more formats, but their sizes are not known before decoding
        size, complete = None, True
    if not complete:
        raise ConvertError(f'{description} is cut off: it has no end marker; check the driver and '
                           'the network (lost fragments: use the shipped Fast DDS profile)')
    undamaged = f'{description} cannot be decoded; expected an undamaged JPEG or PNG'
    if size is None:
        raise ConvertError(undamaged)
    check_pixels(description, *size, max_pixels)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        rgb = None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    except Exception as error:  # cv2.error, or MemoryError
        raise ConvertError(undamaged) from error
    if rgb is None or rgb.shape != (size[1], size[0], 3):
        raise ConvertError(undamaged)
    return rgb


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """
    Yield the segments of a JPEG up to the start of its first scan.

    :param data: the file.
    :returns: pairs of the marker, which is the byte after 0xff, and its position. The length of
        the segment follows, and then its content.
    """
    position = 2
    while True:
        # Bytes between two segments are skipped, as libjpeg does.
        position = data.find(b'\xff', position) + 1
        if not position or position + 8 > len(data):
            return
        marker = data[position]
        if marker in _WITHOUT_LENGTH:
            continue
        yield marker, position
        length = int.from_bytes(data[position + 1:position + 3], 'big')
        if marker == START_OF_SCAN or length < 2:
            return
        position += 1 + length


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the frame header (SOF) of a JPEG; None if it has none."""
    for marker, position in jpeg_segments(data):
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from('>HH', data, position + 4)
            return width, height
    return None


def png_size(data: bytes) -> tuple[int, int] | None:
    """
    Return width and height from the header of a PNG; None if its chunks are not consistent.

    All chunks are checked because OpenCV allocates the length that a chunk states, up to 4 GB.
    """
    size, position = None, len(PNG)
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
