# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files to RGB arrays, turned upright as their Exif data say."""

from __future__ import annotations

import cv2
import numpy as np

from vl4ad_ros.images.compressed import PNG, png_size
from vl4ad_ros.images.errors import ConvertError, MAX_PIXELS
from vl4ad_ros.images.jpeg import DamagedJpeg, find_jpeg

_JPEG = b'\xff\xd8'


def photo_to_rgb(data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Decode the content of an image file as a viewer shows it.

    In contrast to camera messages, the orientation in the Exif data is applied, other data may
    follow the image, as in photos with a short film, and the file may have any format that OpenCV
    reads. Grey images become RGB, values of 16 bits are reduced to their upper 8 bits, and
    transparency is left out. The size of a JPEG or PNG is checked before it is decoded.

    :param data: the content of the file.
    :param max_pixels: width times height of the largest image that is accepted.
    :returns: (H, W, 3) uint8 RGB, 0 to 255.
    :raises ConvertError: if the data are empty, cut off, damaged or no image, or if the image is
        too large. The message continues the name of the file.
    """
    if not data:
        raise ConvertError('is empty; expected an image file')
    size = None
    if data.startswith(_JPEG):
        try:
            found = find_jpeg(data)
        except DamagedJpeg as error:
            raise ConvertError(f'is cut off or damaged: {error}; copy the file again') from error
        size = (found.width, found.height) if found else None
    elif data.startswith(PNG):
        size = png_size(data)
        if size is None and b'IEND' not in data:
            raise ConvertError('is cut off: the image has no end marker; copy the file again')
    if size:
        _check(*size, max_pixels)
    elif data.startswith((_JPEG, PNG)):
        raise ConvertError('is damaged: OpenCV cannot decode it; copy the file again')
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError):
        bgr = None
    if bgr is None or size and sorted(size) != sorted(bgr.shape[:2]):
        raise ConvertError(
            'is damaged: OpenCV cannot decode it; copy the file again' if size else
            'is not an image that OpenCV can read; expected JPEG, PNG, BMP, TIFF or WebP. Convert '
            'photos of other kinds, such as HEIC, to JPEG first')
    _check(bgr.shape[1], bgr.shape[0], max_pixels)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _check(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ConvertError(f'has {width}x{height} pixels, more than the {max_pixels} of '
                           'image.max_pixels; make it smaller, or raise this parameter in a '
                           'file for --params')
