# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The size of a TIFF (TIFF 6.0), read before it is decoded."""

from __future__ import annotations

import struct

STARTS = (b'II*\0', b'MM\0*')
"""The first bytes of a TIFF, little and big endian."""
_WIDTH, _HEIGHT, _OFFSETS, _LENGTHS = 256, 257, 273, 279
_SHORT, _LONG = 3, 4
_FORMATS = {_SHORT: 'H', _LONG: 'I'}


def tiff_size(data: bytes) -> tuple[int, int] | None:
    """
    Return width and height of the first picture, which is the one that OpenCV decodes.

    :param data: the whole file.
    :returns: in pixels; None if the picture has no size, is made of tiles, or if a strip of it
        lies outside the file.
    """
    order = '<' if data.startswith(STARTS[0]) else '>'
    try:
        fields = _fields(data, order)
    except struct.error:  # it points outside the file
        return None
    offsets, lengths = fields.get(_OFFSETS, ()), fields.get(_LENGTHS, ())
    if len(fields.get(_WIDTH, ())) != 1 or len(fields.get(_HEIGHT, ())) != 1:
        return None
    if not offsets or len(offsets) != len(lengths):
        return None
    if any(offset + length > len(data) for offset, length in zip(offsets, lengths)):
        return None
    return fields[_WIDTH][0], fields[_HEIGHT][0]


def _fields(data: bytes, order: str) -> dict[int, tuple[int, ...]]:
    """Return the fields of the first directory that hold 16-bit or 32-bit numbers."""
    directory, = struct.unpack_from(f'{order}I', data, 4)
    count, = struct.unpack_from(f'{order}H', data, directory)
    fields = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f'{order}HHI', data, entry)
        letter = _FORMATS.get(kind)
        if letter is None:
            continue
        place = entry + 8
        if values * struct.calcsize(f'{order}{letter}') > 4:
            place, = struct.unpack_from(f'{order}I', data, place)
        if tag in (_WIDTH, _HEIGHT, _OFFSETS, _LENGTHS):
            if values > len(data):
                raise struct.error('more values than bytes')
            fields[tag] = struct.unpack_from(f'{order}{values}{letter}', data, place)
    return fields
