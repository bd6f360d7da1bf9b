# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The raw messages of a running replay, on disk until the report is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from vl4ad_ros.evaluation.bag_reader import stamp_of


class Entry(NamedTuple):
    """Where one message lies, and when it arrived (ns since the epoch)."""

    topic: str
    received_ns: int
    offset: int
    size: int


class Spool:
    """
    Serialised messages in order of arrival, found again by topic and header stamp.

    The file has no name, so that it vanishes with the process however that ends.
    """

    def __init__(self, folder: Path) -> None:
        """Start empty in an existing folder on a disk with room."""
        self._file = TemporaryFile(dir=folder)
        self._entries: list[Entry] = []
        self._by_stamp: dict[tuple[str, int], Entry] = {}

    def append(self, topic: str, received_ns: int, cdr: bytes) -> None:
        """Store one message; a later one with the same topic and stamp replaces it in `find`."""
        entry = Entry(topic, received_ns, self._file.seek(0, 2), len(cdr))
        self._file.write(cdr)
        self._entries.append(entry)
        self._by_stamp[topic, stamp_of(cdr)] = entry

    def find(self, topic: str, stamp_ns: int) -> bytes | None:
        """Return the message of a topic whose header has that stamp; None if there is none."""
        entry = self._by_stamp.get((topic, stamp_ns))
        return entry and self._read(entry)

    def __iter__(self) -> Iterator[tuple[Entry, bytes]]:
        """Yield all messages in order of arrival."""
        for entry in self._entries:
            yield entry, self._read(entry)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _read(self, entry: Entry) -> bytes:
        self._file.seek(entry.offset)
        return self._file.read(entry.size)
