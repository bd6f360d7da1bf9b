# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Files and folders that appear at their final place only once they are complete.

An output is first written into a hidden folder beside its place. The folder has the name of the
output and ends in `.partial`; a lock file belongs to it. The run that writes holds the lock, and
the system releases it when the run ends in any way. So the next run can distinguish a folder that
a killed run has left, which it removes, from a folder that another run is writing to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
import shutil
from typing import TextIO

from vl4ad_ros.signals import undisturbed

_PARTIAL = '.partial'
# Folders inside the partial one. Results are written into the first. It is renamed to the second
# when they are complete, and then to the third when the old results have been moved away.
_NEW, _COMPLETE, _MOVING = 'new', 'complete', 'moving'
_OLD = 'old'
_SCRATCH = '.scratch'


class OutputError(ValueError):
    """An output that cannot be written to its place; the message says why and what to do."""


def keep_apart(out: Path, inputs: Iterable[Path]) -> None:
    """
    Refuse an output that could destroy an input when it is written.

    :param out: the folder that is going to be written to.
    :param inputs: the files and folders that are read. The files in such a folder are checked too,
        because they may be links to other places.
    :raises OutputError: if an input lies in `out`, or if `out` lies in an input.
    """
    for given in inputs:
        files = given.iterdir() if given.is_dir() else ()
        if any(_lies_in(path, out) for path in (given, *files)):
            raise OutputError(f"the input '{given}' lies in the output folder '{out}' and could "
                              'be overwritten; choose another folder with --out')
        if _lies_in(out, given):
            raise OutputError(f"the output '{out}' lies in the input '{given}' and could "
                              'overwrite it; choose another folder with --out')


@contextmanager
def beside(out: Path, wait: bool = False) -> Iterator[Path]:
    """
    Yield a path for a file or folder, which is moved to `out` at the end of the block.

    The path does not exist yet and has the same name as `out`. If the block fails, is interrupted
    or writes nothing, `out` stays as it was.

    :param out: the final place. It must not be a folder with content.
    :param wait: wait until another run that writes to `out` has ended, instead of raising an
        error.
    :raises OutputError: if another run is writing to `out`, or if nothing can be written there.
    """
    with _partial_folder(out.parent / f'.{out.name}{_PARTIAL}', out, wait) as folder:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder / out.name
        with suppress(FileNotFoundError):
            os.replace(folder / out.name, out)


@contextmanager
def replaced(out: Path, names: Sequence[str]) -> Iterator[Path]:
    """
    Yield an empty folder, whose content replaces the old results in `out` at the end of the block.

    The replacement takes a few renames. Ctrl-C and SIGTERM are held back during these. If the
    block fails or is interrupted, the old results stay. A run that is killed between two renames
    has complete results, and the next call finishes the replacement. All other files in `out` stay
    as they are.

    :param out: the folder of the results; it is created if it does not exist.
    :param names: names of all files and folders that can belong to a result. The first one shows a
        user that the result is complete: it is removed first and added last.
    :raises OutputError: if another run is writing to `out`, or if nothing can be written there.
    """
    made = not out.exists()
    try:
        with _partial_folder(out / _PARTIAL, out) as folder:
            with undisturbed():
                _put_in_place(folder, out, names)
            shutil.rmtree(folder, ignore_errors=True)
            new = folder / _NEW
            new.mkdir(parents=True)
            yield new
            with undisturbed():
                new.rename(folder / _COMPLETE)
                _put_in_place(folder, out, names)
    finally:
        if made:
            with suppress(OSError):  # The folder is not empty, so there are results in it.
                out.rmdir()


@contextmanager
def held(out: Path) -> Iterator[Path]:
    """
    Keep other runs out of a folder, and yield the path of a scratch folder in it.

    The scratch folder does not exist yet and is removed at the end of the block. Everything else
    in `out` stays as the block leaves it, also if the block fails or is interrupted.

    :param out: a folder of results; it is created if it does not exist.
    :raises OutputError: if another run is writing to `out`, or if nothing can be written there.
    """
    with _partial_folder(out / _SCRATCH, out) as folder:
        shutil.rmtree(folder, ignore_errors=True)
        yield folder


def _put_in_place(folder: Path, out: Path, names: Sequence[str]) -> None:
    """Move complete results into place, or continue where a killed run stopped."""
    complete, moving, old = folder / _COMPLETE, folder / _MOVING, folder / _OLD
    if complete.exists():
        old.mkdir(exist_ok=True)
        for name in names:
            with suppress(FileNotFoundError):
                (out / name).rename(old / name)
        complete.rename(moving)
    if moving.exists():
        for name in reversed(names):
            with suppress(FileNotFoundError):
                (moving / name).rename(out / name)
        shutil.rmtree(moving)


@contextmanager
def _partial_folder(folder: Path, out: Path, wait: bool = False) -> Iterator[Path]:
    """Hold the lock of a partial folder, which may exist already, and remove it at the end."""
    lock_file = folder.with_name(f'{folder.name}.lock')
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(lock_file, wait)
    except OSError as error:
        raise OutputError(f"'{out}' cannot be written ({error.strerror}: '{error.filename}'); "
                          'choose another place with --out') from error
    if lock is None:
        raise OutputError(f"another run is writing to '{out}'; wait until it has ended, or choose "
                          'another place with --out')
    try:
        yield folder
    finally:
        with undisturbed():
            if not any((folder / stage).exists() for stage in (_COMPLETE, _MOVING)):
                shutil.rmtree(folder, ignore_errors=True)
            lock_file.unlink(missing_ok=True)
            lock.close()


def _lock(file: Path, wait: bool) -> TextIO | None:
    """Return the locked file, to be closed; None if another process holds it."""
    while True:
        lock = file.open('a')
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            lock.close()
            return None
        except OSError:
            return lock  # A file system without locks: only one run at a time is safe there.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), file.stat()):
                return lock
        lock.close()  # The run that held the lock has removed its file: lock the new file.


def _lies_in(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or lies in it, after following links and mounts."""
    real = Path(os.path.realpath(path))
    return any(_same(place, folder) for place in (real, *real.parents))


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # One of them does not exist.
        return os.path.realpath(one) == os.path.realpath(other)
