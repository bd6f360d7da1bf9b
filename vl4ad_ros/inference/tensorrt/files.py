# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, whatever happens while they are written."""

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
_CHUNK = 1 << 24  # bytes in one system call, so that Ctrl-C is answered between two
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(files: Mapping[Path, Any]) -> None:
    """
    Write buffers to files of one folder: each has its old or its new content at any moment.

    The last file vouches for those before it: it is away while they are replaced.

    :raises BackendError: if the disk is full or the folder cannot be written.
    """
    *others, last = files
    temporaries = []
    with _saying(last, sum(memoryview(content).nbytes for content in files.values())):
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
def _saying(file: Path, size: int) -> Iterator[None]:
    """Turn an error of writing `size` bytes to `file` into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            try:
                free = f'{shutil.disk_usage(file.parent).free >> 20} MiB free'
            except OSError:
                free = 'unknown space free'
            cure = (f'{-(-size >> 20)} MiB needed, {free}; free some space (vl4ad build --prune '
                    'removes engines of no use) or choose another --cache-dir')
        else:
            cure = 'choose a --cache-dir that you may write to'
        raise BackendError(f'{file} cannot be written ({error.strerror or error}): {cure}'
                           ) from error


def map_file(file: Path) -> memoryview:
    """Return a file's bytes without reading them into memory."""
    with open(file, 'rb') as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def write_summed(file: Path, content: Any) -> None:
    """Write what `read_summed` reads."""
    write_whole({file: hashlib.sha256(content).digest() + bytes(content)})


def read_summed(file: Path) -> bytes | None:
    """Return what was written to `file`; None if it is missing, unreadable or altered."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return content[32:] if hashlib.sha256(content[32:]).digest() == content[:32] else None


@contextmanager
def locked(file: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """
    Hold a lock that ends with this process at the latest.

    :param waiting: called if another process holds it, before waiting for it.
    """
    with ExitStack() as owned:
        with _saying(file, 0):
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = owned.enter_context(open(file, 'ab'))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield
