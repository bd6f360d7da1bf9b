# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights in one safetensors file that PyTorch loads and ONNX graphs refer to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
import ctypes
from dataclasses import dataclass
import json
import mmap
from pathlib import Path

import onnx_ir
import safetensors.torch
import torch
from torch import nn, Tensor

Progress = Callable[[str, int], None]
"""Called with what is being done and how many bytes of weights were just written."""

_NAMES = {torch.float32: 'F32', torch.float16: 'F16', torch.bfloat16: 'BF16', torch.int64: 'I64'}
LARGE = 4096
"""The smallest number of values of a tensor for which float16 in the file is worth a Cast."""
_ALIGNMENT = 64
_PAGE_OUT_EVERY = 4 * 2 ** 20
_MADV_PAGEOUT = 21  # Linux 5.4


def silent(what: str, written: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """
    A file of tensors, and where each tensor in memory lies in the file.

    :ivar path: the safetensors file.
    :ivar places: (offset, length) in bytes in the file, by the address of the tensor in memory.
    :ivar halves: addresses of the tensors that are float32 in memory and float16 in the file.
    :ivar copies: tensors that `read` has made, kept so that no other tensor gets their addresses.
    """

    path: Path
    places: Mapping[int, tuple[int, int]]
    halves: frozenset[int] = frozenset()
    copies: tuple[Tensor, ...] = ()

    @staticmethod
    def write(path: Path, tensors: Mapping[str, Tensor], progress: Progress = silent,
              halves: Collection[str] = ()) -> WeightFile:
        """
        Write contiguous tensors, one by one.

        The safetensors library would hold all of them in memory. The file has the format that
        https://github.com/huggingface/safetensors describes under "Format".

        :param path: the file, which is replaced if it exists.
        :param tensors: float32, float16, bfloat16 or int64 of any shape, by name.
        :param progress: called after each tensor with the number of bytes that were written.
        :param halves: names of float32 tensors to store as float16. Their values must be exact in
            float16, as `round_to_half` makes them, or the file would hold others.
        :raises KeyError: for another dtype.
        """
        page_out(tensors.values())  # what was read of them before
        stored = {name: torch.float16 if name in halves else tensor.dtype
                  for name, tensor in tensors.items()}
        # Wide items first: then each tensor lies at a multiple of its item's size.
        tensors = dict(sorted(tensors.items(), key=lambda item: -stored[item[0]].itemsize))
        header, end, places = {}, 0, {}
        for name, tensor in tensors.items():
            start, end = end, end + tensor.numel() * stored[name].itemsize
            header[name] = {'dtype': _NAMES[stored[name]], 'shape': list(tensor.shape),
                            'data_offsets': [start, end]}
        text = json.dumps(header).encode()
        text += b' ' * (-(8 + len(text)) % _ALIGNMENT)
        with open(path, 'wb') as stream:
            stream.write(len(text).to_bytes(8, 'little') + text)
            read = []
            for name, tensor in tensors.items():
                content = tensor.contiguous().to(stored[name])
                places[tensor.data_ptr()] = stream.tell(), content.nbytes
                stream.write(memoryview(content.view(-1).view(torch.uint8).numpy()))
                progress('', content.nbytes)
                read.append(tensor)
                if sum(t.nbytes for t in read) > _PAGE_OUT_EVERY:
                    page_out(read)
                    read.clear()
        page_out(tensors.values())
        return WeightFile(path, places, frozenset(
            tensor.data_ptr() for name, tensor in tensors.items() if name in halves))

    @staticmethod
    def read(path: Path, widen: bool = False) -> tuple[WeightFile, dict[str, Tensor]]:
        """
        Map a file that `write` wrote into memory.

        :param path: the file.
        :param widen: return float16 tensors as float32, as they were before `write` stored them;
            these are copies.
        :return: the file, and its tensors by name.
        """
        tensors = safetensors.torch.load_file(path)
        halves = {name for name, t in tensors.items() if widen and t.dtype == torch.float16}
        lengths = {name: tensor.nbytes for name, tensor in tensors.items()}
        tensors.update((name, tensors[name].float()) for name in halves)
        with open(path, 'rb') as stream:
            length = int.from_bytes(stream.read(8), 'little')
            header = json.loads(stream.read(length))
        places = {
            tensor.data_ptr(): (8 + length + header[name]['data_offsets'][0], lengths[name])
            for name, tensor in tensors.items()}
        copies = tuple(tensors[name] for name in halves)
        return WeightFile(path, places, frozenset(t.data_ptr() for t in copies), copies), tensors

    def lend(self, model: onnx_ir.Model) -> None:
        """
        Let every initializer that is one of the file's tensors refer to the file.

        A float32 tensor that the file stores as float16 becomes a float16 initializer and a Cast,
        which inference libraries compute once, when they load the graph.

        :param model: changed in place.
        """
        for value in list(model.graph.initializers.values()):
            tensor = getattr(value.const_value, 'raw', None)
            if isinstance(tensor, Tensor) and tensor.data_ptr() in self.places:
                offset, length = self.places[tensor.data_ptr()]
                half = tensor.data_ptr() in self.halves
                dtype = onnx_ir.DataType.FLOAT16 if half else value.const_value.dtype
                stored = onnx_ir.ExternalTensor(
                    self.path.name, offset, length, dtype, shape=value.const_value.shape,
                    name=value.name, base_dir=self.path.parent)
                if half:
                    _cast(model.graph, value, stored)
                else:
                    value.const_value = stored


def round_to_half(network: nn.Module) -> list[str]:
    """
    Round the large weights of a float32 network to what float16 can hold, in place.

    These are the float32 parameters of at least two dimensions and `LARGE` numbers. Vectors and
    small tables (norms, biases, temperatures, level embeddings) keep their values, and so does a
    tensor with a value beyond the range of float16. The network stays float32.

    :return: the names of the tensors that were rounded.
    """
    names = []
    for name, parameter in network.named_parameters():
        if parameter.dtype == torch.float32 and parameter.ndim > 1 and parameter.numel() >= LARGE:
            rounded = parameter.data.half()
            if torch.isfinite(rounded).all():
                parameter.data = rounded.float()
                names.append(name)
    return names


def _cast(graph: onnx_ir.Graph, value: onnx_ir.Value, stored: onnx_ir.ExternalTensor) -> None:
    """Replace an initializer by a stored tensor of another dtype, cast to the initializer's."""
    source = onnx_ir.Value(name=f'{value.name}.stored', shape=stored.shape,
                           type=onnx_ir.TensorType(stored.dtype), const_value=stored)
    stored.name = source.name
    result = onnx_ir.Value(name=f'{value.name}.widened', shape=value.shape, type=value.type)
    cast = onnx_ir.Node('', 'Cast', [source], outputs=[result], name=f'{value.name}.cast',
                        attributes=[onnx_ir.AttrInt64('to', onnx_ir.DataType.FLOAT)])
    onnx_ir.convenience.replace_all_uses_with(value, result)
    del graph.initializers[value.name]
    graph.register_initializer(source)
    graph.insert_before(graph[0], cast)


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold infinite values or none at all (NaN)."""
    names = []
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            names.append(name)
        page_out([tensor])
    return names


def page_out(tensors: Iterable[Tensor]) -> None:
    """Let the system take back memory of weights that are mapped from a checkpoint's file."""
    madvise = getattr(ctypes.CDLL(None), 'madvise', None)
    storages = (t.untyped_storage() for t in tensors)
    for address, size in {(s.data_ptr(), s.nbytes()) for s in storages}:
        start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        if madvise and start < address + size:
            # Loses nothing: pages of a file come back from it when they are read. A system that
            # does not know this advice takes more memory, that is all.
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(address + size - start),
                    _MADV_PAGEOUT)
