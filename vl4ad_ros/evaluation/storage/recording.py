# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the files of a recording, opens each by its content, and puts them in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
import json
from pathlib import Path, PurePosixPath
import re
import shutil
from tempfile import mkdtemp
from typing import Any, BinaryIO
import weakref

from vl4ad_ros.evaluation.storage import mcap_file, ros1_file, sqlite_file
from vl4ad_ros.evaluation.storage.stored import (
    BagError, OnRead, Place, StorageFile, Topic, ZSTD, zstd)
from vl4ad_ros.files import FileRefused, open_regular, stands_for_another, START_BYTES
import yaml

SUFFIXES = ('.mcap', '.db3', '.bag')
"""Ends of the names of storage files; those of compressed ones have one of `_PACKED` after it."""
EXPECTED = 'expected a rosbag2 folder, a .mcap or .db3 file, or a ROS 1 .bag file'
ANOMALIES_KEY, KNOWN_KEY = 'vl4ad_anomalies', 'vl4ad_known'
"""Keys of the custom data: JSON lists of objects, each with at least a number and a kind."""
_PACKED = ('.zstd', '.zst')
_KINDS: Mapping[bytes, Callable[[Path, Collection[str], Path, OnRead], StorageFile]] = {
    mcap_file.MAGIC: mcap_file.McapFile, sqlite_file.MAGIC: sqlite_file.SqliteFile,
    ros1_file.MAGIC: ros1_file.Ros1File}
_BLOCK = 1 << 20


class Recording:
    """
    The messages of all files of a recording.

    The files are in the order of their start, whatever `metadata.yaml` says, because tools that
    write it again sort the names as text. Connections are told apart by topic and type only: what
    `metadata.yaml` says about their quality of service does not matter.

    :ivar path: the recording, as it was given.
    :ivar topics: number of messages that can be read, by topic; those without a message too.
    :ivar lost: number of messages that are known to be unreadable, by topic.
    :ivar notes: a sentence about each thing that cannot be read or that is not as it should be.
    :ivar custom: the `custom_data` of `metadata.yaml`; empty if there is none.
    """

    def __init__(self, path: Path, types: Collection[str],
                 on_read: OnRead = lambda size: None) -> None:
        """
        Open the files and note where their messages are.

        :param path: a rosbag2 folder, with or without `metadata.yaml`, or a single storage file,
            which may be compressed with zstd.
        :param types: types of the topics whose messages shall be found.
        :param on_read: called while the files are read. The sizes add up to about `size_of`.
        :raises BagError: if there is no such recording, or if none of its files can be read.
        """
        self.path = path
        self.notes: list[str] = []
        self.custom: dict[str, str] = {}
        if not path.exists():
            raise BagError(f"no recording at '{path}': there is no such file; {EXPECTED}")
        files = self._files_of(path) if path.is_dir() else [path]
        opened: list[StorageFile] = []
        for file in files:
            try:
                opened.append(self._open(file, types, on_read))
            except BagError as error:
                if len(files) == 1:
                    raise
                self.notes.append(f'{error}. The other files are read')
        if not opened:
            raise BagError(f"'{path}' has no file that can be read: {self.notes[0]}")
        # Files of equal start keep the order of their names.
        self._files = sorted(opened, key=lambda file: file.start_ns)
        self.topics: Counter[Topic] = Counter()
        self.lost: Counter[Topic] = Counter()
        for storage in self._files:
            for topic, count in storage.topics.items():
                self.topics[topic] += count
            for topic, count in storage.lost.items():
                self.lost[topic] += count
            self.notes += storage.notes

    def places(self, topic: Topic) -> list[tuple[int, Place]]:
        """
        Return where the messages of a topic are.

        :param topic: a topic of a wanted type.
        :returns: pairs of the number of a file and a place in it, in the order of recording.
        """
        return [(number, place) for number, file in enumerate(self._files)
                for place in file.places(topic)]

    def messages(self, topic: Topic, places: Sequence[tuple[int, Place]]
                 ) -> Iterator[tuple[Place, bytes]]:
        """
        Read messages.

        :param topic: their topic.
        :param places: where they are, in any order.
        :returns: the place of each message, and the message as CDR. A message that is damaged in
            its file is empty.
        """
        with ExitStack() as stack:
            readers: dict[int, Callable[[Topic, Place], bytes]] = {}
            for number, place in places:
                if number not in readers:
                    readers[number] = stack.enter_context(self._files[number].reader())
                try:
                    cdr = readers[number](topic, place)
                except Exception:  # of sqlite3, zstd, lz4 and rosbags
                    cdr = b''
                yield place, cdr

    def _files_of(self, folder: Path) -> list[Path]:
        """Return the storage files of a folder: those of metadata.yaml, or all there are."""
        found = {file.name: file for file in sorted(folder.iterdir(), key=natural_order)
                 if is_storage_name(file.name) and file.is_file()}
        # A file that was unpacked beside the packed one is the same once more.
        for name in list(found):
            if name.endswith(_PACKED) and name.rpartition('.')[0] in found:
                del found[name]
        listed = self._listed(folder)
        if not found:
            cure = EXPECTED
            inside = [child.name for child in sorted(folder.iterdir(), key=natural_order)
                      if child.is_dir() and any(is_storage_name(f.name) for f in child.iterdir())]
            if listed:
                cure = f'copy {", ".join(listed)}, which its metadata.yaml lists, into it'
            elif inside:
                cure = f'it has folders that are recordings ({", ".join(inside)}): give these'
            raise BagError(f"'{folder}' is not a recording: it has no .mcap, .db3 or .bag file; "
                           f'{cure}')
        present = [name for name in listed if name in found]
        if present and len(present) == len(listed):
            others = ', '.join(name for name in found if name not in present)
            if others:
                self.notes.append(f"'{folder}' has files that its metadata.yaml does not list "
                                  f'({others}); they are not read. To list them, run: ros2 bag '
                                  f'reindex {folder.name}')
            return [found[name] for name in dict.fromkeys(present)]
        if listed:
            absent = ', '.join(name for name in listed if name not in found)
            self.notes.append(f"'{folder}' does not have {absent}, which its metadata.yaml lists; "
                              f'all its other files are read ({", ".join(found)}). Copy what is '
                              f'missing, or run: ros2 bag reindex {folder.name}')
        return list(found.values())

    def _listed(self, folder: Path) -> list[str]:
        """Return the names of the files that metadata.yaml lists, without a folder."""
        file = folder / 'metadata.yaml'
        if not file.is_file():
            return []
        try:
            content = yaml.safe_load(file.read_text(encoding='utf-8-sig'))
            about: Any = content['rosbag2_bagfile_information']
            names = [PurePosixPath(name).name for name in about['relative_file_paths']]
            custom = about.get('custom_data') or {}
            self.custom = {str(k): str(v) for k, v in custom.items()}
            return names
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
            self.notes.append(f"'{file}' cannot be used ({type(error).__name__}: "
                              f'{str(error).splitlines()[0] if str(error) else ""}); the files '
                              f'beside it are read. To write it again, run: ros2 bag reindex '
                              f'{folder.name}')
            return []

    def _open(self, path: Path, types: Collection[str], on_read: OnRead) -> StorageFile:
        start = _start_of(path)
        content = path
        if start.startswith(ZSTD):
            content = self._unpacked(path, on_read)
            on_read = _ignore  # All bytes of the file itself have been counted.
            start = _start_of(content)
        for magic, kind in _KINDS.items():
            if start.startswith(magic):
                try:
                    return kind(path, types, content, on_read)
                except OSError as error:
                    raise BagError(f"'{path}' cannot be read: {error}") from error
        other = stands_for_another(start)
        if other:
            raise BagError(f"'{path}' {other}")
        if not start and content != path:
            raise BagError(f"'{path}' is cut off before anything can be decompressed; copy it "
                           'again')
        if not start.strip(b'\0'):
            what = 'has only zeros' if start else 'is empty'
            raise BagError(f"'{path}' {what}; copy it again from where it was recorded, or look "
                           'for other files of this recording')
        raise BagError(f"'{path}' is not a readable recording: it begins with "
                       f'{bytes(start[:8])!r}; {EXPECTED}')

    def _unpacked(self, path: Path, on_read: OnRead) -> Path:
        """Decompress a file to the folder for temporary files, as far as it is whole."""
        folder = Path(mkdtemp(prefix='vl4ad_'))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        name = path.name
        for suffix in _PACKED:
            name = name.removesuffix(suffix)
        target = folder / name
        try:
            with path.open('rb') as packed, target.open('wb') as out:
                if not _unpack(packed, out, on_read):
                    self.notes.append(f"'{path}' is cut off or damaged; what comes before that is "
                                      'read. Copy it again')
        except OSError as error:
            raise BagError(f"'{path}' cannot be decompressed: {error}; set TMPDIR to a folder "
                           'with more space') from error
        return target


def size_of(path: Path) -> int:
    """
    Return the size of a recording in bytes; 0 if there is none.

    :param path: a folder or a storage file.
    """
    try:
        files = path.iterdir() if path.is_dir() else iter([path])
        return sum(file.stat().st_size for file in files
                   if file == path or is_storage_name(file.name))
    except OSError:
        return 0


def is_storage_name(name: str) -> bool:
    """Tell whether the name of a file ends as that of a storage file, possibly compressed."""
    name = name.lower()
    for suffix in _PACKED:
        name = name.removesuffix(suffix)
    return name.endswith(SUFFIXES)


def is_storage_file(path: Path) -> bool:
    """Tell whether a path is a file that begins as a storage file does, or has such a name."""
    if not path.is_file():
        return False
    try:
        start = _start_of(path)
    except BagError:
        start = b''
    return is_storage_name(path.name) or start.startswith((*_KINDS, ZSTD))


def anomalies_of(recording: Recording) -> dict[int, str]:
    """Return the kind of each ground-truth object by its id, where the metadata names it."""
    try:
        return {a['number']: a['kind'] for key in (ANOMALIES_KEY, KNOWN_KEY)
                for a in json.loads(recording.custom.get(key, '[]'))}
    except (ValueError, KeyError, TypeError):
        return {}


def _ignore(size: int) -> None:
    """Do nothing."""


def _unpack(packed: BinaryIO, out: BinaryIO, on_read: OnRead) -> bool:
    """Decompress as far as the data are whole; return whether all are."""
    decompressor, data = zstd.ZstdDecompressor(), b''
    try:
        while block := packed.read(_BLOCK):
            data = block
            on_read(len(block))
            while data:
                if decompressor.eof:  # One frame can follow another.
                    decompressor = zstd.ZstdDecompressor()
                out.write(decompressor.decompress(data))
                data = decompressor.unused_data
    except zstd.ZstdError:
        return False
    return decompressor.eof


def _start_of(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            return stream.read(START_BYTES)
    except FileRefused as error:
        raise BagError(f'{error}; {EXPECTED}') from error
    except OSError as error:
        raise BagError(f"'{path}' cannot be read: {error.strerror or error}") from error


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts rec_2 before rec_10."""
    return [(int(part), '') if part.isdigit() else (0, part)
            for part in re.split(r'([0-9]+)', path.name)]
