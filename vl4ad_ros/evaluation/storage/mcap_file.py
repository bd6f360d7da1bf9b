# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads the messages of MCAP files, also of unfinished and damaged ones (https://mcap.dev/spec).

The reader of rosbags needs a complete file whose profile is ros2, and refuses the whole file
otherwise. This one walks through the records from the start, and keeps what is whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple
import zlib

import lz4.frame

from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.stored import (
    OnRead, Place, place_of, Topic, unpacked, zstd)

MAGIC = b'\x89MCAP0\r\n'
"""The first bytes, and the last bytes of a finished file."""
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX, _DATA_END = (
    1, 2, 3, 4, 5, 6, 7, 0x0f)
_RECORD = struct.Struct('<BQ')
_MESSAGE_START = struct.Struct('<HIQQ')
_CHUNK_START = struct.Struct('<QQQI')
_OWN_CODES = 0x80
"""Codes of records from here on belong to applications; below, those up to 0x0f are defined."""
_NONE = -1
"""Block of a message that lies in no chunk."""


class _Channel(NamedTuple):
    topic: Topic
    encoding: str


class McapFile:
    """The messages of one MCAP file; a `StorageFile`."""

    def __init__(self, path: Path, types: Collection[str], content: Path | None = None,
                 on_read: OnRead = lambda size: None) -> None:
        """
        Read the whole file once and note where its messages are.

        :param path: the file, for messages.
        :param types: types of the topics whose messages shall be found; those of other topics are
            only counted.
        :param content: a file that begins with `MAGIC`; None stands for `path`.
        :param on_read: called several times while the file is read.
        :raises OSError: if the file cannot be read.
        """
        self.path = path
        self._content = content or path
        self.topics: Counter[Topic] = Counter()
        self.lost: Counter[Topic] = Counter()
        self.notes: list[str] = []
        self.start_ns = 0
        self._types = types
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, _Channel] = {}
        self._places: dict[Topic, list[Place]] = {}
        with self._content.open('rb') as stream:
            self._scan(stream, on_read)

    def places(self, topic: Topic) -> Sequence[Place]:
        """Return the messages of a topic of a wanted type, in the order in which they lie."""
        return self._places.get(topic, [])

    @contextmanager
    def reader(self) -> Iterator[Callable[[Topic, Place], bytes]]:
        """Open the file; the function returns a serialised message (CDR) by its place."""
        with self._content.open('rb') as stream:
            chunk: tuple[int, bytes] = _NONE, b''

            def read(topic: Topic, place: Place) -> bytes:
                nonlocal chunk
                if place.block == _NONE:
                    stream.seek(place.offset)
                    record = stream.read(place.size)
                else:
                    if chunk[0] != place.block:
                        stream.seek(place.block)
                        _, length = _RECORD.unpack(stream.read(_RECORD.size))
                        chunk = place.block, _inflated(stream.read(length))[0]
                    record = chunk[1][place.offset:place.offset + place.size]
                channel, = struct.unpack_from('<H', record)
                return self._message(channel, record[_MESSAGE_START.size:])
            yield read

    def _message(self, channel: int, data: bytes) -> bytes:
        """Return a stored message as CDR."""
        topic, encoding = self._channels[channel]
        if encoding == 'ros1':
            return bytes(typestore().ros1_to_cdr(data, topic.type))
        return unpacked(data)

    def _scan(self, stream: BinaryIO, on_read: OnRead) -> None:
        size = stream.seek(0, 2)
        position, finished, damaged = len(MAGIC), False, False
        while not finished and position + _RECORD.size <= size:
            stream.seek(position)
            code, length = _RECORD.unpack(stream.read(_RECORD.size))
            end = position + _RECORD.size + length
            if not 0 < code <= 0x0f and code < _OWN_CODES:
                break
            if end > size and code != _CHUNK:
                break
            if code in (_SCHEMA, _CHANNEL, _MESSAGE, _MESSAGE_INDEX):
                content = stream.read(length)
                if code == _MESSAGE_INDEX:
                    self._count_lost(content, damaged)
                else:
                    self._add(code, content, _NONE, position + _RECORD.size)
            elif code == _CHUNK:
                damaged = not self._add_chunk(stream.read(length), position)
                if end > size:
                    break
            # Whatever follows the data are indices of them.
            finished = code in (_DATA_END, _FOOTER)
            on_read(end - position)
            position = end
        if not finished:
            found = sum(self.topics.values())
            self.notes.append(
                f"'{self.path}' is unfinished or damaged: {size - position} of its {size} bytes, "
                f'from byte {position} on, are no whole record. The {found} messages that are '
                f'whole are read. Repair it with: mcap recover {self.path.name} -o NEW.mcap')

    def _add_chunk(self, content: bytes, position: int) -> bool:
        """Add the records of a chunk; return whether it is whole."""
        try:
            records, whole = _inflated(content)
        except (struct.error, ValueError) as error:
            self.notes.append(
                f"'{self.path}' has a damaged chunk of {len(content)} bytes at byte {position} "
                f'({error}), whose messages are left out. Repair it with: mcap recover '
                f'{self.path.name} -o NEW.mcap')
            return False
        place = 0
        while place + _RECORD.size <= len(records):
            code, length = _RECORD.unpack_from(records, place)
            place += _RECORD.size
            if place + length > len(records):
                break
            if code in (_SCHEMA, _CHANNEL, _MESSAGE):
                self._add(code, records[place:place + length], position, place)
            place += length
        return whole

    def _add(self, code: int, content: bytes, block: int, offset: int) -> None:
        """Add a schema, a channel or a message; one that cannot be read is left out."""
        try:
            if code == _SCHEMA:
                number, = struct.unpack_from('<H', content)
                self._schemas[number] = _text(content, 2)[0]
            elif code == _CHANNEL:
                self._add_channel(content)
            else:
                self._add_message(content, block, offset)
        except (struct.error, UnicodeDecodeError):
            return

    def _add_channel(self, content: bytes) -> None:
        number, schema = struct.unpack_from('<HH', content)
        name, end = _text(content, 4)
        encoding, _ = _text(content, end)
        # ROS 1 and Foxglove write sensor_msgs/Image for sensor_msgs/msg/Image.
        package, _, kind = self._schemas.get(schema, '').rpartition('/')
        if package and encoding in ('cdr', 'ros1'):
            kind = f'{package.removesuffix("/msg")}/msg/{kind}'
        else:
            kind = f'{kind}, {encoding}' if encoding != 'cdr' else kind
        self._channels[number] = _Channel(Topic(name, kind), encoding)
        self.topics[Topic(name, kind)] += 0

    def _add_message(self, content: bytes, block: int, offset: int) -> None:
        number, _, time_ns, _ = _MESSAGE_START.unpack_from(content)
        if number not in self._channels:
            return
        topic = self._channels[number].topic
        self.topics[topic] += 1
        if time_ns and (not self.start_ns or time_ns < self.start_ns):
            self.start_ns = time_ns
        if topic.type not in self._types:
            return
        data = content[_MESSAGE_START.size:]
        try:
            cdr = self._message(number, data)
        except Exception:  # It is refused, and counted, when its content is asked for.
            cdr = b''
        self._places.setdefault(topic, []).append(
            place_of(time_ns, cdr, block, offset, len(content)))

    def _count_lost(self, content: bytes, damaged: bool) -> None:
        """Count the messages that an index lists of a damaged chunk."""
        if damaged:
            number, length = struct.unpack_from('<HI', content)
            if number in self._channels:
                self.lost[self._channels[number].topic] += length // 16


def _inflated(content: bytes) -> tuple[bytes, bool]:
    """
    Return the records of a chunk, as far as they can be decompressed.

    :param content: of the chunk, possibly cut off.
    :returns: the records, and whether they are complete.
    :raises ValueError: if a complete chunk is damaged, or its compression is unknown.
    """
    _, _, size, checksum = _CHUNK_START.unpack_from(content)
    compression, place = _text(content, _CHUNK_START.size)
    length, = struct.unpack_from('<Q', content, place)
    data = content[place + 8:place + 8 + length]
    cut = len(data) < length
    try:
        if compression == 'zstd':
            data = zstd.ZstdDecompressor().decompress(data)
        elif compression == 'lz4':
            data = lz4.frame.LZ4FrameDecompressor().decompress(data)
        elif compression:
            raise ValueError(f"its compression '{compression}' is unknown")
    except (zstd.ZstdError, RuntimeError, EOFError) as error:
        raise ValueError(str(error)) from error
    if cut:
        return data, False
    if len(data) != size or checksum and zlib.crc32(data) != checksum:
        raise ValueError('its checksum or its size is wrong')
    return data, True


def _text(content: bytes, place: int) -> tuple[str, int]:
    """Return a string and the place after it."""
    length, = struct.unpack_from('<I', content, place)
    end = place + 4 + length
    if end > len(content):
        raise struct.error('a string is longer than its record')
    return content[place + 4:end].decode(), end
