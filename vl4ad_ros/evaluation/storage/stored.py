# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of all kinds of storage files have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
import struct
import sys
from typing import NamedTuple, Protocol

# Both packages come with rosbags, which reads and writes zstd with them, too.
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD = b'\x28\xb5\x2f\xfd'
"""The first bytes of data compressed with zstd; no serialised message begins with them."""
_STAMP = (struct.Struct('>iI'), struct.Struct('<iI'))
"""Layout of the stamp, indexed by the byte-order bit of the CDR header (0: big endian)."""
_HEADER_BYTES = 12
"""Bytes of the CDR header and of the stamp."""


OnRead = Callable[[int], object]
"""Is called with the number of bytes of a file that were read since the call before."""


class BagError(ValueError):
    """A recording or a frame that cannot be used; the message says why and what to do."""


class Topic(NamedTuple):
    """
    A topic of a recording; one name can have several types.

    :ivar name: such as `/camera/image`.
    :ivar type: with its package, such as `sensor_msgs/msg/Image`.
    """

    name: str
    type: str


class Place(NamedTuple):
    """
    Where one message is in a storage file; the last three mean something to its reader only.

    :ivar time_ns: when the message was recorded, nanoseconds since the epoch.
    :ivar stamp_ns: stamp at the start of the message, nanoseconds since the epoch; `time_ns` if
        the message is too short to have one.
    """

    time_ns: int
    stamp_ns: int
    block: int
    offset: int
    size: int


class StorageFile(Protocol):
    """The messages in one file of a recording."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def topics(self) -> Mapping[Topic, int]:
        """Number of messages that can be read, by topic; those without a message too."""

    @property
    def lost(self) -> Mapping[Topic, int]:
        """Number of messages that are known to be unreadable, by topic."""

    @property
    def notes(self) -> Sequence[str]:
        """A sentence about each part that cannot be read, with what can be done about it."""

    @property
    def start_ns(self) -> int:
        """Earliest record time above 0, nanoseconds since the epoch; 0 if there is none."""

    def places(self, topic: Topic) -> Sequence[Place]:
        """Return the messages of a topic of a wanted type, in the order in which they lie."""

    def reader(self) -> AbstractContextManager[Callable[[Topic, Place], bytes]]:
        """Open the file; the function returns a serialised message (CDR) by its place."""


def stamp_of(cdr: bytes) -> int:
    """
    Read the stamp of a serialised message without deserialising it.

    :param cdr: a message that begins with a stamp or a std_msgs/Header, with its 4-byte CDR
        header.
    :returns: nanoseconds since the epoch.
    """
    seconds, nanoseconds = _STAMP[cdr[1] & 1].unpack_from(cdr, 4)
    return seconds * 10**9 + nanoseconds


def frame_id_of(cdr: bytes) -> str:
    """
    Read the `frame_id` of a serialised message without deserialising it.

    :param cdr: a message that begins with a std_msgs/Header, with its 4-byte CDR header.
    :returns: the `frame_id`; ``''`` if the message is too short to have one.
    """
    if len(cdr) < _HEADER_BYTES + 4:
        return ''
    size = int.from_bytes(cdr[_HEADER_BYTES:_HEADER_BYTES + 4], ('big', 'little')[cdr[1] & 1])
    return cdr[_HEADER_BYTES + 4:_HEADER_BYTES + 3 + size].decode(errors='replace')


def place_of(time_ns: int, cdr: bytes, block: int, offset: int, size: int) -> Place:
    """
    Return the place of a message.

    :param time_ns: as in `Place`, as are the last three.
    :param cdr: the message, or its first 12 bytes.
    """
    stamp_ns = stamp_of(cdr) if len(cdr) >= _HEADER_BYTES else time_ns
    return Place(time_ns, stamp_ns, block, offset, size)


def unpacked(message: bytes) -> bytes:
    """
    Decompress a message that rosbag2 has compressed (``compression_mode: message``).

    :param message: as it is stored; a message that is not compressed is returned unchanged.
    :raises ValueError: if the compressed data are damaged.
    """
    if not message.startswith(ZSTD):
        return message
    try:
        return zstd.decompress(message)
    except zstd.ZstdError as error:
        raise ValueError(f'its compressed data are damaged: {error}') from error
