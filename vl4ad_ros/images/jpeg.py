# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The segments of a JPEG (ITU-T T.81, annex B): where it begins and ends, its size, what is missing.

libjpeg only warns when data are missing, and fills the rest of the picture with grey. The checks
here, and `decode`, find a JPEG that was cut and then got an end marker from somewhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
import struct

import cv2
import numpy as np

_START, _END, _START_OF_SCAN, _RESTART_INTERVAL = 0xd8, 0xd9, 0xda, 0xdd
_WITHOUT_LENGTH = frozenset((0x00, 0x01, *range(0xd0, 0xd8), 0xff))
"""Bytes that can follow 0xff without a length: stuffing, TEM, restart markers, fill bytes."""
_FRAME_HEADERS = frozenset(range(0xc0, 0xd0)) - {0xc4, 0xc8, 0xcc}
"""The markers SOF0 to SOF15 of a JPEG; three codes in this range mean something else."""
_PROGRESSIVE = frozenset((0xc2, 0xc6, 0xca, 0xce))
_LOOKED_AHEAD = b'\xff\x00' * 8
"""
Eight bytes of one bits, as they fill up the last byte of a scan. libjpeg reads up to eight bytes
ahead, and no sequence of one bits is a code.
"""
_MAX_SURPLUS = 8
"""Bytes; several USB cameras write a few bytes between the last block and the end marker."""
_FLAGS = cv2.IMREAD_UNCHANGED
"""The samples as they are stored: one channel or BGR, without the rotation that Exif asks for."""


class DamagedJpeg(ValueError):
    """A JPEG that is not whole; the text is a clause that says what is missing."""


@dataclass(frozen=True)
class Jpeg:
    """
    A JPEG whose segments are whole.

    :ivar data: from the start marker to the end of the last scan; the end marker is left out.
    :ivar width: in pixels.
    :ivar height: in pixels.
    :ivar one_scan: whether all the components are in a single scan, as cameras write it.
    """

    data: bytes
    width: int
    height: int
    one_scan: bool


def find_jpeg(data: bytes) -> Jpeg | None:
    """
    Find the first JPEG in a buffer; what stands before and after it is ignored.

    :param data: a camera's buffer.
    :returns: the JPEG; None if there is no start marker.
    :raises DamagedJpeg: if a segment, a scan, a restart interval or the end marker is missing.
    """
    start = 0 if data.startswith(b'\xff\xd8') else data.find(b'\xff\xd8\xff')
    return None if start < 0 else _Walk(data, start).jpeg()


def decode(jpeg: Jpeg) -> np.ndarray | None:
    """
    Decode a JPEG.

    A JPEG with a single scan is given to OpenCV with eight bytes instead of its end marker. If
    blocks are missing, libjpeg then waits for more data, and OpenCV returns nothing. With an end
    marker it would invent them. If blocks are left over, because the rest of another image
    follows, the picture is complete although its last bytes are withheld.

    What is not found: fewer blocks than about one 16x16 pixels need, the loss of the last scan's
    end where there are several scans (progressive JPEG), and damaged blocks in the right number.

    :param jpeg: from `find_jpeg`.
    :returns: (H, W) uint8, or (H, W, 3) uint8 in the order in which the encoder got BGR; None if
        libjpeg refuses it.
    :raises DamagedJpeg: if there are too few or too many blocks.
    :raises cv2.error: what OpenCV raises.
    """
    whole = jpeg.data + b'\xff\xd9'
    if not jpeg.one_scan:
        return _imdecode(whole)
    open_ended = _imdecode(jpeg.data + _LOOKED_AHEAD)
    if not _refuses_missing_data():
        # OpenCV repeats the last row instead, where the end marker makes grey of it.
        picture = _imdecode(whole)
        if picture is not None and (
                open_ended is None or not np.array_equal(picture, open_ended)):
            raise DamagedJpeg('its rows are not all there')
        return picture
    if open_ended is None:
        raise DamagedJpeg('its rows are not all there')
    # One eighth of the size needs no more than the Huffman codes.
    if _imdecode(jpeg.data[:-_MAX_SURPLUS], cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None:
        raise DamagedJpeg('it has more data than its size needs; two images were mixed')
    return open_ended


def _imdecode(data: bytes, flags: int = _FLAGS) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


@lru_cache(maxsize=1)
def _refuses_missing_data() -> bool:
    """Return whether this OpenCV returns nothing for a JPEG whose data end early."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    return _imdecode(cv2.imencode('.jpg', noise)[1].tobytes()[:-200]) is None


@dataclass(frozen=True)
class _Frame:
    """A frame header: kind of coding, size in pixels, and sampling factors by component."""

    marker: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]

    def blocks(self, components: bytes) -> int:
        """Return how many units (MCU) a scan of these components has."""
        most_h = max(h for h, _ in self.sampling.values())
        most_v = max(v for _, v in self.sampling.values())
        h, v = self.sampling[components[0]] if len(components) == 1 else (1, 1)
        return -(-self.width * h // (8 * most_h)) * -(-self.height * v // (8 * most_v))


class _Walk:
    """One pass through the segments of a JPEG."""

    def __init__(self, data: bytes, start: int) -> None:
        """Begin at the start marker."""
        self._data = data
        self._start = start
        # Where 0xff is followed by anything but 0xff and the zero that follows it in a scan.
        values = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(values[:-1] == 0xff) + 1
        self._codes = places[(values[places] != 0) & (values[places] != 0xff)]
        self._frame: _Frame | None = None
        self._interval = 0
        self._scans = 0
        self._scan_end = start
        # The lowest bit that has been sent of each coefficient, by component.
        self._sent: dict[int, np.ndarray] = {}

    def jpeg(self) -> Jpeg:
        """Walk to the end marker."""
        for marker, body in self._segments():
            if marker in _FRAME_HEADERS:
                self._read_frame(marker, body)
            elif marker == _RESTART_INTERVAL and len(body) == 2:
                self._interval = int.from_bytes(body, 'big')
            elif marker == _START_OF_SCAN:
                self._read_scan(body)
            elif marker == _END:
                return self._finished()
        raise DamagedJpeg('it has no end marker')

    def _segments(self) -> Iterator[tuple[int, bytes]]:
        """Yield the marker of each segment, and its body without the length."""
        data, position = self._data, self._start + 2
        while True:
            # Bytes between two segments are skipped, as libjpeg does.
            position = data.find(b'\xff', position)
            if position < 0 or position + 2 > len(data):
                return
            marker = data[position + 1]
            if marker in _WITHOUT_LENGTH:
                position += 1
                continue
            if marker == _START:
                raise DamagedJpeg('another image begins inside it')
            if marker == _END:
                yield marker, b''
                return
            length = int.from_bytes(data[position + 2:position + 4], 'big')
            end = position + 2 + length
            if length < 2:
                raise DamagedJpeg('a segment has no length')
            if end > len(data):
                return
            body = data[position + 4:end]
            yield marker, body
            position = end
            if marker == _START_OF_SCAN:
                position = self._scan_end = self._end_of_scan(end, body)

    def _read_frame(self, marker: int, body: bytes) -> None:
        if self._frame is not None or len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise DamagedJpeg('its frame header is wrong')
        height, width = struct.unpack_from('>HH', body, 1)
        sampling = {identity: (factors >> 4, factors & 15)
                    for identity, factors in zip(body[6::3], body[7::3])}
        if not (width and height and sampling) or not all(h and v for h, v in sampling.values()):
            raise DamagedJpeg('its frame header is wrong')
        self._frame = _Frame(marker, width, height, sampling)
        self._sent = {identity: np.full(64, 255) for identity in sampling}

    def _read_scan(self, body: bytes) -> None:
        """Note which bits of which coefficients a scan sends."""
        components = body[1:-3:2] if len(body) >= 6 else b''
        if (self._frame is None or not components or len(body) != 4 + 2 * body[0]
                or not set(components) <= set(self._sent)):
            raise DamagedJpeg('the header of a scan is wrong')
        first, last, bits = body[-3:]
        if self._frame.marker not in _PROGRESSIVE:
            first, last, bits = 0, 63, 0
        for component in components:
            self._sent[component][first:last + 1] = bits & 15
        self._scans += 1

    def _end_of_scan(self, position: int, header: bytes) -> int:
        """Return where a scan ends, before any fill bytes; check the restart markers in it."""
        restarts, last = 0, position
        for code in self._codes[np.searchsorted(self._codes, position + 1):].tolist():
            marker = self._data[code]
            if not 0xd0 <= marker <= 0xd7:
                break
            if marker != 0xd0 + restarts % 8:
                raise DamagedJpeg('a restart interval is missing')
            restarts += 1
            last = code + 1
        else:
            return len(self._data)
        end = code - 1
        while end > last and self._data[end - 1] == 0xff:
            end -= 1
        expected = 0
        if self._interval and self._frame is not None:
            blocks = self._frame.blocks(header[1:-3:2])
            expected = -(-blocks // self._interval) - 1
        # Some encoders write one more, in front of the end marker.
        if restarts != expected and (restarts != expected + 1 or last != end):
            raise DamagedJpeg(f'it has {restarts} restart markers, expected {expected}')
        return end

    def _finished(self) -> Jpeg:
        if self._frame is None or not self._scans:
            raise DamagedJpeg('it has no picture')
        if any(sent.any() for sent in self._sent.values()):
            raise DamagedJpeg('a scan is missing')
        return Jpeg(self._data[self._start:self._scan_end], self._frame.width,
                    self._frame.height, self._scans == 1)
