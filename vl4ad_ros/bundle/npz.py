# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads arrays of .npz files, after checking in their headers that they are not too large."""

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
"""The largest size of one array in memory, in bytes."""
_KINDS = 'biufU'  # booleans, integers, floating point numbers and texts
_BLOCK = 1 << 22  # bytes that are checked at once

T = TypeVar('T')


def read_arrays(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """
    Return arrays of a .npz file.

    :param file: the file.
    :param names: names of the arrays; others in the file are not read.
    :return: the arrays by name, in the order of `names`.
    :raises OSError: if the file cannot be read.
    :raises ValueError: if an array is missing, damaged, larger than `LIMIT` bytes, or not of
        numbers, booleans or texts.
    """
    return _reading(file, lambda archive: {
        name: _array(archive, archive.getinfo(f'{name}.npy')) for name in names})


def not_finite(file: Path) -> list[str]:
    """
    Return the names of the arrays in a .npz file that have values which are not finite.

    :param file: the file.
    :raises OSError: if the file cannot be read.
    :raises ValueError: if any array is damaged, larger than `LIMIT` bytes, or not of numbers,
        booleans or texts.
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
        except Exception as error:  # zipfile, zlib and NumPy raise many types for damaged files
            raise ValueError(f'{type(error).__name__}: {error}') from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with _opened(archive, entry) as (stream, dtype, shape, in_columns):
        size = math.prod(shape) * dtype.itemsize
        data = stream.read(size + 1)
        if len(data) != size:
            raise ValueError(f'{entry.filename} does not have the {size} bytes that its header '
                             'promises')
        return np.frombuffer(data, dtype).reshape(shape, order='F' if in_columns else 'C').copy()


def _blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[np.ndarray]:
    with _opened(archive, entry) as (stream, dtype, shape, _):
        left = math.prod(shape) * dtype.itemsize
        block = max(_BLOCK // max(dtype.itemsize, 1), 1) * dtype.itemsize
        while left > 0:
            data = stream.read(min(block, left))
            if len(data) != min(block, left):
                raise ValueError(f'{entry.filename} is truncated')
            left -= len(data)
            yield np.frombuffer(data, dtype)


@contextmanager
def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo,
            ) -> Iterator[tuple[IO[bytes], np.dtype, tuple[int, ...], bool]]:
    """
    Open the data of an array.

    Gives the stream behind the array's header, the dtype, the shape, and whether the array is in
    column-major order.
    """
    with archive.open(entry) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f'{entry.filename} has another format version than 1.0')
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind not in _KINDS or any(n < 0 for n in shape):
            raise ValueError(f'{entry.filename} is {dtype} {list(shape)}; expected numbers or '
                             'texts')
        if math.prod(shape) * dtype.itemsize > LIMIT:
            raise ValueError(f'{entry.filename} is {dtype} {list(shape)}, more than {LIMIT} bytes')
        yield stream, dtype, shape, in_columns
