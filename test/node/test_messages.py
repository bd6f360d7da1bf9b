# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages that the node publishes (needs rclpy)."""

import sys
import time

import numpy as np
import pytest
from std_msgs.msg import Header
from vl4ad_ros.node import messages


def picture(height: int, width: int) -> np.ndarray:
    """Return random colours of a fixed seed."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize('array_, encoding', [
    (picture(5, 7), 'rgb8'), (picture(5, 7)[..., 0], 'mono8'),
    (picture(5, 7)[..., 0].astype(np.float32) / 255, '32FC1'), (picture(6, 9)[::2, ::3], 'rgb8')])
def test_output_keeps_header_and_every_value(array_, encoding):
    header = Header(frame_id='camera_optical')
    out = messages.image(header, array_, encoding)
    assert (out.header, out.height, out.width) == (header, *array_.shape[:2])
    assert len(out.data) == out.step * out.height
    assert out.is_bigendian == (sys.byteorder == 'big')
    assert np.array_equal(np.frombuffer(out.data, array_.dtype).reshape(array_.shape), array_)


def test_data_is_not_checked_element_by_element():
    """Assigning an ndarray or bytes takes up to 0.5 s for 1080p; the way that is used, 1 ms."""
    large = np.zeros((1080, 1920, 3), np.uint8)
    began = time.perf_counter()
    messages.image(Header(), large, 'rgb8')
    assert time.perf_counter() - began < 0.1
