# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes text and boxes with captions on pictures, for the overlay of the node and reports."""

from __future__ import annotations

import cv2
import numpy as np

DARK, PALE, WHITE = (32, 36, 44), (150, 156, 166), (255, 255, 255)
"""Colours (RGB, 0..255) of texts and backgrounds."""
_FONT = cv2.FONT_HERSHEY_DUPLEX


def put_text(canvas: np.ndarray, text: str, at: tuple[int, int], height: int,
             colour: tuple[int, int, int], align: str = 'left') -> int:
    """
    Write one line of text.

    :param canvas: (H, W, 3) uint8 RGB; it is changed.
    :param text: characters outside of ASCII are replaced by question marks.
    :param at: x and y in pixels of the point on the baseline that `align` refers to.
    :param height: height of a capital letter in pixels.
    :param colour: RGB, 0..255.
    :param align: which part of the text lies at `at`: ``left``, ``centre`` or ``right``.
    :returns: the width of the text in pixels.
    """
    scale, thickness = _pen(height)
    text = _ascii(text)
    width = text_width(text, height)
    x = at[0] - {'left': 0, 'centre': width // 2, 'right': width}[align]
    cv2.putText(canvas, text, (x, at[1]), _FONT, scale, colour, thickness, cv2.LINE_AA)
    return width


def text_width(text: str, height: int) -> int:
    """Return the width in pixels of a line whose capital letters are `height` pixels high."""
    return cv2.getTextSize(_ascii(text), _FONT, *_pen(height))[0][0]


def _pen(height: int) -> tuple[float, int]:
    return height / 22.0, 2 if height >= 22 else 1


def _ascii(text: str) -> str:
    """Return a text that OpenCV's fonts have all characters of."""
    return text.encode('ascii', 'replace').decode()


def draw_box(canvas: np.ndarray, box: tuple[float, float, float, float], text: str,
             scale: float, colour: tuple[int, int, int]) -> None:
    """
    Draw a box with a line of text.

    :param canvas: (H, W, 3) uint8 RGB; it is changed.
    :param box: x, y, width and height in pixels of the image.
    :param text: characters outside of ASCII are replaced by question marks.
    :param scale: pixels of the canvas for each pixel of the image.
    :param colour: RGB, 0..255.
    """
    x, y, width, height = box
    margin = 3
    left, top = round(x * scale) - margin, round(y * scale) - margin
    right, bottom = round((x + width) * scale) + margin, round((y + height) * scale) + margin
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
    put_tab(canvas, text, left - 1, top, bottom, colour)


def put_tab(canvas: np.ndarray, text: str, left: int, top: int, bottom: int,
            colour: tuple[int, int, int]) -> None:
    """
    Write one line of text on a coloured field above a box, or below it if there is no room.

    :param canvas: (H, W, 3) uint8 RGB; it is changed.
    :param text: characters outside of ASCII are replaced by question marks.
    :param left: left edge of the box in pixels.
    :param top: top edge of the box in pixels.
    :param bottom: bottom edge of the box in pixels.
    :param colour: colour of the field, RGB, 0..255.
    """
    letter = max(9, canvas.shape[1] // 75)
    width = text_width(text, letter)
    tab = letter + 8
    left = int(np.clip(left, 0, max(0, canvas.shape[1] - width - 10)))
    base = top if top >= tab else min(bottom + tab, canvas.shape[0])
    cv2.rectangle(canvas, (left, base - tab), (left + width + 9, base), colour, -1)
    put_text(canvas, text, (left + 5, base - 5), letter, DARK)
