# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read files that users name, without blocking and without an unbounded amount of memory."""

from __future__ import annotations

import os
from pathlib import Path
import stat
from typing import BinaryIO

_KINDS = ((stat.S_ISDIR, 'a directory'), (stat.S_ISFIFO, 'a named pipe'),
          (stat.S_ISSOCK, 'a socket'), (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device'))


_LFS = b'version https://git-lfs.github.com/spec/'
_PAGE_STARTS = (b'<!doctype html', b'<html', b'<?xml')
START_BYTES = 1024
"""Number of bytes at the start of a file that `stands_for_another` needs."""


class FileRefused(OSError):
    """A path that is not read because of what it refers to; the message is a sentence."""


def read_regular(path: str | Path, limit: int) -> bytes:
    """
    Return the content of a regular file. Symbolic links are followed.

    Directories, named pipes, sockets and devices are refused at once, because opening or reading
    one of them could block for ever.

    :param path: path of the file.
    :param limit: largest size of the file, in bytes.
    :raises FileRefused: if the path does not refer to a regular file, if the file is larger, or
        if the text cannot be a path.
    :raises OSError: as `os.open` does, for example FileNotFoundError.
    """
    with open_regular(path, limit) as stream:
        content = bytearray()
        # Files in /proc report a size of 0 although they have content, so the size does not tell.
        while chunk := stream.read(min(1 << 20, limit + 1 - len(content))):
            content += chunk
    if len(content) > limit:
        raise FileRefused(f'{_shown(path)} has more than {limit} bytes; expected at most {limit}')
    return bytes(content)


def open_regular(path: str | Path, limit: int | None = None) -> BinaryIO:
    """
    Open a regular file to read bytes from it. Symbolic links are followed.

    :param path: path of the file.
    :param limit: largest size of the file, in bytes; None stands for any size.
    :returns: the open file, which the caller closes.
    :raises FileRefused: as `read_regular` does.
    :raises OSError: as `os.open` does, for example FileNotFoundError.
    """
    try:
        # This comes before opening the file, because opening a device can have an effect.
        _refuse_irregular(os.stat(path), _shown(path), limit)
        # With O_NONBLOCK, opening does not block if the file has become a named pipe since then.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # The text has NUL, or characters that no file name can have.
        reason = 'a NUL character' if '\0' in str(path) else f'invalid characters ({error})'
        raise FileRefused(f'{_shown(path)} is not the path of a file: it has {reason}') from None
    try:
        _refuse_irregular(os.fstat(handle), _shown(path), limit)
        return os.fdopen(handle, 'rb')
    except BaseException:
        os.close(handle)
        raise


def stands_for_another(start: bytes) -> str:
    """
    Tell whether a file holds something else in place of the data that its name promises.

    Two kinds are common: the pointer that Git leaves where the Large File Storage was not fetched
    (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), and a web page that was saved in
    place of a download, such as a warning or a login page.

    :param start: the first `START_BYTES` bytes of the file; all of a shorter file.
    :returns: a clause that continues the name of the file and says what to do; ``''`` for any
        other content.
    """
    if start.startswith(_LFS):
        return ('is a Git LFS pointer and not the file itself; run this in its repository: '
                'git lfs pull')
    if start.lstrip(b'\xef\xbb\xbf \t\r\n').lower().startswith(_PAGE_STARTS):
        return ('is a web page (HTML) and not the file itself; open it in a browser to see why, '
                'and download the file again')
    return ''


def cache_folder() -> Path:
    """
    Return the folder for files that can be made again; it need not exist yet.

    It is ``$XDG_CACHE_HOME/vl4ad_ros``, by default ``~/.cache/vl4ad_ros``.

    :raises RuntimeError: if neither this variable is set nor a home folder is known.
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
