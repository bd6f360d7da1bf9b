# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cuts objects out of labelled pictures, if they are large, whole and solid enough."""

from __future__ import annotations

import numpy as np

from vl4ad_ros.composing.pasting import CutOut

_LEAST_PIXELS = 100
_LEAST_FILL = 0.25  # share of its box that an object fills; less is mostly hidden or torn
_BORDER = 2  # pixels: an object this close to the edge of the picture may be cut off


def cut_out(rgb: np.ndarray, mask: np.ndarray, name: str, least_height: int) -> CutOut | None:
    """
    Cut out an object.

    :param rgb: uint8 (H, W, 3).
    :param mask: boolean (H, W), the pixels of the object.
    :param name: what it is.
    :param least_height: in pixels.
    :return: None if the object is too small, touches the edge of the picture, or fills less than
        a quarter of its box.
    """
    if np.count_nonzero(mask) < _LEAST_PIXELS:
        return None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = mask.shape
    if (bottom - top < least_height or min(top, left) < _BORDER
            or bottom > height - _BORDER or right > width - _BORDER
            or np.count_nonzero(mask) < _LEAST_FILL * (bottom - top) * (right - left)):
        return None
    box = np.s_[top:bottom, left:right]
    return CutOut.of(name, rgb[box], mask[box])
