# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What differs between a GPU and the CPU that stands in for it: time, graphs, streams, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
import resource
import time
from typing import Any

import torch
from torch import Tensor

Answer = Callable[[], Sequence[Tensor]]


class CudaDevice:
    """
    An NVIDIA GPU.

    :ivar torch: the device of PyTorch.
    :ivar warm_up: runs before a capture or a measurement, in which cuDNN chooses algorithms.
    :ivar precision: precision of the network where only one is measured.
    :ivar activity: what the profiler records.
    :ivar kernels: the device of a kernel in a profile.
    :ivar own_time: the attribute of an entry of a profile with its own time, in microseconds.
    """

    name, precision, warm_up = 'cuda', 'fp16', 3
    activity = torch.profiler.ProfilerActivity.CUDA
    kernels, own_time = torch.autograd.DeviceType.CUDA, 'self_device_time_total'

    def __init__(self, index: int = 0) -> None:
        """
        Open a GPU.

        :param index: index of the GPU, from 0 on.
        :raises RuntimeError: if PyTorch sees no such GPU.
        """
        if torch.cuda.device_count() <= index:
            raise RuntimeError(f'PyTorch {torch.__version__} sees {torch.cuda.device_count()} '
                               f'NVIDIA GPUs, but the GPU with index {index} is needed; use '
                               '--device cpu, or a PyTorch that is built for CUDA')
        self.torch = torch.device('cuda', index)
        torch.cuda.set_device(self.torch)

    def synchronize(self) -> None:
        """Wait until the device has done everything."""
        torch.cuda.synchronize()

    def milliseconds(self, run: Callable[[], Any]) -> float:
        """Return the time that the device takes for a call, from its first to its last kernel."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def capture(self, answer: Answer) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        """
        Capture a call as a CUDA graph.

        :param answer: computes tensors on the device, from tensors that stay where they are.
        :return: a function that computes the same again, and the tensors that it overwrites.
        """
        queue = self.queue()
        with self.on(queue):
            for _ in range(self.warm_up):
                answer()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = tuple(answer())
        return graph.replay, outputs

    def queue(self) -> torch.cuda.Stream:
        """Return a new stream, which starts after what was enqueued before."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        return stream

    def on(self, queue: torch.cuda.Stream) -> AbstractContextManager[Any]:
        """Enqueue what the block does on a stream."""
        return torch.cuda.stream(queue)

    def mark(self, queue: torch.cuda.Stream) -> torch.cuda.Event:
        """Return a mark behind what is in a stream now."""
        mark = torch.cuda.Event()
        mark.record(queue)
        return mark

    def after(self, queue: torch.cuda.Stream, mark: torch.cuda.Event) -> None:
        """Let a stream wait for a mark in another stream."""
        queue.wait_event(mark)

    def wait(self, mark: torch.cuda.Event) -> None:
        """Let the host wait for a mark."""
        mark.synchronize()

    def host(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return page-locked memory of the host, which can be copied beside computation."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def memory(self) -> dict[str, int]:
        """Return bytes: in tensors, held by PyTorch, in use on the whole device, of the host."""
        free, total = torch.cuda.mem_get_info()
        return {'tensors': torch.cuda.memory_allocated(), 'held': torch.cuda.memory_reserved(),
                'device': total - free, 'host': resident()}

    def held(self) -> int:
        """Return the bytes that PyTorch holds on the device, for tensors and for graphs."""
        return torch.cuda.memory_reserved()

    def peak_of(self, run: Callable[[], Any]) -> int:
        """Return by how many bytes a call raises the memory in tensors at most."""
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before

    def release(self) -> None:
        """Give memory that no tensor uses back to the driver."""
        torch.cuda.empty_cache()


class CpuDevice:
    """
    The CPU in place of a GPU, so that every line can be tried without one.

    A captured call is repeated into the same memory, and streams are executed at once. Memory is
    that of the process. Figures of a CPU say nothing about a GPU.

    Members are those of `CudaDevice`.
    """

    name, precision, warm_up = 'cpu', 'fp32', 1
    activity = torch.profiler.ProfilerActivity.CPU
    kernels, own_time = torch.autograd.DeviceType.CPU, 'self_cpu_time_total'
    torch = torch.device('cpu')

    def synchronize(self) -> None:
        """Do nothing, because calls return when they are done."""

    def milliseconds(self, run: Callable[[], Any]) -> float:
        """Return the time of a call."""
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)

    def capture(self, answer: Answer) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        """Return a function that repeats a call into the same memory, and this memory."""
        outputs = tuple(value.clone() for value in answer())

        def replay() -> None:
            for held, value in zip(outputs, answer(), strict=True):
                held.copy_(value)

        return replay, outputs

    def queue(self) -> None:
        """Return no stream."""

    def on(self, queue: None) -> AbstractContextManager[None]:
        """Do what the block does at once."""
        return nullcontext()

    def mark(self, queue: None) -> None:
        """Return no mark, because everything is done already."""

    def after(self, queue: None, mark: None) -> None:
        """Wait for nothing."""

    def wait(self, mark: None) -> None:
        """Wait for nothing."""

    def host(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return memory."""
        return torch.empty(tuple(shape), dtype=dtype)

    def memory(self) -> dict[str, int]:
        """Return the bytes of the process."""
        return {'host': resident()}

    def held(self) -> int:
        """Return the bytes of the process."""
        return resident()

    def peak_of(self, run: Callable[[], Any]) -> int:
        """Return by how many bytes a call raises the largest memory of the process so far."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run()
        return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

    def release(self) -> None:
        """Do nothing."""


Device = CudaDevice | CpuDevice


def open_device(name: str) -> Device:
    """
    Return a device.

    :param name: ``'cuda'`` or ``'cpu'``.
    :raises RuntimeError: if there is no such device.
    """
    return CudaDevice() if name == 'cuda' else CpuDevice()


def resident() -> int:
    """Return the bytes of memory that this process uses now (Linux)."""
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """
    Allow or forbid TF32, which has 10 bits of a mantissa, for float32 in the block.

    It is forbidden outside of comparisons, because sampling points need all bits of float32.
    Convolutions and products have switches of their own, with different defaults. cuDNN tries its
    algorithms out in the block.
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32, convolutions.benchmark
    products.allow_tf32 = convolutions.allow_tf32 = allowed
    convolutions.benchmark = True
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32, convolutions.benchmark = before
