# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays in .npz files, read only after their headers have said what they are and how large."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import math
from pathlib import Path
from typing import IO, TypeVar
import zipfile

import numpy as np

from vl4ad_ros.files import open_regular

LIMIT = 1 << 30
"""The most bytes that the arrays of one file may have in memory."""
_KINDS = 'biufU'
_BLOCK = 1 << 22

T = TypeVar('T')


def read_arrays(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """
    Return arrays of a .npz file by name.

    :raises OSError: if the file cannot be read.
    :raises ValueError: if one is missing, or the file is damaged or holds more than `LIMIT` bytes.
    """
    return _reading(file, lambda archive: {
        name: _array(archive, archive.getinfo(f'{name}.npy')) for name in names})


def not_finite(file: Path) -> list[str]:
    """
    Return the names of the arrays of a .npz file that hold values which are not finite.

    :raises OSError, ValueError: as `read_arrays`.
    """
    return _reading(file, lambda archive: [
        entry.filename.removesuffix('.npy') for entry in archive.infolist()
        if not all(block.dtype.kind != 'f' or np.isfinite(block).all()
                   for block in _blocks(archive, entry))])


def _reading(file: Path, read: Callable[[zipfile.ZipFile], T]) -> T:
    with open_regular(file) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return read(archive)
        except KeyError as error:
            raise ValueError(str(error).strip('"')) from error
        except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds for damaged files
            raise ValueError(f'{type(error).__name__}: {error}') from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with _opened(archive, entry) as (stream, dtype, shape, order):
        size = math.prod(shape) * dtype.itemsize
        data = stream.read(size + 1)
        if len(data) != size:
            raise ValueError(f'{entry.filename} does not have the {size} bytes that its header '
                             'says')
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy()


def _blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[np.ndarray]:
    with _opened(archive, entry) as (stream, dtype, shape, _):
        left = math.prod(shape) * dtype.itemsize
        block = max(_BLOCK // max(dtype.itemsize, 1), 1) * dtype.itemsize
        while left > 0:
            data = stream.read(min(block, left))
            if len(data) != min(block, left):
                raise ValueError(f'{entry.filename} is cut off')
            left -= len(data)
            yield np.frombuffer(data, dtype)


@contextmanager
def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo,
            ) -> Iterator[tuple[IO[bytes], np.dtype, tuple[int, ...], str]]:
    """Open an array behind its header, which may be believed then: stream, dtype, shape, order."""
    with archive.open(entry) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f'{entry.filename} is of another version than 1.0')
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind not in _KINDS or any(n < 0 for n in shape):
            raise ValueError(f'{entry.filename} is {dtype} {list(shape)}; expected numbers or '
                             'texts')
        if math.prod(shape) * dtype.itemsize > LIMIT:
            raise ValueError(f'{entry.filename} is {dtype} {list(shape)}, more than {LIMIT} bytes')
        yield stream, dtype, shape, 'F' if in_columns else 'C'
