# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lays out a contact sheet: blocks of pictures with captions below a heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vl4ad_ros import captions
from vl4ad_ros.evaluation import drawing

TILE_WIDTH, GAP = 460, 14
"""Pixels: width of a picture on the contact sheet, and distance between two of them."""
_CAPTION_HEIGHT = 40


def contact_sheet(blocks: Sequence[tuple[str, Mapping[str, np.ndarray]]], columns: Sequence[str],
                  title: str, subtitle: str, across: int = 1) -> np.ndarray:
    """
    Return a contact sheet.

    :param blocks: the caption of each block, and its pictures by the column that they belong to.
        A picture is (H, W, 3) uint8 RGB with W at most `TILE_WIDTH`; a column may be missing.
    :param columns: titles of the columns of a block, from left to right. The column ``score`` gets
        a scale of colours.
    :param title: heading on the left.
    :param subtitle: heading on the right, or below the title, in as many lines as it
        needs, if both do not fit into a line.
    :param across: number of blocks side by side, at least 1.
    :returns: (H, W, 3) uint8 RGB.
    """
    width = max(2, len(columns) * across) * (TILE_WIDTH + GAP) + GAP
    parts = [_header(title, subtitle, [*columns] * across, width)]
    for first in range(0, len(blocks), across):
        row = blocks[first:first + across]
        height = max(tile.shape[0] for _, tiles in row for tile in tiles.values())
        part = np.full((height + _CAPTION_HEIGHT, width, 3), 255, np.uint8)
        for place, (caption, tiles) in enumerate(row):
            start = GAP + place * len(columns) * (TILE_WIDTH + GAP)
            for i, column in enumerate(columns):
                if column in tiles:
                    tile = tiles[column]
                    left = start + i * (TILE_WIDTH + GAP)
                    part[:tile.shape[0], left:left + tile.shape[1]] = tile
            captions.put_text(part, caption, (start, height + 22), 12, captions.DARK)
        parts.append(part)
    return np.concatenate(parts)


def _header(title: str, subtitle: str, columns: Sequence[str], width: int) -> np.ndarray:
    header = np.full((96, width, 3), 255, np.uint8)
    wide = captions.put_text(header, title, (GAP, 38), 18, captions.DARK)
    if wide + captions.text_width(subtitle, 12) < width - 4 * GAP:
        captions.put_text(header, subtitle, (width - GAP, 38), 12, captions.PALE, 'right')
    else:
        lines = _lines(subtitle, width - 2 * GAP)
        extra = np.full((22 * len(lines), width, 3), 255, np.uint8)
        for i, line in enumerate(lines):
            captions.put_text(extra, line, (GAP, 22 * i + 16), 12, captions.PALE)
        header = np.concatenate([header[:44], extra, header[44:]])
    base = header.shape[0] - 12
    for i, column in enumerate(columns):
        left = GAP + i * (TILE_WIDTH + GAP)
        captions.put_text(header, column, (left, base), 14, captions.DARK)
        if column == 'score':
            bar = drawing.colour_scale(np.tile(np.linspace(0, 1, 120), (12, 1)))
            right = left + TILE_WIDTH - 16
            header[base - 11:base + 1, right - 120:right] = bar
            captions.put_text(header, '0', (right - 126, base), 11, captions.PALE, 'right')
            captions.put_text(header, '1', (right + 4, base), 11, captions.PALE)
    return header


def _lines(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` pixels, except for single words."""
    lines = ['']
    for word in text.split():
        longer = f'{lines[-1]} {word}'.strip()
        if lines[-1] and captions.text_width(longer, 12) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
