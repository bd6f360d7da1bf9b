# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label images, whose values are numbers of classes or objects, not brightness."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from vl4ad_ros.images.errors import check_pixels, ConvertError, MAX_PIXELS
from vl4ad_ros.images.raw import image_rows

ENCODINGS = ('mono8', '8UC1', 'mono16', '16UC1')
"""Encodings of a sensor_msgs/Image with labels, in any letter case."""
_LOWER_CASE = tuple(name.lower() for name in ENCODINGS)
_SIGNATURES = (b'\x89PNG\r\n\x1a\n', b'II*\0', b'MM\0*')
"""First bytes of the formats that keep values as they are: PNG and TIFF."""


def label_values(message: Any) -> np.ndarray:
    """
    Return the values of a label message, unchanged.

    :param message: a sensor_msgs/Image with one of `ENCODINGS`, or a sensor_msgs/CompressedImage
        with PNG or TIFF; from rclpy or from rosbags.
    :returns: (H, W) uint8 or uint16.
    :raises ConvertError: if it is a colour image, damaged, too large, or a JPEG, whose values
        differ from those that were stored.
    """
    if hasattr(message, 'encoding'):
        if message.encoding.lower() not in _LOWER_CASE:
            raise ConvertError(f"the encoding '{message.encoding}' is not one of labels; expected "
                               f'{", ".join(ENCODINGS)}')
        rows, layout = image_rows(message, MAX_PIXELS)
        if layout.dtype == np.uint16:
            rows = np.ascontiguousarray(rows).view('>u2' if message.is_bigendian else '<u2')
        return np.ascontiguousarray(rows.astype(layout.dtype, copy=False))
    return label_file_values(bytes(message.data))


def label_file_values(data: bytes) -> np.ndarray:
    """
    Return the values of a label image file, unchanged.

    :param data: a PNG or TIFF. One whose channels are all equal counts as grey.
    :returns: (H, W) uint8 or uint16.
    :raises ConvertError: as `label_values`.
    """
    if not data.startswith(_SIGNATURES):
        raise ConvertError('labels must be PNG or TIFF, because other formats change their values')
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        values = None
    if values is None:
        raise ConvertError('the label image is damaged')
    check_pixels('the label image', values.shape[1], values.shape[0], MAX_PIXELS)
    if values.ndim == 3:
        colours = values[..., :3]
        if not (colours == colours[..., :1]).all():
            raise ConvertError('the label image has colours; expected one channel with numbers')
        values = np.ascontiguousarray(colours[..., 0])
    if values.dtype not in (np.uint8, np.uint16):
        raise ConvertError(f'the label image has {values.dtype} values; expected 8 or 16 bits')
    return values
