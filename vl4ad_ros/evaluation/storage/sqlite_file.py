# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads the messages of rosbag2's SQLite files, also of those that a killed recorder left behind.

The reader of rosbags opens a file as immutable, and so misses what is in its write-ahead log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
import shutil
import sqlite3
from tempfile import mkdtemp
from urllib.parse import quote
import weakref

from vl4ad_ros.evaluation.storage.stored import (
    BagError, OnRead, Place, place_of, Topic, unpacked)

MAGIC = b'SQLite format 3\0'
"""The first bytes of a file."""


class SqliteFile:
    """The messages of one SQLite file; a `StorageFile`."""

    def __init__(self, path: Path, types: Collection[str], content: Path | None = None,
                 on_read: OnRead = lambda size: None) -> None:
        """
        Read the whole file once and note where its messages are.

        A write-ahead log or a rollback journal beside the file belongs to it and is read, too.

        :param path: the file, for messages.
        :param types: types of the topics whose messages shall be found; those of other topics are
            only counted.
        :param content: a file that begins with `MAGIC`; None stands for `path`.
        :param on_read: called for each message of a wanted type.
        :raises BagError: if the file cannot be read, or is no recording.
        """
        self.path = path
        self.topics: Counter[Topic] = Counter()
        self.lost: Counter[Topic] = Counter()
        self.notes: list[str] = []
        self.start_ns = 0
        self._content = content or path
        self._on_read = on_read
        self._uri = self._address()
        self._places: dict[Topic, list[Place]] = {}
        try:
            with closing(self._connect()) as database:
                self._scan(database, types)
        except sqlite3.Error as error:
            raise BagError(f"'{path}' is not a readable recording: {error}; copy it again, or "
                           f'repair it with: sqlite3 {path.name} .recover | sqlite3 NEW.db3'
                           ) from error

    def places(self, topic: Topic) -> Sequence[Place]:
        """Return the messages of a topic of a wanted type, in the order in which they lie."""
        return self._places.get(topic, [])

    @contextmanager
    def reader(self) -> Iterator[Callable[[Topic, Place], bytes]]:
        """Open the file; the function returns a serialised message (CDR) by its place."""
        with closing(self._connect()) as database:
            def read(topic: Topic, place: Place) -> bytes:
                data, = database.execute(
                    'SELECT data FROM messages WHERE id = ?', (place.offset,)).fetchone()
                return unpacked(bytes(data))
            yield read

    def _address(self) -> str:
        """Return the URI of the database, or that of a copy of it."""
        logs = [log for log in (Path(f'{self._content}-wal'), Path(f'{self._content}-journal'))
                if log.is_file() and log.stat().st_size]
        if not logs:
            # Nobody writes to a recording without a log, and its folder can be read-only.
            return f'file:{quote(str(self._content.absolute()))}?mode=ro&immutable=1'
        # SQLite writes into the folder, and may write into the file, where it reads a log.
        folder = mkdtemp(prefix='vl4ad_')
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            for file in (self._content, *logs):
                shutil.copyfile(file, Path(folder, file.name))
        except OSError as error:
            raise BagError(f"'{self.path}' has a log of a killed recorder beside it, and a copy "
                           f'of both is needed to read them: {error}; set TMPDIR to a folder '
                           'with more space') from error
        return f'file:{quote(str(Path(folder, self._content.name)))}'

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True)

    def _scan(self, database: sqlite3.Connection, types: Collection[str]) -> None:
        tables = {name for name, in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {'topics', 'messages'} <= tables:
            raise BagError(f"'{self.path}' is not a recording of rosbag2: it has no table "
                           "'topics' or no table 'messages'")
        topics = {}
        for number, name, kind, encoding in database.execute(
                'SELECT id, name, type, serialization_format FROM topics'):
            topics[number] = Topic(name, kind if encoding == 'cdr' else f'{kind}, {encoding}')
            self.topics[topics[number]] += 0
        last = self._add_all(database, topics, types, 0)
        missing = 0 if last is None else self._add_rest(database, topics, types, last)
        if last is not None or self.lost:
            if len(topics) == 1:  # Else it is not known which topic they belong to.
                self.lost[next(iter(topics.values()))] += missing
                missing = 0
            missing += sum(self.lost.values())
            self.notes.append(
                f"'{self.path}' is damaged: {missing or 'an unknown number of'} messages cannot "
                f'be read and are left out. Repair it with: sqlite3 {self.path.name} .recover | '
                'sqlite3 NEW.db3')

    def _add_all(self, database: sqlite3.Connection, topics: dict[int, Topic],
                 types: Collection[str], first: int) -> int | None:
        """Add all rows from an id on; return the last id before a damaged page, else None."""
        last = first
        try:
            for row in database.execute(
                    'SELECT id, topic_id, timestamp FROM messages WHERE id > ? ORDER BY id',
                    (first,)):
                self._add(database, topics, types, row)
                last = row[0]
        except sqlite3.DatabaseError:
            return last
        return None

    def _add_rest(self, database: sqlite3.Connection, topics: dict[int, Topic],
                  types: Collection[str], last: int) -> int:
        """Add the rows after a damaged page one by one; return how many cannot be read."""
        # The index on the record times lists the rows, too, and has pages of its own. A damaged
        # page can hold any number in place of the highest id, so nothing is counted up to that.
        rows: set[int] = set()
        try:
            for number, in database.execute(
                    'SELECT id FROM messages INDEXED BY timestamp_idx ORDER BY timestamp'):
                rows.add(number)
        except sqlite3.DatabaseError:  # It is damaged from here on, or does not exist.
            pass
        missing = 0
        for number in sorted(row for row in rows if row > last):
            try:
                row = database.execute('SELECT id, topic_id, timestamp FROM messages WHERE '
                                       'id = ?', (number,)).fetchone()
                if row is not None:
                    self._add(database, topics, types, row)
                missing += row is None
            except sqlite3.DatabaseError:
                missing += 1
        return missing

    def _add(self, database: sqlite3.Connection, topics: dict[int, Topic],
             types: Collection[str], row: tuple[int, int, int]) -> None:
        number, topic_id, time_ns = row
        topic = topics.get(topic_id)
        if topic is None:
            return
        if time_ns > 0 and (not self.start_ns or time_ns < self.start_ns):
            self.start_ns = time_ns
        if topic.type in types:
            try:
                data, = database.execute('SELECT data FROM messages WHERE id = ?',
                                         (number,)).fetchone()
            except sqlite3.DatabaseError:  # A damaged page holds a part of the message.
                self.lost[topic] += 1
                return
            self._on_read(len(data))
            try:
                cdr = unpacked(bytes(data))
            except ValueError:  # It is refused, and counted, when its content is asked for.
                cdr = b''
            self._places.setdefault(topic, []).append(
                place_of(time_ns, cdr, 0, number, len(data)))
        self.topics[topic] += 1
