# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run an engine: one stream, buffers allocated once, and a CUDA graph of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import threading
from typing import Any

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.bundle import Signature, Tensor
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.tensorrt.cuda import Device, Gpu
from vl4ad_ros.inference.tensorrt.library import Library, NAME

_DTYPES = {'FLOAT': 'float32', 'HALF': 'float16', 'INT32': 'int32', 'INT64': 'int64',
           'UINT8': 'uint8'}
_INPUTS = ('image', 'concepts', 'concept_class', 'num_known', 'ensemble_weight')


class EngineRunner:
    """
    A bundle's image network as an engine on one GPU.

    It may be called from any thread, but only one call runs at a time.

    :ivar stages: duration in ms of ``upload`` (which includes the copy to pinned memory),
        ``network`` and ``download`` in the last run.
    :ivar graph_problem: why the network does not run as a CUDA graph; ``''`` if it does.
    """

    def __init__(self, library: Library, plan: Any, bundle: Bundle, file: str, device: Device
                 ) -> None:
        """
        Load an engine, check it against the manifest, run it once and capture its CUDA graph.

        :param library: TensorRT.
        :param plan: the engine, as a buffer of bytes.
        :param bundle: the bundle that it was built from.
        :param file: file name of the graph that it was built from, for messages.
        :param device: the GPU that it was built for.
        :raises BundleError: if its inputs and outputs are not those of the manifest.
        :raises DeviceMemoryError: if the GPU has too little free memory.
        :raises FatalBackendError: if this process cannot use the GPU any more.
        :raises BackendError: if TensorRT fails.
        """
        self.stages: Mapping[str, float] = {}
        self.graph_problem = ''
        self._graph: Any = None
        self._context: Any = None
        self._engine: Any = None
        self._runtime: Any = None
        self._host: dict[str, np.ndarray] = {}
        self._device: dict[str, int] = {}
        self._held: dict[str, np.ndarray] = {}
        self._outputs = bundle.vision_signature.output_names
        self._lock = threading.Lock()
        self._memory = 0
        self._library, self._log = library, library.logger()
        self._log.lines.clear()
        self._gpu = Gpu(device.index)
        try:
            self._allocate(self._load(plan, bundle, file))
            self._memory += memoryview(plan).nbytes
            self._warm_up()
        except BaseException:
            self.close()
            raise

    def _load(self, plan: Any, bundle: Bundle, file: str) -> Signature:
        """Create the execution context; return the engine's signature, which fits `bundle`."""
        self._gpu.on_close(self._release)
        self._runtime = self._library.module.Runtime(self._log)
        self._engine = self._needing(
            memoryview(plan).nbytes, self._runtime.deserialize_cuda_engine, plan)
        if self._engine is None:
            raise self._failed('does not load the engine')
        signature = self._signature()
        bundle.check(file, bundle.vision_signature, signature)
        self._context = self._needing(self._engine.device_memory_size_v2,
                                      self._engine.create_execution_context)
        if self._context is None:
            raise self._failed('does not create an execution context')
        return signature

    def _allocate(self, signature: Signature) -> None:
        """Allocate the buffers of all inputs and outputs, on the host and on the GPU."""
        for tensor in (*signature.inputs, *signature.outputs):
            host = self._gpu.pinned(tensor.shape, tensor.dtype)
            address = self._gpu.allocate(host.nbytes)
            self._host[tensor.name], self._device[tensor.name] = host, address
            if not self._context.set_tensor_address(tensor.name, address):
                raise self._failed(f'does not take a buffer for {tensor.name}')
        self._events = tuple(self._gpu.event() for _ in range(4))
        self._memory = (self._engine.device_memory_size_v2
                        + sum(array.nbytes for array in self._host.values()))

    def _needing(self, size: int, make: Callable[..., Any], *arguments: Any) -> Any:
        """Call `make`, which returns None if it fails; raise if `size` bytes are not free then."""
        made = make(*arguments)
        if made is None and self._gpu.free_memory() < size:
            raise self._gpu.out_of_memory(size, self._log.said())
        return made

    def _signature(self) -> Signature:
        trt, engine = self._library.module, self._engine
        modes = trt.TensorIOMode
        sides: dict[Any, list[Tensor]] = {modes.INPUT: [], modes.OUTPUT: []}
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
            dtype = engine.get_tensor_dtype(name).name
            # A tensor that the engine wants in host memory would be read from a wrong address.
            on_gpu = engine.get_tensor_location(name) == trt.TensorLocation.DEVICE
            sides[engine.get_tensor_mode(name)].append(Tensor(
                name, _DTYPES.get(dtype, dtype) + ('' if on_gpu else ' on the host'),
                tuple(engine.get_tensor_shape(name))))
        return Signature(tuple(sides[modes.INPUT]), tuple(sides[modes.OUTPUT]))

    def _warm_up(self) -> None:
        blank = {name: np.zeros_like(self._host[name]) for name in _INPUTS}
        self._run(blank)  # completes TensorRT's set-up, which must not be part of the capture
        try:
            self._graph = self._gpu.capture(self._execute)
            self._gpu.on_close(self._forget_graph)
            self._run(blank)
        except BackendError as error:
            self._graph, self.graph_problem = None, str(error)
            self._run(blank)

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """
        Score one image of the network's size; see `Backend.run`.

        :raises BackendError: if an array has another shape or dtype, or TensorRT fails; see
            `__init__` for its subclasses.
        """
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
                    f'found {array.dtype} {list(array.shape)}')
        try:
            gpu.record(start)
            for name, array in inputs.items():
                if self._held.get(name) is not array or array.flags.writeable:
                    np.copyto(self._host[name], array)
                    gpu.upload(self._device[name], self._host[name])
                    self._held[name] = array
            gpu.record(uploaded)
            if self._graph is None:
                self._execute()
            else:
                gpu.launch(self._graph)
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
        """Return the error for a call of TensorRT that only said that it failed."""
        try:
            self._gpu.check()
        except BackendError as error:
            return type(error)(f'{NAME} {what}: {error}')
        return BackendError(f'{NAME} {self._library.version} {what}: '
                            f'{self._log.said()}')

    def device_memory(self) -> int:
        """Return the bytes of engine, activations and buffers, without the CUDA context."""
        return self._memory

    def close(self) -> None:
        """Free everything, after a run that is in progress. Idempotent."""
        with self._lock:
            self._gpu.close()

    def _forget_graph(self) -> None:
        self._graph = None

    def _release(self) -> None:
        """Drop the objects of TensorRT, each before what it uses."""
        self._memory = 0
        self._context = None
        self._engine = None
        self._runtime = None
        self._host, self._device, self._held = {}, {}, {}
