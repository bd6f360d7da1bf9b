# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One GPU through NVIDIA's cuda-python: memory, one stream, events and CUDA graphs.

This is the one place that imports cuda-python. Nothing here has run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
import ctypes
from dataclasses import dataclass
import functools
import json
from pathlib import Path
import re
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np

from vl4ad_ros.inference.errors import (
    BackendError, BackendUnavailable, DeviceMemoryError, FatalBackendError)

MIB = 1 << 20
INSTALL = "pip install 'cuda-python>=12.9.1,<13' (CUDA 12) or 'cuda-python>=13' (CUDA 13)"
# After these errors the process must be started again, says the documentation of CUDA. The same
# holds for ECC errors, NVLink errors and a destroyed context.
STICKY = frozenset('cudaError' + name for name in (
    'Assert', 'Contained', 'ContextIsDestroyed', 'CudartUnloading', 'ECCUncorrectable',
    'ExternalDevice', 'HardwareStackError', 'IllegalAddress', 'IllegalInstruction',
    'InvalidAddressSpace', 'InvalidPc', 'LaunchFailure', 'LaunchTimeout', 'MisalignedAddress',
    'MpsClientTerminated', 'NvlinkUncorrectable', 'TensorMemoryLeak'))
# Runs in a child process, because a process that has initialised CUDA cannot fork any more.
_PROBE = """
import ctypes, json
cuda, number = ctypes.CDLL('libcuda.so.1'), ctypes.c_int()
def get(function, *arguments):
    code = function(ctypes.byref(number), *arguments)
    if code:
        raise SystemExit(f'{function.__name__} returned error {code}')
    return number.value
if code := cuda.cuInit(0):
    raise SystemExit(f'cuInit returned error {code}')
devices, name = [], ctypes.create_string_buffer(256)
for index in range(get(cuda.cuDeviceGetCount)):
    device = get(cuda.cuDeviceGet, index)
    cuda.cuDeviceGetName(name, 256, device)
    devices.append([name.value.decode(), *(
        get(cuda.cuDeviceGetAttribute, attribute, device) for attribute in (75, 76, 16))])
print(json.dumps([get(cuda.cuDriverGetVersion), devices]))
"""


@dataclass(frozen=True)
class Device:
    """
    The facts about a GPU that an engine depends on.

    :ivar index: number of the GPU, from 0, in the order of CUDA.
    :ivar name: such as ``'Orin'``.
    :ivar compute_capability: such as ``'8.7'``.
    :ivar multiprocessors: number of them; it tells the kinds of Jetson Orin apart, whose GPUs have
        the same name.
    :ivar driver: the CUDA version that the driver supports and, where the system says it, the
        version of the driver itself.
    """

    index: int
    name: str
    compute_capability: str
    multiprocessors: int
    driver: str


def find_device(index: int) -> Device:
    """
    Return the facts about a GPU. CUDA is initialised in a child process, and not in this one.

    :param index: number of the GPU, from 0.
    :raises BackendUnavailable: if there is no driver or no such GPU; the message names the remedy.
    """
    devices = _devices()
    if index >= len(devices):
        raise BackendUnavailable(
            f'no GPU {index}: the driver shows {len(devices)} (numbered from 0); choose another '
            'device or look at CUDA_VISIBLE_DEVICES')
    return devices[index]


@functools.cache
def _devices() -> tuple[Device, ...]:
    """
    Return the facts about all GPUs.

    :raises BackendUnavailable: if there is no driver, or it cannot be used.
    """
    try:
        ctypes.CDLL('libcuda.so.1')
    except OSError:
        raise BackendUnavailable(
            'there is no NVIDIA GPU, or no NVIDIA driver for it (libcuda.so.1 cannot be loaded); '
            'install the driver, or give the container access to the GPU') from None
    try:
        probe = subprocess.run([sys.executable, '-I', '-S', '-c', _PROBE], text=True,
                               capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendUnavailable(f'the NVIDIA driver does not answer ({error})') from error
    if probe.returncode:
        said = (probe.stderr.strip().splitlines() or [f'signal {-probe.returncode}'])[-1]
        raise BackendUnavailable(f'the NVIDIA driver finds no usable GPU: {said}; run nvidia-smi')
    cuda, devices = json.loads(probe.stdout)
    driver = ', '.join(filter(None, (f'CUDA {cuda // 1000}.{cuda % 1000 // 10}', _release())))
    return tuple(Device(index, name, f'{major}.{minor}', multiprocessors, driver)
                 for index, (name, major, minor, multiprocessors) in enumerate(devices))


def _release() -> str:
    """Return the version of the kernel module, or on a Jetson that of L4T; '' if unknown."""
    for file, pattern in (('/sys/module/nvidia/version', r'(\S+)'),
                          ('/etc/nv_tegra_release', r'(R\d+).*?REVISION: (\S+?),')):
        try:
            if found := re.search(pattern, Path(file).read_text()):
                return ' '.join(found.groups())
        except OSError:
            continue
    return ''


def cuda_runtime() -> ModuleType:
    """
    Import cuda-python, without initialising CUDA.

    :raises BackendUnavailable: if it is missing or older than 12.9.1. According to the release
        notes, older versions block all Python threads while one thread waits for the GPU.
    """
    try:
        from cuda.bindings import runtime
        from cuda.bindings.utils import get_cuda_native_handle  # noqa: F401, came with 12.9.1
    except ImportError as error:
        raise BackendUnavailable(f'cuda-python is missing or too old ({error}); {INSTALL}'
                                 ) from error
    return runtime


class Gpu:
    """
    A GPU in use, with one stream. `close` frees all that was allocated, in the opposite order.

    Every method that calls CUDA raises the errors of `call`.

    :ivar stream: native handle of the stream that all work goes to; None after `close`.
    """

    def __init__(self, index: int) -> None:
        """
        Create a stream.

        :param index: number of the GPU, from 0.
        :raises BackendUnavailable: if cuda-python is missing or too old.
        """
        self._runtime = rt = cuda_runtime()
        self._index = index
        self._owned = ExitStack()
        self.activate()
        self._stream = self._own(self.call(rt.cudaStreamCreateWithFlags, rt.cudaStreamNonBlocking),
                                 rt.cudaStreamDestroy)
        from cuda.bindings.utils import get_cuda_native_handle
        self.stream: int | None = get_cuda_native_handle(self._stream)

    def activate(self) -> None:
        """Make this the current GPU of the calling thread."""
        self.call(self._runtime.cudaSetDevice, self._index)

    def call(self, function: Callable, *arguments: Any, needed: int = 0) -> Any:
        """
        Call a function of the CUDA runtime.

        :param function: a function of cuda-python, which returns an error code and results.
        :param arguments: what it is called with.
        :param needed: number of bytes that it allocates, for the message.
        :returns: its first result, or None if it has none.
        :raises BackendUnavailable: if cuda-python is for a newer CUDA than the driver.
        :raises DeviceMemoryError: if there is too little memory.
        :raises FatalBackendError: if this process cannot use the GPU any more.
        :raises BackendError: for other failures.
        """
        error, *result = function(*arguments)
        if error != self._runtime.cudaError_t.cudaSuccess:
            self._raise(function.__name__, error, needed)
        return result[0] if result else None

    def _raise(self, function: str, error: Any, needed: int) -> None:
        text = self._runtime.cudaGetErrorString(error)[1]
        text = text.decode() if isinstance(text, bytes) else text
        said = f'GPU {self._index}: {function}: {error.name} ({text})'
        if error.name == 'cudaErrorMemoryAllocation':
            self._runtime.cudaGetLastError()
            raise self.out_of_memory(needed, said)
        if error.name == 'cudaErrorInsufficientDriver':
            raise BackendUnavailable(f'{said}: cuda-python is for a newer CUDA than the driver; '
                                     f'{INSTALL}')
        if error.name in STICKY:
            raise FatalBackendError(f'{said}; this process cannot use the GPU any more, start it '
                                    'again; if it comes back, look at the kernel log (dmesg) for '
                                    'NVRM or Xid lines')
        self._runtime.cudaGetLastError()
        raise BackendError(said)

    def out_of_memory(self, needed: int, said: str) -> DeviceMemoryError:
        """
        Return an error that says how much memory is free.

        :param needed: number of bytes that were asked for.
        :param said: what the library said, for the message.
        """
        return DeviceMemoryError(
            f'GPU {self._index} has too little memory: needed {-(-needed // MIB)} MiB, free '
            f'{self.free_memory() // MIB} MiB; end other programs on the GPU, or export the '
            f'bundle with a smaller --input-size ({said})')

    def free_memory(self) -> int:
        """Return the number of free bytes of GPU memory; 0 if the GPU does not say."""
        error, *sizes = self._runtime.cudaMemGetInfo()
        return sizes[0] if error == self._runtime.cudaError_t.cudaSuccess else 0

    def check(self) -> None:
        """Raise the error that has made the GPU unusable, if any: every call returns it then."""
        self.call(self._runtime.cudaMemGetInfo)

    def allocate(self, size: int) -> int:
        """Allocate `size` bytes of GPU memory and return their address."""
        rt = self._runtime
        return self._own(self.call(rt.cudaMalloc, size, needed=size), rt.cudaFree)

    def pinned(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """
        Return an array in page-locked host memory, which must not be used after `close`.

        :param shape: of the array.
        :param dtype: NumPy's name of it, such as ``'float32'``.
        """
        rt, size = self._runtime, int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self._own(self.call(rt.cudaHostAlloc, size, rt.cudaHostAllocDefault,
                                      needed=size), rt.cudaFreeHost)
        memory = memoryview((ctypes.c_uint8 * size).from_address(address))
        return np.frombuffer(memory, np.dtype(dtype)).reshape(shape)

    def event(self) -> Any:
        """Return an event for `record`. A thread that waits for it sleeps."""
        rt = self._runtime
        return self._own(self.call(rt.cudaEventCreateWithFlags, rt.cudaEventBlockingSync),
                         rt.cudaEventDestroy)

    def record(self, event: Any) -> None:
        """Have the event occur when all earlier work of the stream is done."""
        self.call(self._runtime.cudaEventRecord, event, self._stream)

    def wait(self, event: Any) -> None:
        """Sleep until `event` has occurred."""
        self.call(self._runtime.cudaEventSynchronize, event)

    def elapsed(self, start: Any, end: Any) -> float:
        """Return the time between two events that have occurred, in ms."""
        return float(self.call(self._runtime.cudaEventElapsedTime, start, end))

    def upload(self, address: int, array: np.ndarray) -> None:
        """Enqueue a copy of a pinned array to an address in GPU memory."""
        self._copy(address, array.ctypes.data, array.nbytes, 'cudaMemcpyHostToDevice')

    def download(self, array: np.ndarray, address: int) -> None:
        """Enqueue a copy from an address in GPU memory into a pinned array."""
        self._copy(array.ctypes.data, address, array.nbytes, 'cudaMemcpyDeviceToHost')

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        rt = self._runtime
        self.call(rt.cudaMemcpyAsync, target, source, size, getattr(rt.cudaMemcpyKind, kind),
                  self._stream)

    def capture(self, enqueue: Callable[[], None]) -> Any:
        """
        Return a CUDA graph of the work that `enqueue` puts into the stream, for `launch`.

        :param enqueue: is called once; its work is captured and not executed.
        :raises BackendError: if the work cannot be captured. The stream can still be used.
        """
        rt = self._runtime
        # Thread-local, so that calls of other threads do not break the capture.
        self.call(rt.cudaStreamBeginCapture, self._stream,
                  rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            enqueue()
        except BaseException:
            error, graph = rt.cudaStreamEndCapture(self._stream)
            if error == rt.cudaError_t.cudaSuccess:
                rt.cudaGraphDestroy(graph)
            rt.cudaGetLastError()
            raise
        graph = self.call(rt.cudaStreamEndCapture, self._stream)
        try:
            return self._own(self.call(rt.cudaGraphInstantiate, graph, 0), rt.cudaGraphExecDestroy)
        finally:
            rt.cudaGraphDestroy(graph)

    def launch(self, graph: Any) -> None:
        """Enqueue a graph that `capture` returned."""
        self.call(self._runtime.cudaGraphLaunch, graph, self._stream)

    def on_close(self, release: Callable[[], None]) -> None:
        """Have `close` call `release` before it frees what was allocated earlier."""
        self._owned.callback(release)

    def close(self) -> None:
        """Free everything but the CUDA context, which lasts as long as the process. Idempotent."""
        # Errors are ignored: these calls only repeat those of earlier work.
        self._runtime.cudaSetDevice(self._index)
        if self.stream is not None:
            self._runtime.cudaStreamSynchronize(self._stream)
            self.stream = None
        self._owned.close()

    def _own(self, thing: Any, destroy: Callable[[Any], Any]) -> Any:
        self._owned.callback(destroy, thing)
        return thing
