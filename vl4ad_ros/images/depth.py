# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many bits of a 16-bit value a camera uses, and conversion to 8 bits."""

from __future__ import annotations

import numpy as np

DEPTHS = (8, 10, 12, 14, 16)
"""Bits of the values of usual sensors."""


class SampleDepth:
    """
    The number of bits that a camera uses of its 16-bit values.

    The messages do not say it: 12-bit values are published as mono16 too, and would be nearly
    black if 16 bits were assumed. The depth is the smallest of `DEPTHS` that holds every value
    so far. It only grows, so the brightness of a camera changes at most four times, and does not
    follow the exposure. Use one object for each camera and each recording; the same frames in the
    same order then give the same pixels. Its weakness: until a camera has sent a bright value,
    its frames are too bright, by powers of four.

    Where the largest value of the camera is known, it can be stated instead. Then every image is
    scaled by it from the first one on.

    :ivar bits: one of `DEPTHS`; 8 before the first image.
    :ivar max_value: the value that was stated for full brightness; 0 if none was.
    :ivar used: whether an image with 16-bit values was converted.
    """

    def __init__(self, max_value: int = 0) -> None:
        """
        Begin with the smallest depth.

        :param max_value: value of full brightness, 1 to 65535; 0 finds out the depth.
        """
        self.bits = DEPTHS[0]
        self.max_value = max_value
        self.used = False

    def __str__(self) -> str:
        """Return what is taken for full brightness, for diagnostics; '' before any use."""
        if not self.used:
            return ''
        return f'{self.max_value} (stated)' if self.max_value else f'{self.bits} bits'

    def to_bytes(self, values: np.ndarray) -> np.ndarray:
        """
        Take the values of one more image, and return their upper eight bits.

        :param values: uint8, which are returned unchanged, or uint16 of any byte order, right
            aligned; any shape with at least one value.
        :returns: uint8 of the same shape, 0 to 255.
        """
        if values.dtype == np.uint8:
            return values
        self.used = True
        if self.max_value:
            bright = np.minimum(values, self.max_value).astype(np.uint32)
            return (bright * 255 // self.max_value).astype(np.uint8)
        largest = int(values.max())
        self.bits = max(self.bits, next(bits for bits in DEPTHS if not largest >> bits))
        return (values >> (self.bits - 8)).astype(np.uint8)
