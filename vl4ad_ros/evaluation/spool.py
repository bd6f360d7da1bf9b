# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The raw messages of a running replay, on disk until the report is written."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from vl4ad_ros.evaluation.bag_reader import stamp_of


class Entry(NamedTuple):
    """Where one message lies, its header's stamp, and when it arrived (ns since the epoch)."""

    received_ns: int
    topic: str
    stamp_ns: int
    offset: int
    size: int


class Spool:
    """
    Serialised messages in order of arrival.

    The file has no name, so that it vanishes with the process however that ends.
    """

    def __init__(self, folder: Path) -> None:
        """Start empty in an existing folder on a disk with room."""
        self._file = TemporaryFile(dir=folder)
        self._entries: list[Entry] = []
        self._by_stamp: dict[tuple[str, int], list[Entry]] = defaultdict(list)

    def append(self, topic: str, received_ns: int, cdr: bytes) -> Entry:
        """Store one message and return where it lies."""
        entry = Entry(received_ns, topic, stamp_of(cdr), self._file.seek(0, 2), len(cdr))
        self._file.write(cdr)
        self._entries.append(entry)
        self._by_stamp[topic, entry.stamp_ns].append(entry)
        return entry

    def read(self, entry: Entry) -> bytes:
        """Return a message."""
        self._file.seek(entry.offset)
        return self._file.read(entry.size)

    def beside(self, answer: Entry, topic: str) -> bytes | None:
        """
        Return the message of another topic that belongs to the same frame; None if there is none.

        It has the same stamp. Where a recording repeats stamps, the two are those that arrived
        nearest to each other: the node publishes all about a frame before it begins the next.
        """
        found = self._nearest(answer, topic)
        mutual = found is not None and self._nearest(found, answer.topic) == answer
        return self.read(found) if mutual else None

    def __iter__(self) -> Iterator[tuple[Entry, bytes]]:
        """Yield all messages in order of arrival."""
        for entry in self._entries:
            yield entry, self.read(entry)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _nearest(self, entry: Entry, topic: str) -> Entry | None:
        entries = self._by_stamp.get((topic, entry.stamp_ns), [])
        place = bisect_left(entries, entry.received_ns, key=lambda e: e.received_ns)
        return min(entries[max(0, place - 1):place + 1], default=None,
                   key=lambda e: abs(e.received_ns - entry.received_ns))
