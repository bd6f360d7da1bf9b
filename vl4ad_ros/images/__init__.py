# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Image messages and image files to RGB arrays.

The functions for messages read the fields of a message by name, so they take messages of rclpy and
of rosbags. This package imports neither rclpy nor message packages.
"""

from vl4ad_ros.images.compressed import compressed_to_rgb
from vl4ad_ros.images.depth import SampleDepth
from vl4ad_ros.images.errors import ConvertError, MAX_PIXELS
from vl4ad_ros.images.photo import photo_to_rgb
from vl4ad_ros.images.raw import image_to_rgb
from vl4ad_ros.images.size import image_size

__all__ = ['compressed_to_rgb', 'ConvertError', 'image_size', 'image_to_rgb', 'MAX_PIXELS',
           'photo_to_rgb', 'SampleDepth']
