# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights in one safetensors file that PyTorch loads and ONNX graphs refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import ctypes
from dataclasses import dataclass
import json
import mmap
from pathlib import Path

import onnx_ir
import safetensors.torch
import torch
from torch import Tensor

Progress = Callable[[str, int], None]
"""Called with what is being done and how many bytes of weights were just written."""

_NAMES = {torch.float32: 'F32', torch.float16: 'F16', torch.bfloat16: 'BF16', torch.int64: 'I64'}
_ALIGNMENT = 64
_PAGE_OUT_EVERY = 4 * 2 ** 20
_MADV_PAGEOUT = 21  # Linux 5.4


def silent(what: str, written: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """
    A file of tensors, and where each of those that it was written from lies in it.

    :ivar places: (offset, bytes) in the file by the address of the tensor in memory.
    """

    path: Path
    places: Mapping[int, tuple[int, int]]

    @staticmethod
    def write(path: Path, tensors: Mapping[str, Tensor], progress: Progress = silent,
              ) -> WeightFile:
        """
        Write contiguous tensors, one by one.

        The library would hold all of them in memory: https://github.com/huggingface/safetensors,
        "Format", is what is written here.

        :raises KeyError: for a dtype other than float32, float16, bfloat16 and int64.
        """
        page_out(tensors.values())  # what was read of them before
        # Wide items first: then each tensor lies at a multiple of its item's size.
        tensors = dict(sorted(tensors.items(), key=lambda item: -item[1].element_size()))
        header, end, places = {}, 0, {}
        for name, tensor in tensors.items():
            start, end = end, end + tensor.nbytes
            header[name] = {'dtype': _NAMES[tensor.dtype], 'shape': list(tensor.shape),
                            'data_offsets': [start, end]}
        text = json.dumps(header).encode()
        text += b' ' * (-(8 + len(text)) % _ALIGNMENT)
        with open(path, 'wb') as stream:
            stream.write(len(text).to_bytes(8, 'little') + text)
            read = []
            for name, tensor in tensors.items():
                places[tensor.data_ptr()] = stream.tell(), tensor.nbytes
                stream.write(memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy()))
                progress('', tensor.nbytes)
                read.append(tensor)
                if sum(t.nbytes for t in read) > _PAGE_OUT_EVERY:
                    page_out(read)
                    read.clear()
        page_out(tensors.values())
        return WeightFile(path, places)

    @staticmethod
    def read(path: Path) -> tuple[WeightFile, dict[str, Tensor]]:
        """Map a file that `write` wrote: the file, and its tensors by name."""
        tensors = safetensors.torch.load_file(path)
        with open(path, 'rb') as stream:
            length = int.from_bytes(stream.read(8), 'little')
            header = json.loads(stream.read(length))
        places = {tensor.data_ptr(): (8 + length + header[name]['data_offsets'][0], tensor.nbytes)
                  for name, tensor in tensors.items()}
        return WeightFile(path, places), tensors

    def lend(self, model: onnx_ir.Model) -> None:
        """Let every initializer that is one of the file's tensors refer to the file."""
        for value in model.graph.initializers.values():
            tensor = getattr(value.const_value, 'raw', None)
            if isinstance(tensor, Tensor) and tensor.data_ptr() in self.places:
                offset, length = self.places[tensor.data_ptr()]
                value.const_value = onnx_ir.ExternalTensor(
                    self.path.name, offset, length, value.const_value.dtype,
                    shape=value.const_value.shape, name=value.name, base_dir=self.path.parent)


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
