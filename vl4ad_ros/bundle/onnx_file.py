# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads the constants of ONNX files without the onnx library, which a vehicle does not have.

An ONNX file is a protobuf message. The field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, the encoding is described in
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
import mmap
from pathlib import Path

import numpy as np

from vl4ad_ros.files import open_regular

_INSIDE = {
    'model': {7: 'graph', 25: 'function'},
    'graph': {1: 'node', 5: 'tensor', 15: 'sparse'},
    'function': {7: 'node', 11: 'attribute'},
    'node': {5: 'attribute'},
    'attribute': {5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse'},
    'sparse': {1: 'tensor'},
}
"""For each kind of message, the fields whose messages may contain constants."""
_DTYPES = {1: 'F32', 10: 'F16', 11: 'F64', 16: 'BF16'}
_DEEPEST = 100  # nested graphs; protobuf's own readers have the same limit
_MOST_DIMENSIONS = 64  # of a tensor; NumPy has no more
_SAME_ROWS = ('Cast', 'DequantizeLinear', 'Identity')
"""Operators that keep the shape of their input."""
_SAME_NUMBERS = ('Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze')
"""Operators that keep the numbers of their input."""


class OnnxError(ValueError):
    """A file that is not an ONNX model; the message says what is wrong with it."""


@dataclass(frozen=True)
class Constant:
    """
    A constant tensor in a graph.

    :ivar name: as in the graph; not unique.
    :ivar dtype: ``'F32'``, ``'F16'``, ``'F64'`` or ``'BF16'``; ``''`` for any other type.
    :ivar data: the values, little-endian, in pieces; empty if they are in another file.
    :ivar location: name of the file with the values, or ``''`` if they are in `data`.
    :ivar offset: position of the first value in that file, in bytes.
    :ivar count: number of values according to the tensor's shape.
    """

    name: str
    dtype: str
    data: tuple[memoryview, ...]
    location: str
    offset: int
    count: int


def constants(file: Path) -> Iterator[Constant]:
    """
    Yield the floating point constants of a model: initializers and attributes of all graphs in it.

    Constants of other types are yielded only if their values are in another file.

    :param file: the ONNX file.
    :raises OnnxError: if the file is not an ONNX model.
    :raises OSError: if it cannot be read.
    """
    waiting = [('model', _map(file), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _DEEPEST:
            raise OnnxError(f'its graphs are nested more than {_DEEPEST} deep')
        if kind == 'tensor':
            constant = _constant(message)
            if constant.dtype or constant.location:
                yield constant
            continue
        inside = _INSIDE[kind]
        numbers = []
        for number, value in _fields(message):
            if number in inside:
                waiting.append((inside[number], _message(value), depth + 1))
            elif kind == 'attribute' and number in (2, 7):  # f, floats
                numbers.append(_message(value))
        if numbers:
            count = sum(map(len, numbers)) // 4
            yield Constant('an attribute', 'F32', tuple(numbers), '', 0, count)


def table_rows(file: Path, tokens: str) -> int | None:
    """
    Return the number of rows of the embedding table in which a model looks up its tokens.

    The table is the constant input of a Gather whose indices are the tokens. Operators that do
    not change the numbers may stand between: `_SAME_NUMBERS` behind the tokens, `_SAME_ROWS`
    behind the table, such as the Cast of a table that is stored as float16. A table that is stored
    as integers may be multiplied with constants or pass a DequantizeLinear.

    :param file: the ONNX file.
    :param tokens: name of the model's input with the tokens.
    :return: the number of rows, of the smallest table if there are several; None if there is none.
    :raises OnnxError: if the file is not an ONNX model.
    :raises OSError: if it cannot be read.
    """
    graphs = [_message(value) for number, value in _fields(_map(file)) if number == 7]
    nodes: list[list[tuple[int, int | memoryview]]] = []
    shapes: dict[str, tuple[int, ...]] = {}  # of what is constant
    for number, value in (field for graph in graphs for field in _fields(graph)):
        if number == 1:
            nodes.append(list(_fields(_message(value))))
        elif number == 5:
            constant = list(_fields(_message(value)))
            shape, name = _shape(constant), _text(constant, 8)
            shapes[''.join(name)] = tuple(shape)
    same, found = {tokens}, []
    for node in nodes:  # ONNX requires that a node stands behind those whose outputs it takes
        inputs, outputs, kind = (_text(node, number) for number in (1, 2, 4))
        if kind == ['Gather'] and len(inputs) == 2 and inputs[1] in same and inputs[0] in shapes:
            if not any(_axis(_message(value)) for number, value in node if number == 5):
                found.append((*shapes[inputs[0]], 1)[0])
        elif kind and kind[0] in _SAME_NUMBERS and inputs and inputs[0] in same:
            same.update(outputs)
        elif kind and kind[0] in _SAME_ROWS and inputs and inputs[0] in shapes:
            shapes.update(dict.fromkeys(outputs, shapes[inputs[0]]))
        elif kind == ['Mul'] and inputs and all(name in shapes for name in inputs):
            shapes.update(dict.fromkeys(outputs, _broadcast([shapes[name] for name in inputs])))
    return min(found, default=None)


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise OnnxError(f'it multiplies constants whose shapes do not fit ({error})') from error


def _map(file: Path) -> memoryview:
    """Map a file into memory, so that only those pages are read that are used."""
    with open_regular(file) as stream:
        try:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError:  # an empty file cannot be mapped
            raise OnnxError('it is empty') from None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """
    Yield the number and the value of each field of a message.

    The value is an integer, or the bytes of a number of fixed size, a text or another message.
    """
    position = 0
    value: int | memoryview
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
        elif kind in (1, 2, 5):
            if kind == 2:
                length, position = _varint(message, position)
            else:
                length = 8 if kind == 1 else 4
            if position + length > len(message):
                raise OnnxError('it is truncated or not an ONNX file')
            value = message[position:position + length]
            position += length
        else:
            raise OnnxError('it is not an ONNX file')
        yield key >> 3, value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number of variable length at `position`, and the position behind it."""
    if position < len(message) and message[position] < 128:  # the most frequent case, for speed
        return message[position], position + 1
    value = 0
    for shift, byte in enumerate(message[position:position + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, position + shift + 1
    raise OnnxError('it is truncated or not an ONNX file')


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise OnnxError('it is not an ONNX file')
    return value


def _text(fields: list[tuple[int, int | memoryview]], wanted: int) -> list[str]:
    return [bytes(_message(value)).decode('utf-8', 'backslashreplace')
            for number, value in fields if number == wanted]


def _integers(values: list[int | memoryview]) -> Iterator[int]:
    """Yield the numbers of a repeated field, whether or not they are packed into one."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        position = 0
        while position < len(value):
            one, position = _varint(value, position)
            yield one


def _shape(tensor: list[tuple[int, int | memoryview]]) -> list[int]:
    return list(_integers([value for number, value in tensor if number == 1]))


def _axis(attribute: memoryview) -> int:
    """Return the value of an integer attribute whose name is axis, else 0."""
    fields = list(_fields(attribute))
    values = [value for number, value in fields if number == 3 and isinstance(value, int)]
    return values[-1] if values and _text(fields, 1) == ['axis'] else 0


def _constant(tensor: memoryview) -> Constant:
    fields = list(_fields(tensor))
    kinds = [value for number, value in fields if number == 2 and isinstance(value, int)]
    dtype = _DTYPES.get(kinds[-1], '') if kinds else ''
    data: list[memoryview] = []
    if dtype:
        wanted = {'F32': (4, 9), 'F64': (9, 10)}.get(dtype, (9,))
        data = [_message(value) for number, value in fields if number in wanted]
        if dtype in ('F16', 'BF16'):
            halves = _integers([value for number, value in fields if number == 5])
            data.append(memoryview(b''.join((n & 0xffff).to_bytes(2, 'little') for n in halves)))
    places = [list(_fields(_message(value))) for number, value in fields if number == 13]
    place = {''.join(_text(entry, 1)): ''.join(_text(entry, 2)) for entry in places}
    shape = _shape(fields)
    if len(shape) > _MOST_DIMENSIONS:
        raise OnnxError(f'a constant has {len(shape)} dimensions')
    offset = place.get('offset', '0')
    if not offset.isdecimal() or len(offset) > 18:
        raise OnnxError('the offset of a constant in another file must be a number, found '
                        f'{offset!r:.40}')
    return Constant(''.join(_text(fields, 8)), dtype, tuple(data), place.get('location', ''),
                    int(offset), math.prod(shape))
