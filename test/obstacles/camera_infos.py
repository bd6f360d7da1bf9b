# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""CameraInfo messages made by hand, for tests without ROS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

LENSES = {
    'none': ('plumb_bob', ()),
    'plumb_bob': ('plumb_bob', (-0.31, 0.12, 0.0008, -0.0006, -0.02)),
    'rational_polynomial': ('rational_polynomial',
                            (0.42, -0.21, 0.0004, 0.0003, -0.01, 0.71, -0.11, -0.03)),
    'equidistant': ('equidistant', (-0.012, 0.006, -0.004, 0.0008)),
}
"""Distortion model and coefficients of usual lenses."""


def camera_info(lens: str = 'none', **fields: Any) -> SimpleNamespace:
    """Return a calibrated camera of 640 x 480 pixels; `roi` is a tuple x, y, width, height."""
    model, coefficients = LENSES[lens]
    x, y, width, height = fields.pop('roi', (0, 0, 0, 0))
    return SimpleNamespace(**{
        'width': 640, 'height': 480, 'distortion_model': model, 'd': list(coefficients),
        'k': [510.0, 0, 322.0, 0, 505.0, 236.0, 0, 0, 1.0],
        'r': [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0],
        'p': [480.0, 0, 318.0, 0, 0, 480.0, 241.0, 0, 0, 0, 1.0, 0],
        'binning_x': 0, 'binning_y': 0,
        'roi': SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height,
                               do_rectify=False), **fields})
