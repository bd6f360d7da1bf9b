# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import fcntl
import hashlib
import mmap
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any

from vl4ad_ros.runtime.backends import BackendError

UNFINISHED = '.unfinished-'
_CHUNK = 1 << 24  # bytes in one system call: a signal is answered between two
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(file: Path, *parts: Any) -> None:
    """
    Write buffers to `file`, which has the old or the new content at any moment.

    :raises BackendError: if the disk is full or the folder cannot be written.
    """
    temporary = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=UNFINISHED)
        with open(handle, 'wb') as stream:
            for part in map(memoryview, parts):
                for start in range(0, part.nbytes, _CHUNK):
                    stream.write(part[start:start + _CHUNK])
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
        _sync_folder(file.parent)
    except OSError as error:
        _remove(temporary)
        raise BackendError(_cannot_write(file, sum(memoryview(p).nbytes for p in parts), error)
                           ) from error
    except BaseException:
        _remove(temporary)
        raise


def _cannot_write(file: Path, size: int, error: OSError) -> str:
    if error.errno in _FULL:
        try:
            free = f'{shutil.disk_usage(file.parent).free >> 20} MiB free'
        except OSError:
            free = 'unknown space free'
        return (f'{file} cannot be written ({error.strerror}): {-(-size >> 20)} MiB needed, {free}'
                '; free some space (vl4ad build --prune removes engines of no use) or choose '
                'another --cache-dir')
    return (f'{file} cannot be written ({error.strerror or error}); choose a --cache-dir that you '
            'may write to')


def _remove(file: str | None) -> None:
    if file is not None and os.path.exists(file):
        os.unlink(file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def map_file(file: Path) -> memoryview:
    """Return a file's bytes without reading them into memory."""
    with open(file, 'rb') as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def write_summed(file: Path, content: Any) -> None:
    """Write what `read_summed` reads."""
    write_whole(file, hashlib.sha256(content).digest(), content)


def read_summed(file: Path) -> bytes | None:
    """Return what was written to `file`; None if it is missing or altered."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    return content[32:] if hashlib.sha256(content[32:]).digest() == content[:32] else None


@contextmanager
def locked(file: Path, waiting: Any) -> Iterator[None]:
    """
    Hold a lock that ends with this process at the latest.

    :param waiting: called if another process holds it, before waiting for it.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = open(file, 'ab')
    except OSError as error:
        raise BackendError(_cannot_write(file, 0, error)) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
