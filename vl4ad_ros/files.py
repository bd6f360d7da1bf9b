# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading of files that users name: never waits, and never reads without an end."""

from __future__ import annotations

import os
from pathlib import Path
import stat
from typing import BinaryIO

_KINDS = ((stat.S_ISDIR, 'a directory'), (stat.S_ISFIFO, 'a named pipe'),
          (stat.S_ISSOCK, 'a socket'), (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device'))


class FileRefused(OSError):
    """A path that is not read because of what it names; the text of the error is a sentence."""


def read_regular(path: str | Path, limit: int) -> bytes:
    """
    Return the content of a regular file; symbolic links are followed.

    Anything else (a directory, named pipe, socket or device) is refused at once, since opening or
    reading it could wait for ever or never end.

    :param limit: most bytes that the file may have.
    :raises FileRefused: if it is no regular file, has more bytes, or its path cannot be a path.
    :raises OSError: as `os.open`, for example FileNotFoundError.
    """
    with open_regular(path, limit) as stream:
        content = bytearray()
        # Files of /proc have a size of 0 and still a content, so the size is no measure of it.
        while chunk := stream.read(min(1 << 20, limit + 1 - len(content))):
            content += chunk
    if len(content) > limit:
        raise FileRefused(f'{_shown(path)} has more than {limit} bytes, the most that are read of '
                          'it')
    return bytes(content)


def open_regular(path: str | Path, limit: int | None = None) -> BinaryIO:
    """
    Open a regular file to read bytes from; symbolic links are followed.

    :param limit: most bytes that the file may have; None for any number.
    :raises FileRefused: as `read_regular`.
    :raises OSError: as `os.open`, for example FileNotFoundError.
    """
    try:
        # Asked first, because opening a device can already have an effect.
        _refuse_irregular(os.stat(path), _shown(path), limit)
        # O_NONBLOCK: should it have become a named pipe since, opening it does not wait.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # NUL, or characters that file names cannot be encoded with
        reason = 'a NUL character' if '\0' in str(path) else f'no valid characters ({error})'
        raise FileRefused(f'{_shown(path)} is no path of a file: it has {reason}') from None
    try:
        _refuse_irregular(os.fstat(handle), _shown(path), limit)
        return os.fdopen(handle, 'rb')
    except BaseException:
        os.close(handle)
        raise


def cache_folder() -> Path:
    """
    Return ``$XDG_CACHE_HOME/vl4ad_ros``, by default ``~/.cache/vl4ad_ros``; it may not exist yet.

    :raises RuntimeError: if neither that variable nor a home folder is known.
    """
    try:
        return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache', 'vl4ad_ros')
    except RuntimeError:
        raise RuntimeError('this user has no home folder to store files in; set XDG_CACHE_HOME to '
                           'a folder that you may write to') from None


def _shown(path: str | Path) -> str:
    return f'{str(path)[:200]!r}'


def _refuse_irregular(status: os.stat_result, shown: str, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), 'a special file')
        raise FileRefused(f'{shown} is {kind}; expected a regular file')
    if limit is not None and status.st_size > limit:
        raise FileRefused(f'{shown} has {status.st_size} bytes; expected at most {limit}')
