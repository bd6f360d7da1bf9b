# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that are complete or absent, whatever happens while they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, ExitStack
import errno
import fcntl
import hashlib
import mmap
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any

from vl4ad_ros.inference.errors import BackendError

UNFINISHED = '.unfinished-'
"""How the names of files begin that are being written; see `write_whole`."""
_CHUNK = 1 << 24  # bytes in one system call, so that Ctrl-C is answered between two of them
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(files: Mapping[Path, Any]) -> None:
    """
    Write files of one folder so that each has its old or its new content at any moment.

    They are written under other names, flushed to the disk, and renamed. The last file vouches
    for those before it: it does not exist while they are replaced.

    :param files: content of each file, a buffer of bytes, by path. All are in the same folder,
        which is created if it does not exist.
    :raises BackendError: if the disk is full or the folder cannot be written.
    """
    *others, last = files
    temporaries: list[str] = []
    size = sum(memoryview(content).nbytes for content in files.values())
    with explain_failed_writes(last.parent, size):
        last.parent.mkdir(parents=True, exist_ok=True)
        try:
            for content in files.values():
                handle, temporary = tempfile.mkstemp(dir=last.parent, prefix=UNFINISHED)
                temporaries.append(temporary)
                with open(handle, 'wb') as stream:
                    for start in range(0, memoryview(content).nbytes, _CHUNK):
                        stream.write(memoryview(content)[start:start + _CHUNK])
                    stream.flush()
                    os.fsync(stream.fileno())
                os.chmod(temporary, 0o644)
            if others:
                last.unlink(missing_ok=True)
            for temporary, file in zip(temporaries, files):
                os.replace(temporary, file)
            handle = os.open(last.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except BaseException:
            for temporary in filter(os.path.exists, temporaries):
                os.unlink(temporary)
            raise


@contextmanager
def explain_failed_writes(folder: Path, size: int) -> Iterator[None]:
    """
    Turn an OSError of the block into an error that says what to do.

    :param folder: folder that the block writes to.
    :param size: number of bytes that the block writes, for the message.
    :raises BackendError: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            try:
                free = f'{shutil.disk_usage(folder).free >> 20} MiB free'
            except OSError:
                free = 'unknown space free'
            remedy = (f'{-(-size >> 20)} MiB needed, {free}; free some space (vl4ad build --prune '
                      'removes engines that are of no use) or choose another --cache-dir')
        else:
            remedy = 'choose a --cache-dir that you may write to'
        raise BackendError(f'{folder} cannot be written ({error.strerror or error}): {remedy}'
                           ) from error


def map_file(file: Path) -> memoryview:
    """
    Return the content of a file without reading it into memory.

    :raises OSError: if it cannot be opened.
    :raises ValueError: if it is empty.
    """
    with open(file, 'rb') as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def write_summed(file: Path, content: Any) -> None:
    """
    Write a buffer of bytes with its checksum, for `read_summed`.

    :raises BackendError: if the disk is full or the folder cannot be written.
    """
    write_whole({file: hashlib.sha256(content).digest() + bytes(content)})


def read_summed(file: Path) -> bytes | None:
    """Return what `write_summed` wrote; None if the file is missing, unreadable or altered."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return content[32:] if hashlib.sha256(content[32:]).digest() == content[:32] else None


@contextmanager
def locked(file: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """
    Hold a lock, which at the latest ends with this process.

    :param file: the lock's file, which is created if it does not exist.
    :param waiting: is called before waiting, if another process holds the lock.
    :raises BackendError: if the folder cannot be written.
    """
    with ExitStack() as owned:
        with explain_failed_writes(file.parent, 0):
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = owned.enter_context(open(file, 'ab'))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield
