# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks what the files of a bundle contain: values are finite, tokens are in the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from vl4ad_ros.bundle import npz
from vl4ad_ros.bundle.manifest import Manifest
from vl4ad_ros.bundle.onnx_file import Constant, constants, table_rows
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.files import cache_folder, open_regular

_FORMATS = {'F16': ('<u2', 0x7c00), 'BF16': ('<u2', 0x7f80), 'F32': ('<u4', 0x7f800000),
            'F64': ('<u8', 0x7ff0000000000000)}
"""For each dtype, an integer type of its size and the exponent bits: all set if not finite."""
_BLOCK = 1 << 22  # bytes that are checked at once
_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library
_MOST_DIMENSIONS = 64  # of a tensor; NumPy has no more
_NAMED = 3  # tensors that an error message names
_FOLDER = 'checked-3'
"""
Folder of the results in the user's cache.

The number must change whenever the checks below change, so that they are done again.
"""


class ContentError(ValueError):
    """A file of a bundle whose content cannot be right; the message names the file."""


def check_contents(manifest: Manifest) -> None:
    """
    Check the contents of a bundle's files, unless an equal bundle has passed the checks before.

    The user's cache has an empty file, named by `Manifest.digest`, for each bundle that passed. If
    the cache cannot be read or written, the checks are done every time.

    :param manifest: the manifest of the bundle; the caller has compared the sha256 sums of all
        files with it.
    :raises ContentError: if a file has a value that is not finite or cannot be parsed, if a graph
        refers to a file that is not among the manifest's weights, or if a token is not in the
        table of the text network.
    :raises OSError: if a file cannot be read.
    """
    try:
        seen = cache_folder() / _FOLDER / manifest.digest
    except RuntimeError:  # no home folder
        seen = None
    if seen is not None and os.path.isfile(seen):
        return
    _check_values(manifest)
    _check_tokens(manifest)
    if seen is not None:
        try:
            seen.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(seen, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        except OSError:
            pass


def _check_values(manifest: Manifest) -> None:
    directory = manifest.directory
    checked: set[tuple[str, int, str, int]] = set()  # file, offset, dtype, count of a tensor
    for name in manifest.weights:
        if name.endswith('.safetensors') or manifest.network and name == manifest.network.weights:
            regions = _safetensors(directory / name)
            _refuse(directory / name, [
                tensor for tensor, region in regions.items()
                if not _are_finite(_of_file(directory / name, *region), region[1])])
            checked.update((name, *region) for region in regions.values())
    for name in dict.fromkeys((*(g.file for g in manifest.vision.graphs), manifest.text.file)):
        with _prefixed(f'{directory / name} does not load'):
            names = [constant.name for constant in constants(directory / name)
                     if not _may_be(constant, name, manifest, checked)]
        _refuse(directory / name, names)
    for name in filter(None, (manifest.text.embeddings, manifest.reference)):
        with _prefixed(f'{directory / name} cannot be read'):
            names = npz.not_finite(directory / name)
        _refuse(directory / name, names)


@contextmanager
def _prefixed(what: str) -> Iterator[None]:
    """Turn a ValueError into a ContentError whose message begins with `what`."""
    try:
        yield
    except ContentError:
        raise
    except ValueError as error:
        raise ContentError(f'{what} ({error})') from error


def _refuse(file: Path, names: Sequence[str]) -> None:
    if names:
        more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
        raise ContentError(f'{file} has values that are not finite, in '
                           f'{", ".join(f"{name!r:.100}" for name in names[:_NAMED])}{more}')


def _safetensors(file: Path) -> dict[str, tuple[int, str, int]]:
    """
    Return offset in bytes, dtype and number of values of each floating point tensor, by its name.

    https://github.com/huggingface/safetensors#format describes the format.
    """
    def need(right: bool, what: str) -> None:
        if not right:
            raise ContentError(f'{file} is not a safetensors file: {what}')

    with open_regular(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        length = int.from_bytes(stream.read(8), 'little')
        need(8 + length <= size and length <= _LARGEST_HEADER, 'its header is truncated')
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise ContentError(f'{file} is not a safetensors file ({error})') from error
    need(isinstance(header, dict), 'its header is not an object')
    regions = {}
    for name, entry in header.items():
        if name == '__metadata__':
            continue
        need(isinstance(entry, dict), f'{name!r:.100} is not an object')
        dtype, shape, offsets = (entry.get(key) for key in ('dtype', 'shape', 'data_offsets'))
        need(isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets)
             and len(offsets) == 2 and offsets[0] <= offsets[1] <= size - 8 - length,
             f'the place of {name!r:.100} is outside of the file')
        if dtype in _FORMATS:
            count = math.prod(shape)
            need(offsets[1] - offsets[0] == count * np.dtype(_FORMATS[dtype][0]).itemsize,
                 f'the size of {name!r:.100} does not fit its shape')
            regions[name] = 8 + length + offsets[0], dtype, count
    return regions


def _are_sizes(values: Any) -> bool:
    return (isinstance(values, list) and len(values) <= _MOST_DIMENSIONS
            and all(type(v) is int and 0 <= v < 2 ** 63 for v in values))


def _may_be(constant: Constant, graph: str, manifest: Manifest,
            checked: set[tuple[str, int, str, int]]) -> bool:
    """Return whether the values of a constant are finite or an attention mask."""
    if not constant.location:
        kind = _FORMATS[constant.dtype][0]
        return _are_finite_or_mask(_in_memory(constant.data, kind), constant.dtype)
    if constant.location not in manifest.weights:
        raise ContentError(f'{manifest.directory / graph}: the constant {constant.name!r:.100} is '
                           f'in the file {constant.location!r:.100}, which is not among the '
                           'weights that the manifest lists')
    region = constant.offset, constant.dtype, constant.count
    if not constant.dtype or (constant.location, *region) in checked:
        return True
    if not _are_finite_or_mask(
            _of_file(manifest.directory / constant.location, *region), constant.dtype):
        return False
    checked.add((constant.location, *region))
    return True


def _of_file(file: Path, offset: int, dtype: str, count: int) -> Iterator[np.ndarray]:
    """Yield the values of a tensor in a file as unsigned integers, in blocks."""
    kind = np.dtype(_FORMATS[dtype][0])
    with open_regular(file) as stream:
        if count > (os.fstat(stream.fileno()).st_size - offset) // kind.itemsize:
            raise ContentError(f'{file} is too short for {count} values at byte {offset}')
        stream.seek(offset)
        while count:
            bits = np.fromfile(stream, kind, min(count, _BLOCK // kind.itemsize))
            if not len(bits):
                raise ContentError(f'{file} became shorter while it was read')
            count -= len(bits)
            yield bits


def _in_memory(pieces: Iterable[memoryview], kind: str) -> Iterator[np.ndarray]:
    """Yield the values of a tensor in memory as unsigned integers, in blocks."""
    size = np.dtype(kind).itemsize
    for piece in pieces:
        if len(piece) % size:
            raise ContentError('the size of a constant is no multiple of the size of its values')
        for start in range(0, len(piece), _BLOCK):
            yield np.frombuffer(piece[start:start + _BLOCK], kind)


def _are_finite(blocks: Iterable[np.ndarray], dtype: str) -> bool:
    exponent = _FORMATS[dtype][1]
    return not any((bits & exponent == exponent).any() for bits in blocks)


def _are_finite_or_mask(blocks: Iterable[np.ndarray], dtype: str) -> bool:
    """
    Return whether values are all finite, or all 0 or minus infinity.

    The latter are attention masks. A damaged weight has other values beside its infinite ones.
    """
    exponent = _FORMATS[dtype][1]
    finite = mask = True
    for bits in blocks:
        sign = 1 << 8 * bits.itemsize - 1
        finite = finite and not (bits & exponent == exponent).any()
        mask = mask and bool(np.isin(bits, (0, sign, sign | exponent)).all())
        if not finite and not mask:
            return False
    return True


def _check_tokens(manifest: Manifest) -> None:
    text, file = manifest.text, manifest.directory / manifest.text.file
    try:
        tokenizer = Tokenizer(manifest.directory / manifest.tokenizer, text.context_length,
                              text.sot, text.eot, text.pad)
    except ValueError as error:
        raise ContentError(str(error)) from error
    with _prefixed(f'{file} does not load'):
        known = table_rows(file, 'tokens'), _recorded_rows(manifest)
    rows = min((n for n in known if n is not None), default=None)
    if rows is not None:
        for name, token in (('sot', text.sot), ('eot', text.eot), ('pad', text.pad),
                            (f'the largest token of {manifest.tokenizer}', tokenizer.largest)):
            if token >= rows:
                raise ContentError(f'{manifest.directory}: {name} is {token}, but the table of '
                                   f'{text.file} has tokens 0..{rows - 1} only')
    is_vl4ad = manifest.network is not None and manifest.network.kind == 'vl4ad'
    if is_vl4ad and tokenizer.largest > text.eot:
        raise ContentError(
            f'{manifest.directory}: eot is {text.eot}, but {manifest.tokenizer} has tokens up to '
            f'{tokenizer.largest}; the text network takes the largest token for the end')


def _recorded_rows(manifest: Manifest) -> int | None:
    """Return the number of tokens that the record of the network has, or None."""
    value: Any = manifest.network and manifest.network.config
    for key in ('clip', 'text_cfg', 'vocab_size'):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if type(value) is int else None
