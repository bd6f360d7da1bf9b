# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Files and folders that appear at their place only once they are complete.

What is being written lies in a hidden folder beside its place, named after it and ending in
`.partial`, with a lock file of the same name. The lock is held by the run that writes, and ends
with it, however it ends. So the next run can tell a folder that a killed run left, which it
removes, from one that is still being written to.
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
# Folders inside the partial one. Results are written into the first. Renaming it to the second
# says that they are complete, renaming that to the third that the old results are out of the way.
_NEW, _COMPLETE, _MOVING = 'new', 'complete', 'moving'
_OLD = 'old'


class OutputError(ValueError):
    """An output that cannot be written there; the message says why and what to do."""


def keep_apart(out: Path, inputs: Iterable[Path]) -> None:
    """
    Refuse an output whose writing could destroy an input.

    :param out: the folder that is written to.
    :param inputs: files and folders that are read; of a folder the files in it count, too, since
        they may be links to elsewhere.
    :raises OutputError: if an input lies in `out`, or `out` lies in an input.
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
    Give a path that does not exist yet for a file or folder that becomes `out` at the end.

    The path has the same name as `out`. If the block fails, is interrupted or writes nothing,
    `out` stays as it was.

    :param out: must not be a folder with content.
    :param wait: wait for another run that writes the same, instead of an error.
    :raises OutputError: if another run is writing to `out`, or nothing can be written there.
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
    Give an empty folder whose content takes the place of what `out` holds under `names`.

    The change happens at the end of the block and takes a few renames, during which Ctrl-C and
    SIGTERM wait. If the block fails or is interrupted, the old results stay. A run that was
    killed between two of the renames had complete results; the next call finishes its change.
    Whatever else lies in `out` is not touched.

    :param out: a folder; it is made if there is none.
    :param names: all files and folders that belong to a result. The first tells a user that the
        result is there: it leaves first and comes last.
    :raises OutputError: if another run is writing to `out`, or nothing can be written there.
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
            with suppress(OSError):  # There is something in it, as there should be.
                out.rmdir()


def _put_in_place(folder: Path, out: Path, names: Sequence[str]) -> None:
    """Move complete results into place, or go on with it where a killed run stopped."""
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
    """Hold the lock of a partial folder, which may exist, and remove the folder at the end."""
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
        lock.close()  # Whoever held it removed it: lock its successor.


def _lies_in(path: Path, folder: Path) -> bool:
    """Tell whether a path is a folder or lies in it, wherever links and mounts lead."""
    real = Path(os.path.realpath(path))
    return any(_same(place, folder) for place in (real, *real.parents))


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # One of them does not exist.
        return os.path.realpath(one) == os.path.realpath(other)
