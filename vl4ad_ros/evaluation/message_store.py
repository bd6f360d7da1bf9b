# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the messages that arrive during a replay on disk until the report is written."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from vl4ad_ros.evaluation.bag_reader import stamp_of


class StoredMessage(NamedTuple):
    """
    Where one message is stored.

    :ivar received_ns: when it arrived, nanoseconds since the epoch.
    :ivar topic: its topic.
    :ivar stamp_ns: its header stamp, nanoseconds since the epoch.
    :ivar offset: its position in the file, bytes.
    :ivar size: its length, bytes.
    """

    received_ns: int
    topic: str
    stamp_ns: int
    offset: int
    size: int


class MessageStore:
    """
    Serialised messages in the order of their arrival.

    They are kept in a file without a name, which the operating system removes when the process
    ends, even if it is killed.
    """

    def __init__(self, folder: Path) -> None:
        """
        Start empty.

        :param folder: an existing folder on a disk with room for all messages.
        :raises OSError: if no file can be created there.
        """
        self._file = TemporaryFile(dir=folder)
        self._entries: list[StoredMessage] = []
        self._by_stamp: dict[tuple[str, int], list[StoredMessage]] = defaultdict(list)

    def append(self, topic: str, received_ns: int, cdr: bytes, stamp_ns: int | None = None
               ) -> StoredMessage:
        """
        Store one message.

        :param topic: its topic.
        :param received_ns: when it arrived, nanoseconds since the epoch; not before the message
            that was stored last.
        :param cdr: the serialised message.
        :param stamp_ns: its stamp, nanoseconds since the epoch; None takes that of the
            std_msgs/Header with which the message begins.
        :returns: where it is stored.
        :raises OSError: if the disk is full.
        """
        if stamp_ns is None:
            stamp_ns = stamp_of(cdr)
        entry = StoredMessage(received_ns, topic, stamp_ns, self._file.seek(0, 2), len(cdr))
        self._file.write(cdr)
        self._entries.append(entry)
        self._by_stamp[topic, entry.stamp_ns].append(entry)
        return entry

    def read(self, entry: StoredMessage) -> bytes:
        """
        Read a message.

        :param entry: where it is stored, as `append` returned it.
        :returns: the serialised message.
        """
        self._file.seek(entry.offset)
        return self._file.read(entry.size)

    def of_same_frame(self, answer: StoredMessage, topic: str) -> bytes | None:
        """
        Find the message of another topic that the node published about the same frame.

        The two messages have the same stamp. Where a recording repeats stamps, they are the two
        that arrived nearest to each other, because the node publishes everything about one frame
        before it begins the next.

        :param answer: a stored message about the frame.
        :param topic: the other topic.
        :returns: the serialised message; None if none was stored.
        """
        found = self._nearest(answer, topic)
        if found is None or self._nearest(found, answer.topic) != answer:
            return None
        return self.read(found)

    def next_of_stamp(self, answer: StoredMessage, topic: str) -> bytes | None:
        """
        Find the first message of a topic with the stamp of another message that came after it.

        :param answer: a stored message.
        :param topic: the topic of the other message.
        :returns: the serialised message; None if none was stored.
        """
        entries = self._by_stamp.get((topic, answer.stamp_ns), [])
        place = bisect_left(entries, answer.received_ns, key=lambda e: e.received_ns)
        return self.read(entries[place]) if place < len(entries) else None

    def __iter__(self) -> Iterator[tuple[StoredMessage, bytes]]:
        """Yield every message with its place, in the order of arrival."""
        for entry in self._entries:
            yield entry, self.read(entry)

    def close(self) -> None:
        """Remove the file; the store cannot be used afterwards."""
        self._file.close()

    def _nearest(self, entry: StoredMessage, topic: str) -> StoredMessage | None:
        """Return the message of a topic with the stamp of `entry` that arrived nearest to it."""
        entries = self._by_stamp.get((topic, entry.stamp_ns), [])
        place = bisect_left(entries, entry.received_ns, key=lambda e: e.received_ns)
        return min(entries[max(0, place - 1):place + 1], default=None,
                   key=lambda e: abs(e.received_ns - entry.received_ns))
