# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage: what its format says, and decoding of JPEG, PNG and TIFF to RGB."""

from __future__ import annotations

from dataclasses import dataclass
import re
import struct
from typing import Any, Protocol
import zlib

import cv2
import numpy as np

from vl4ad_ros.images import jpeg
from vl4ad_ros.images.depth import SampleDepth
from vl4ad_ros.images.errors import check_pixels, ConvertError, MAX_PIXELS
from vl4ad_ros.images.raw import bayer_code
from vl4ad_ros.images.tiff import STARTS, tiff_size


class CompressedImage(Protocol):
    """The fields of a `sensor_msgs/msg/CompressedImage`, from rclpy or from rosbags."""

    format: str
    data: Any


PNG = b'\x89PNG\r\n\x1a\n'
"""The first bytes of a PNG file."""
_PATTERN = re.compile(r'\s*(?P<source>[^;]*?)\s*(;\s*(\w+\s+compressed\b\s*(?P<target>\w*))?.*)?',
                      re.DOTALL)
_TO_RGB = {
    (1, 'BGR'): cv2.COLOR_GRAY2RGB, (1, 'RGB'): cv2.COLOR_GRAY2RGB,
    (3, 'BGR'): cv2.COLOR_BGR2RGB, (3, 'RGB'): None,
    (4, 'BGR'): cv2.COLOR_BGRA2RGB, (4, 'RGB'): cv2.COLOR_RGBA2RGB,
}
"""OpenCV's conversion codes, by channels and order of the stored pixels."""


@dataclass(frozen=True)
class StoredPixels:
    """
    What the `format` of a message says about the stored pixels.

    `sensor_msgs/msg/CompressedImage` defines "ENCODING; CODEC compressed [TARGET]". The pixels
    are stored in TARGET. What image_transport's publisher stores, and when it names it, is in
    `compressed_publisher.cpp` of `ros-perception/image_transport_plugins`:

    * JPEG: colour as bgr8, all else as mono8. ROS 1 stored Bayer patterns without a target.
    * PNG: colour as bgr8 or bgr16. All else is stored as it is, without a target.
    * TIFF: everything is stored as it is, without a target, so rgb8 keeps its order.

    A format of another form means bgr8 or mono8, as the definition of the message says.

    :ivar order: 'BGR' or 'RGB', of what OpenCV's decoder returns, because the publisher gives
        its pixels to OpenCV's encoder.
    :ivar bayer: OpenCV's conversion code for pixels of one channel; None if they are grey.
    """

    order: str
    bayer: int | None


def stored_pixels(said: str) -> StoredPixels:
    """
    Read the `format` of a message.

    :param said: in any letter case; empty or without a target is allowed.
    :returns: the order of the stored pixels.
    """
    match = _PATTERN.fullmatch(said.lower())
    source, target = (match['source'], match['target']) if match else ('', None)
    # Without the word "compressed", the source does not say in which order colour is stored.
    # But one channel of a Bayer camera can only be its pattern, unless a target is named.
    order = source if target == '' else target or ''
    return StoredPixels('RGB' if order.startswith('rgb') else 'BGR', bayer_code(target or source))


def compressed_to_rgb(message: CompressedImage, *, max_pixels: int = MAX_PIXELS,
                      depth: SampleDepth | None = None) -> np.ndarray:
    """
    Decode a JPEG, PNG or TIFF image in the sensor's orientation.

    The size is read from the header before anything is decoded, because a few kilobytes can hold
    an image that takes gigabytes. Bytes before a JPEG and after it do not matter.

    :param message: from rclpy or from rosbags; `data` holds bytes. `StoredPixels` says how its
        `format` is read.
    :param max_pixels: width times height of the largest image that is decoded.
    :param depth: the bits that this camera uses of 16-bit values, which this image may raise;
        if None, those that this image alone uses. A camera with 16UC1 must have stated its
        largest value, because this encoding is mostly used for depth maps.
    :returns: (H, W, 3) uint8 RGB, 0 to 255.
    :raises ConvertError: if the data are empty, cut off, or none of the three, if the values are
        neither 8-bit nor 16-bit, or if the image is too large.
    """
    raw = np.frombuffer(message.data, np.uint8).tobytes()
    description = f"compressed image '{message.format:.40}' of {len(raw)} bytes"
    if 'compresseddepth' in message.format.lower():
        raise ConvertError(f'{description} is a depth map; subscribe to a colour image')
    if (depth is not None and not depth.max_value
            and message.format.strip().lower().startswith('16uc1')):
        raise ConvertError(f'{description} is probably a depth map. If it is grey, set '
                           'image.max_value to its largest value, such as 4095 for 12 bits')
    try:
        pixels = _decode(raw, description, max_pixels)
        return _to_rgb(pixels, stored_pixels(message.format), depth or SampleDepth())
    except ConvertError:
        raise
    except jpeg.DamagedJpeg as error:
        raise ConvertError(_incomplete(description, str(error))) from error
    except Exception as error:  # cv2.error, or MemoryError
        raise ConvertError(_undamaged(description)) from error


def _decode(raw: bytes, description: str, max_pixels: int) -> np.ndarray:
    """Return the pixels as OpenCV's decoder does, (H, W) or (H, W, channels) of any dtype."""
    size, found = None, None
    if raw.startswith(PNG):
        # Some cameras fill their buffer with zeros after the end of the image.
        if b'IEND' not in raw.rstrip(b'\0')[-64:]:
            raise ConvertError(_incomplete(description, 'it has no end marker'))
        size = png_size(raw)
    elif raw.startswith(STARTS):
        size = tiff_size(raw)
    else:  # OpenCV reads more formats, but their sizes are not known before decoding
        found = jpeg.find_jpeg(raw)
        if found is not None:
            size = found.width, found.height
    if size is None:
        raise ConvertError(_undamaged(description))
    check_pixels(description, *size, max_pixels)
    pixels = jpeg.decode(found) if found is not None else cv2.imdecode(
        np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (size[1], size[0]):
        raise ConvertError(_undamaged(description))
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ConvertError(f'{description} has {pixels.dtype} values; expected 8 or 16 bits; '
                           'subscribe to a colour image')
    return pixels


def compressed_size(data: bytes) -> tuple[int, int] | None:
    """
    Return width and height of a JPEG, PNG or TIFF from its header.

    :param data: the content of a message.
    :returns: in pixels; None if the data are none of the three.
    :raises DamagedJpeg: if a JPEG is not whole.
    """
    if data.startswith(PNG):
        return png_size(data)
    if data.startswith(STARTS):
        return tiff_size(data)
    found = jpeg.find_jpeg(data)
    return (found.width, found.height) if found else None


def _to_rgb(pixels: np.ndarray, stored: StoredPixels, depth: SampleDepth) -> np.ndarray:
    values = depth.to_bytes(pixels)
    channels = 1 if values.ndim == 2 else values.shape[2]
    code = _TO_RGB[channels, stored.order]
    if channels == 1 and stored.bayer is not None:
        code = stored.bayer
    return values if code is None else cv2.cvtColor(values, code)


def _incomplete(description: str, reason: str) -> str:
    return (f'{description} cannot be decoded, because it is cut off or damaged: {reason}; check '
            'the driver and the network (lost fragments: use the shipped Fast DDS profile)')


def _undamaged(description: str) -> str:
    return f'{description} cannot be decoded; expected an undamaged JPEG, PNG or TIFF'


def png_size(data: bytes) -> tuple[int, int] | None:
    """
    Return width and height from the header of a PNG; None if its chunks are not consistent.

    All chunks are checked because OpenCV allocates the length that a chunk states, up to 4 GB.
    The checksums of the picture find the rest of another image, which libpng decodes.
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
        elif kind == b'IDAT' and zlib.crc32(
                data[position + 4:position + 8 + length]) != int.from_bytes(
                    data[position + 8 + length:position + 12 + length], 'big'):
            return None
        elif kind == b'IEND':
            return size
        position += 12 + length
    return None
