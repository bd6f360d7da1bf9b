# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The size of the image in a message, without decoding it."""

from __future__ import annotations

from typing import Any

from vl4ad_ros.images.compressed import compressed_size
from vl4ad_ros.images.errors import ConvertError, MAX_PIXELS
from vl4ad_ros.images.raw import image_rows


def image_size(message: Any) -> tuple[int, int]:
    """
    Return the size that the image of a message has when it is decoded.

    :param message: a sensor_msgs Image or CompressedImage, from rclpy or from rosbags.
    :returns: height and width in pixels.
    :raises ConvertError: if the message holds no image of a known format.
    :raises DamagedJpeg: if a JPEG is not whole.
    """
    if hasattr(message, 'encoding'):
        rows, layout = image_rows(message, MAX_PIXELS)
        all_rows, own_rows = layout.planes
        return rows.shape[0] * own_rows // all_rows, message.width
    size = compressed_size(bytes(message.data))
    if size is None:
        raise ConvertError('the message has no JPEG, PNG or TIFF')
    return size[1], size[0]
