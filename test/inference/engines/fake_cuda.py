# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
CUDA's runtime as its documentation describes it, in host memory.

Work in the stream is done only when something waits for it, so that reading a result too early,
or changing a buffer that a copy still needs, gives wrong values here as on a GPU. Handles that
are unknown or destroyed, a wrong current device and calls that a capture forbids are errors.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import enum
import sys
import threading
from types import ModuleType
from typing import Any

from vl4ad_ros.inference.errors import BackendUnavailable
from vl4ad_ros.inference.tensorrt import cuda as wrapper
from vl4ad_ros.inference.tensorrt.cuda import Device

MIB = 1 << 20
cudaError_t = enum.IntEnum('cudaError_t', {
    'cudaSuccess': 0, 'cudaErrorInvalidValue': 1, 'cudaErrorMemoryAllocation': 2,
    'cudaErrorInvalidResourceHandle': 400, 'cudaErrorECCUncorrectable': 214,
    'cudaErrorIllegalAddress': 700, 'cudaErrorAssert': 710, 'cudaErrorLaunchFailure': 719,
    'cudaErrorStreamCaptureUnsupported': 900, 'cudaErrorStreamCaptureInvalidated': 901})
cudaMemcpyKind = enum.IntEnum('cudaMemcpyKind', {
    'cudaMemcpyHostToDevice': 1, 'cudaMemcpyDeviceToHost': 2})
cudaStreamCaptureMode = enum.IntEnum('cudaStreamCaptureMode', {
    'cudaStreamCaptureModeThreadLocal': 1})
ORIN = Device(0, 'Orin', '8.7', 16, 'CUDA 12.6, R36 4.0')
_OK = cudaError_t.cudaSuccess
_WHILE_CAPTURING = ('cudaMalloc', 'cudaFree', 'cudaHostAlloc', 'cudaStreamSynchronize',
                    'cudaEventSynchronize', 'cudaEventElapsedTime')


def show_gpus(monkeypatch: Any, *devices: Device) -> None:
    """Have the driver show these GPUs; without any there is no driver."""
    def found() -> tuple[Device, ...]:
        if not devices:
            raise BackendUnavailable('no NVIDIA driver, says a test')
        return devices
    monkeypatch.setattr(wrapper, '_devices', found)


class Handle:
    """An opaque object of the bindings; a GPU's clock is a count of the work it has done."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self.number, self.time, self.work = kind, number, None, []


class FakeCuda:
    """
    One machine's CUDA.

    :ivar calls: names of the functions called, in order.
    :ivar failures: error to return by name of function, each once.
    :ivar live: what is allocated, by address or handle.
    :ivar unused: bytes of GPU memory left.
    """

    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0
    cudaEventBlockingSync = 1
    cudaError_t = cudaError_t
    cudaMemcpyKind = cudaMemcpyKind
    cudaStreamCaptureMode = cudaStreamCaptureMode

    def __init__(self, device: int = 0, free: int = 1024 * MIB) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, cudaError_t] = {}
        self.live: dict[Any, Any] = {}
        self.unused, self.clock = free, 0
        self._device, self._current = device, threading.local()
        self._sticky = self._last = _OK
        self._queue: list[Callable[[], None]] = []
        self._captured: list[Callable[[], None]] | None = None

    def install(self, monkeypatch: Any) -> FakeCuda:
        """Stand in for cuda-python."""
        runtime = ModuleType('cuda.bindings.runtime')
        for name in dir(type(self)):
            if name.startswith('cuda'):
                setattr(runtime, name, getattr(self, name))
        utils = ModuleType('cuda.bindings.utils')
        utils.get_cuda_native_handle = lambda handle: handle.number
        bindings = ModuleType('cuda.bindings')
        bindings.runtime, bindings.utils = runtime, utils
        for module in (ModuleType('cuda'), bindings, runtime, utils):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        return self

    def fail(self, error: cudaError_t) -> cudaError_t:
        """Return an error; one that the documentation calls permanent stays."""
        self._last = error
        if error >= 700 and error < 900 or error == cudaError_t.cudaErrorECCUncorrectable:
            self._sticky = error
        return error

    def enqueue(self, work: Callable[[], None]) -> None:
        """Put work into the stream, or into the graph that is being captured."""
        (self._queue if self._captured is None else self._captured).append(work)

    def _begin(self, name: str, *handles: Any) -> cudaError_t:
        self.calls.append(name)
        if self._sticky:
            return self._sticky
        if error := self.failures.pop(name, None):
            return self.fail(error)
        if name != 'cudaSetDevice' and getattr(self._current, 'device', 0) != self._device:
            return self.fail(cudaError_t.cudaErrorInvalidValue)
        if self._captured is not None and name in _WHILE_CAPTURING:
            self._captured = None
            return self.fail(cudaError_t.cudaErrorStreamCaptureUnsupported)
        if any(handle not in self.live for handle in handles):
            return self.fail(cudaError_t.cudaErrorInvalidResourceHandle)
        return _OK

    def _new(self, kind: str) -> Handle:
        handle = Handle(kind, 7000 + len(self.calls))
        self.live[handle] = kind
        return handle

    def _destroy(self, name: str, handle: Any) -> tuple[cudaError_t]:
        self.calls.append(name)
        if handle not in self.live:
            return (self.fail(cudaError_t.cudaErrorInvalidResourceHandle),)
        kept = self.live.pop(handle)
        if name == 'cudaFree':
            self.unused += len(kept)
        return (self._sticky,)

    def _drain(self) -> cudaError_t:
        while self._queue and not self._sticky:
            self.clock += 1
            self._queue.pop(0)()
        return self._sticky

    def cudaSetDevice(self, device):
        self._current.device = device
        return (self._begin('cudaSetDevice'),)

    def cudaGetErrorString(self, error):
        return _OK, f'the text of {error.name}'.encode()

    def cudaGetLastError(self):
        last, self._last = self._last, self._sticky
        return (last,)

    def cudaMemGetInfo(self):
        error = self._begin('cudaMemGetInfo')
        return (error, None, None) if error else (_OK, self.unused, 2 * self.unused)

    def cudaMalloc(self, size):
        error = self._begin('cudaMalloc')
        if not error and size > self.unused:
            error = self.fail(cudaError_t.cudaErrorMemoryAllocation)
        if error:
            return error, None
        self.unused -= size
        buffer = (ctypes.c_uint8 * size)(*b'\xaa' * size)  # never zero, as on a GPU
        self.live[ctypes.addressof(buffer)] = buffer
        return _OK, ctypes.addressof(buffer)

    def cudaFree(self, address):
        return self._destroy('cudaFree', address)

    def cudaHostAlloc(self, size, flags):
        error = self._begin('cudaHostAlloc')
        if error:
            return error, None
        buffer = (ctypes.c_uint8 * size)()
        self.live[ctypes.addressof(buffer)] = buffer
        return _OK, ctypes.addressof(buffer)

    def cudaFreeHost(self, address):
        return self._destroy('cudaFreeHost', address)

    def cudaStreamCreateWithFlags(self, flags):
        error = self._begin('cudaStreamCreateWithFlags')
        return (error, None) if error else (_OK, self._new('stream'))

    def cudaStreamDestroy(self, stream):
        return self._destroy('cudaStreamDestroy', stream)

    def cudaStreamSynchronize(self, stream):
        return (self._begin('cudaStreamSynchronize', stream) or self._drain(),)

    def cudaEventCreateWithFlags(self, flags):
        error = self._begin('cudaEventCreateWithFlags')
        return (error, None) if error else (_OK, self._new('event'))

    def cudaEventDestroy(self, event):
        return self._destroy('cudaEventDestroy', event)

    def cudaEventRecord(self, event, stream):
        if error := self._begin('cudaEventRecord', event, stream):
            return (error,)
        event.time = None
        self.enqueue(lambda: setattr(event, 'time', self.clock))
        return (_OK,)

    def cudaEventSynchronize(self, event):
        return (self._begin('cudaEventSynchronize', event) or self._drain(),)

    def cudaEventElapsedTime(self, start, end):
        error = self._begin('cudaEventElapsedTime', start, end)
        return (error, None) if error else (_OK, float(end.time - start.time))

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        known = target, source
        if error := self._begin('cudaMemcpyAsync', *known, stream):
            return (error,)
        if any(len(self.live[address]) < size for address in known):
            return (self.fail(cudaError_t.cudaErrorInvalidValue),)
        self.enqueue(lambda: ctypes.memmove(target, source, size))
        return (_OK,)

    def cudaStreamBeginCapture(self, stream, mode):
        if error := self._begin('cudaStreamBeginCapture', stream):
            return (error,)
        self._captured = []
        return (_OK,)

    def cudaStreamEndCapture(self, stream):
        error = self._begin('cudaStreamEndCapture', stream)
        captured, self._captured = self._captured, None
        if captured is None and not error:
            error = self.fail(cudaError_t.cudaErrorStreamCaptureInvalidated)
        if error:
            return error, None
        graph = self._new('graph')
        graph.work = captured
        return _OK, graph

    def cudaGraphInstantiate(self, graph, flags):
        error = self._begin('cudaGraphInstantiate', graph)
        if error:
            return error, None
        executable = self._new('executable graph')
        executable.work = list(graph.work)
        return _OK, executable

    def cudaGraphLaunch(self, graph, stream):
        if error := self._begin('cudaGraphLaunch', graph, stream):
            return (error,)
        self._queue += graph.work
        return (_OK,)

    def cudaGraphDestroy(self, graph):
        return self._destroy('cudaGraphDestroy', graph)

    def cudaGraphExecDestroy(self, graph):
        return self._destroy('cudaGraphExecDestroy', graph)
