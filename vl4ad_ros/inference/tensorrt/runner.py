# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine in use: one stream, buffers that never move, and a CUDA graph of the network."""

from __future__ import annotations

from collections.abc import Mapping
import logging
from pathlib import Path
import threading
from typing import Any

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.bundle import Signature, Tensor
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.tensorrt.cuda import Device, Gpu
from vl4ad_ros.inference.tensorrt.files import read_summed, write_summed
from vl4ad_ros.inference.tensorrt.library import Library

_LOG = logging.getLogger(__name__)
_DTYPES = {'FLOAT': 'float32', 'HALF': 'float16', 'INT32': 'int32', 'INT64': 'int64',
           'UINT8': 'uint8'}
_INPUTS = ('image', 'concepts', 'concept_class', 'num_known', 'ensemble_weight')


class EngineRunner:
    """
    A bundle's image network as an engine on one GPU.

    :ivar stages: ms of ``upload`` (with the copy to pinned memory), ``network`` and ``download``
        in the last run.
    :ivar graph_problem: why the network does not run as a CUDA graph; ``''`` if it does.
    """

    def __init__(self, library: Library, plan: Any, bundle: Bundle, file: str, device: Device,
                 kernels: Path | None = None) -> None:
        """
        Load an engine, check it against the manifest, run it once and capture its CUDA graph.

        :param plan: the engine's bytes.
        :param file: the graph that it was built from, for messages.
        :param kernels: where TensorRT-RTX keeps what it compiles when an engine first runs.
        :raises BundleError: if its inputs and outputs are not what the manifest says.
        :raises DeviceMemoryError: if the GPU has too little memory.
        :raises BackendError: if the library fails.
        """
        self.stages: Mapping[str, float] = {}
        self.graph_problem = ''
        self._graph = self._context = self._engine = self._trt = self._kernels = None
        self._held: dict[str, np.ndarray] = {}
        self._outputs = bundle.vision_signature.output_names
        self._lock = threading.Lock()
        self._memory = 0
        self._library, self._log = library, library.logger()
        self._log.lines.clear()
        self._gpu = gpu = Gpu(device.index)
        try:
            signature = self._load(plan, bundle, file, kernels)
            tensors = (*signature.inputs, *signature.outputs)
            self._host = {t.name: gpu.pinned(t.shape, t.dtype) for t in tensors}
            self._device = {name: gpu.allocate(array.nbytes)
                            for name, array in self._host.items()}
            for name, address in self._device.items():
                if not self._context.set_tensor_address(name, address):
                    raise self._failed(f'does not take a buffer for {name}')
            self._events = tuple(gpu.event() for _ in range(4))
            self._memory = (memoryview(plan).nbytes + self._engine.device_memory_size_v2
                            + sum(array.nbytes for array in self._host.values()))
            self._warm_up(kernels)
        except BaseException:
            self.close()
            raise

    def _load(self, plan: Any, bundle: Bundle, file: str, kernels: Path | None) -> Signature:
        """Make the execution context and return the engine's signature, which fits `bundle`."""
        self._gpu.on_close(self._release)
        self._trt = self._library.module.Runtime(self._log)
        self._engine = self._needing(
            memoryview(plan).nbytes, self._trt.deserialize_cuda_engine, plan)
        if self._engine is None:
            raise self._failed('does not load the engine')
        signature = self._signature()
        bundle.check(file, bundle.vision_signature, signature)
        settings = self._settings(kernels) if self._library.is_rtx else ()
        self._context = self._needing(self._engine.device_memory_size_v2,
                                      self._engine.create_execution_context, *settings)
        if self._context is None:
            raise self._failed('does not make an execution context')
        return signature

    def _needing(self, size: int, make: Any, *arguments: Any) -> Any:
        """Call what returns None on failure; say so if that is for want of GPU memory."""
        made = make(*arguments)
        if made is None and self._gpu.free_memory() < size:
            raise self._gpu.out_of_memory(size, self._log.said())
        return made

    def _settings(self, kernels: Path | None) -> tuple[Any]:
        """Return a runtime configuration with the kernels compiled so far."""
        settings = self._engine.create_runtime_config()
        cache, stored = settings.create_runtime_cache(), kernels and read_summed(kernels)
        # The library itself refuses kernels of another version, GPU or driver.
        known = stored and cache.deserialize(stored)
        if not settings.set_runtime_cache(cache):
            raise self._failed('does not take a runtime cache')
        self._kernels = None if known else cache
        return (settings,)

    def _signature(self) -> Signature:
        trt, engine = self._library.module, self._engine
        sides = {trt.TensorIOMode.INPUT: [], trt.TensorIOMode.OUTPUT: []}
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
            dtype = engine.get_tensor_dtype(name).name
            # A tensor that the engine wants in host memory would be read from a wrong address.
            on_gpu = engine.get_tensor_location(name) == trt.TensorLocation.DEVICE
            sides[engine.get_tensor_mode(name)].append(Tensor(
                name, _DTYPES.get(dtype, dtype) + ('' if on_gpu else ' on the host'),
                tuple(engine.get_tensor_shape(name))))
        return Signature(*map(tuple, sides.values()))

    def _warm_up(self, kernels: Path | None) -> None:
        blank = {name: np.zeros_like(self._host[name]) for name in _INPUTS}
        self._run(blank)
        if self._kernels and kernels:
            try:
                write_summed(kernels, self._kernels.serialize())
            except BackendError as error:
                _LOG.warning('the next start will take longer: %s', error)
        try:
            self._graph = self._gpu.capture(self._execute)
            self._gpu.on_close(self._forget_graph)
            self._run(blank)
        except BackendError as error:
            self._graph, self.graph_problem = None, str(error)
            self._run(blank)

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Score one network-sized image; see `Backend.run`."""
        arrays = image, concepts, concept_class, num_known, ensemble_weight
        with self._lock:
            if self._context is None:
                raise BackendError('the backend is closed; open the detector again')
            self._gpu.activate()
            return self._run(dict(zip(_INPUTS, arrays)))

    def _run(self, inputs: dict[str, np.ndarray]) -> Maps:
        gpu, (start, uploaded, computed, finished) = self._gpu, self._events
        for name, array in inputs.items():
            if (array.dtype, array.shape) != (self._host[name].dtype, self._host[name].shape):
                raise BackendError(
                    f'{name} must be {self._host[name].dtype} {list(self._host[name].shape)}, '
                    f'seen {array.dtype} {list(array.shape)}')
        try:
            gpu.record(start)
            for name, array in inputs.items():
                if self._held.get(name) is not array or array.flags.writeable:
                    np.copyto(self._host[name], array)
                    gpu.upload(self._device[name], self._host[name])
                    self._held[name] = array
            gpu.record(uploaded)
            self._execute() if self._graph is None else gpu.launch(self._graph)
            gpu.record(computed)
            for name in self._outputs:
                gpu.download(self._host[name], self._device[name])
            gpu.record(finished)
            gpu.wait(finished)
        except BaseException:
            self._held.clear()
            raise
        self.stages = {'upload': gpu.elapsed(start, uploaded),
                       'network': gpu.elapsed(uploaded, computed),
                       'download': gpu.elapsed(computed, finished)}
        return Maps(*(self._host[name].copy() for name in self._outputs))

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._gpu.stream):
            raise self._failed('does not run the engine')

    def _failed(self, what: str) -> BackendError:
        """Return the error of a call that said no more than that it failed."""
        try:
            self._gpu.check()
        except BackendError as error:
            return type(error)(f'{self._library.name} {what}: {error}')
        return BackendError(f'{self._library.name} {self._library.version} {what}: '
                            f'{self._log.said()}')

    def device_memory(self) -> int:
        """Return the bytes of buffers, activations and engine; CUDA's own context not counted."""
        return self._memory

    def close(self) -> None:
        """Free everything; idempotent. Waits for a run that is under way."""
        with self._lock:
            self._gpu.close()

    def _forget_graph(self) -> None:
        self._graph = None

    def _release(self) -> None:
        """Drop the library's objects, users before what they use."""
        self._memory = 0
        self._kernels = self._context = None
        self._engine = None
        self._trt = None
        self._host = self._device = {}
        self._held = {}
