# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The error for images that cannot be read, and the limit of their size."""

from __future__ import annotations

MAX_PIXELS = 64_000_000
"""Width times height of the largest image that is converted, unless the caller says otherwise."""


class ConvertError(ValueError):
    """An image message that cannot be read; the text says what was expected."""


def check_pixels(description: str, width: int, height: int, max_pixels: int) -> None:
    """
    Refuse an image that has too many pixels.

    :param description: what the image is, for the error message.
    :param width: in pixels.
    :param height: in pixels.
    :param max_pixels: width times height of the largest image that is accepted.
    :raises ConvertError: if the image is larger.
    """
    if width * height > max_pixels:
        raise ConvertError(f'{description} has {width}x{height} pixels, more than the '
                           f'{max_pixels} that are accepted; make the camera publish smaller '
                           'images, or raise image.max_pixels')
