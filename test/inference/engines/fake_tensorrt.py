# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT as its documentation describes it; engines run in ONNX Runtime.

A plan is the ONNX file behind a header. Whatever is not in these classes does not exist: setting
or asking for it raises AttributeError, and test_binding_surface.py holds each name and each
number of arguments against the real bindings.
"""

from __future__ import annotations

import ctypes
from dataclasses import asdict, dataclass, field
import enum
import json
import os
from pathlib import Path
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

from fake_cuda import FakeCuda
import numpy as np

HEADER = b'fake plan '
FOLDER = 'FAKE_TENSORRT'
"""Environment variable: the folder by which a test and the build processes know of each other."""
_TYPES = {'tensor(float)': 'FLOAT', 'tensor(uint8)': 'UINT8', 'tensor(int64)': 'INT64',
          'tensor(int32)': 'INT32'}


@dataclass
class Faults:
    """
    How the stand-in misbehaves.

    Where there is a `folder`, every change is written to it at once, for build processes to read.

    :ivar plans: False if a build gives None.
    :ivar errors: texts of the parser's errors.
    :ivar ends_by: names of the signals that end the process in the middle of a build, by the name
        of the graph's file.
    :ivar hangs: whether a build never ends.
    :ivar words: what a build writes to stderr.
    :ivar clock: whether the seconds pass quickly for the progress monitor of a build process.
    :ivar refuses_timings: whether a timing cache with content is refused.
    :ivar bytes_needed: GPU memory for activations.
    :ivar noise: number that is added to the output `noisy` of an engine, by name of its graph.
    :ivar capture: False if a CUDA graph cannot be captured.
    :ivar execute: an error of CUDA that running an engine gives.
    """

    folder: str = ''
    plans: bool = True
    errors: tuple[str, ...] = ()
    ends_by: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    words: str = ''
    clock: bool = False
    refuses_timings: bool = False
    bytes_needed: int = 1000
    noise: dict[str, float] = field(default_factory=dict)
    noisy: str = 'uncertainty'
    capture: bool = True
    execute: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a fault, for build processes too."""
        super().__setattr__(name, value)
        if self.folder and 'execute' in vars(self):  # the last one: all are set
            (Path(self.folder) / 'faults.json').write_text(json.dumps(asdict(self)))


class Notes:
    """
    What the builds of this process and of its build processes have noted, in order.

    :ivar executed, addresses: calls in this process.
    """

    def __init__(self, folder: str) -> None:
        self.executed = self.addresses = 0
        self._file = Path(folder, 'notes.jsonl') if folder else None
        self._notes: list[dict[str, Any]] = []

    def add(self, **note: Any) -> None:
        """Note something."""
        self._notes.append(note)
        if self._file:
            with open(self._file, 'a') as stream:
                stream.write(json.dumps(note) + '\n')

    def all(self, name: str) -> list[Any]:
        """Return all notes of a name: ``pid``, ``built`` or ``timings``."""
        notes = self._notes
        if self._file:
            lines = self._file.read_text().splitlines() if self._file.exists() else []
            notes = list(map(json.loads, lines))
        return [note[name] for note in notes if name in note]

    @property
    def built(self) -> list[str]:
        """Names of the graphs' files that were built."""
        return self.all('built')

    @property
    def timings(self) -> list[bytes]:
        """The timing caches that builds started with."""
        return [timings.encode() for timings in self.all('timings')]


def install(cuda: FakeCuda, monkeypatch: Any, folder: Path) -> Any:
    """Make `import tensorrt` give the stand-in, here and in build processes; return it."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent / 'in_child'))
    module = fake_tensorrt(cuda, folder=str(folder))
    monkeypatch.setitem(sys.modules, 'tensorrt', module)
    return module


def fake_tensorrt(cuda: FakeCuda, version: str = '10.3.0', folder: str = '') -> Any:
    """
    Return a stand-in for the module, whose work goes to `cuda`.

    It has its `Faults` in `faults` and its `Notes` in `counts`.

    :param folder: where it finds faults and leaves notes; without it they stay in this process.
    """
    stored = Path(folder) / 'faults.json'
    faults = (Faults(**json.loads(stored.read_text())) if folder and stored.exists()
              else Faults(folder=folder))
    counts = Notes(folder)
    plugins = []

    class ILogger:
        __slots__ = ('_ready', '__dict__')
        Severity = enum.Enum('Severity', 'INTERNAL_ERROR ERROR WARNING INFO VERBOSE')

        def __init__(self) -> None:
            self._ready = True

    class IProgressMonitor:
        __slots__ = ('_ready', '__dict__')

        def __init__(self) -> None:
            self._ready = True

    def say(logger: Any, severity: str, message: str) -> None:
        assert logger._ready, 'pybind11 needs ILogger.__init__ to be called'
        logger.log(ILogger.Severity[severity], message)

    class ParserError:
        __slots__ = ('_text',)

        def __init__(self, text: str) -> None:
            self._text = text

        def node(self) -> int:
            return 3

        def node_name(self) -> str:
            return '/decoder/NonZero'

        def node_operator(self) -> str:
            return 'NonZero'

        def desc(self) -> str:
            return self._text

    class INetworkDefinition:
        __slots__ = ('model', 'name')

    class OnnxParser:
        __slots__ = ('_network',)

        def __init__(self, network: INetworkDefinition, logger: Any) -> None:
            self._network = network

        def parse_from_file(self, model: str) -> bool:
            assert isinstance(model, str), 'pybind11 takes no Path'
            self._network.model, self._network.name = Path(model).read_bytes(), Path(model).name
            return self.num_errors == 0

        @property
        def num_errors(self) -> int:
            return len(faults.errors)

        def get_error(self, index: int) -> ParserError:
            return ParserError(faults.errors[index])

    class ITimingCache:
        __slots__ = ('content',)

        def serialize(self) -> bytes:
            return self.content + b' and more'

    class IBuilderConfig:
        __slots__ = ('_cache', '_flags', 'progress_monitor')

        def __init__(self) -> None:
            self._flags = {module.BuilderFlag.TF32}

        def clear_flag(self, flag: Any) -> None:
            self._flags.remove(flag)

        def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
            cache = ITimingCache()
            cache.content = bytes(serialized_timing_cache)
            return cache

        def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
            if faults.refuses_timings and cache.content:
                return False
            self._cache = cache
            counts.add(timings=cache.content.decode())
            return True

        def get_timing_cache(self) -> ITimingCache:
            return self._cache

    class Builder:
        __slots__ = ('_logger',)

        def __init__(self, logger: Any) -> None:
            self._logger = logger

        def create_network(self, flags: int = 0) -> INetworkDefinition:
            assert flags == 1 << module.NetworkDefinitionCreationFlag.STRONGLY_TYPED
            return INetworkDefinition()

        def create_builder_config(self) -> IBuilderConfig:
            return IBuilderConfig()

        def build_serialized_network(self, network: INetworkDefinition,
                                     config: IBuilderConfig) -> bytes | None:
            assert not config._flags
            monitor = config.progress_monitor
            monitor.phase_start('Build', None, 2)
            counts.add(pid=os.getpid())
            say(self._logger, 'INFO', 'timing layer 12')
            os.write(2, faults.words.encode())
            while faults.hangs:
                time.sleep(0.02)
            if name := faults.ends_by.get(network.name):
                os.kill(os.getpid(), signal.Signals[name])
            for step in range(2):
                if not monitor.step_complete('Build', step):
                    say(self._logger, 'ERROR', 'the build was stopped')
                    return None
            monitor.phase_finish('Build')
            if not faults.plans:
                say(self._logger, 'ERROR', 'no tactic for layer 12')
                return None
            say(self._logger, 'INFO', 'built')
            counts.add(built=network.name)
            return HEADER + network.name.encode().ljust(40) + network.model

    class IExecutionContext:
        __slots__ = ('_engine', '_addresses')

        def __init__(self, engine: Any) -> None:
            self._engine, self._addresses = engine, {}

        def set_tensor_address(self, name: str, memory: int) -> bool:
            counts.addresses += 1
            self._addresses[name] = memory
            return memory in cuda.live

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert any(getattr(h, 'number', None) == stream_handle for h in cuda.live), 'no stream'
            if faults.execute is not None:
                cuda.fail(faults.execute)
                say(self._engine._logger, 'ERROR', 'Cuda Runtime (failure)')
                return False
            if not faults.capture and cuda._captured is not None:
                say(self._engine._logger, 'ERROR', 'operation not permitted when capturing')
                return False
            cuda.enqueue(self._work)
            return True

        def _work(self) -> None:
            counts.executed += 1
            session = self._engine._session
            values = session.run(None, {i.name: self._at(i) for i in session.get_inputs()})
            for output, value in zip(session.get_outputs(), values):
                if output.name == faults.noisy:
                    value = value + np.float32(faults.noise.get(self._engine._name, 0))
                self._at(output)[...] = value

        def _at(self, tensor: Any) -> np.ndarray:
            dtype = {'FLOAT': 'f4', 'UINT8': 'u1', 'INT64': 'i8', 'INT32': 'i4'}[
                _TYPES[tensor.type]]
            size = int(np.prod(tensor.shape)) * np.dtype(dtype).itemsize
            buffer = cuda.live[self._addresses[tensor.name]]
            assert len(buffer) == size
            return np.frombuffer((ctypes.c_uint8 * size).from_address(
                self._addresses[tensor.name]), dtype).reshape(tensor.shape)

    class ICudaEngine:
        __slots__ = ('_session', '_name', '_logger')

        def __init__(self, model: bytes, name: str, logger: Any) -> None:
            import onnxruntime
            self._session, self._name, self._logger = (
                onnxruntime.InferenceSession(model), name, logger)

        @property
        def num_io_tensors(self) -> int:
            return len(self._tensors())

        @property
        def device_memory_size_v2(self) -> int:
            return faults.bytes_needed

        def _tensors(self) -> list:
            return [*self._session.get_inputs(), *self._session.get_outputs()]

        def _tensor(self, name: str) -> Any:
            return next(t for t in self._tensors() if t.name == name)

        def get_tensor_name(self, index: int) -> str:
            return self._tensors()[index].name

        def get_tensor_mode(self, name: str) -> Any:
            return module.TensorIOMode['INPUT' if self._tensor(name) in
                                       self._session.get_inputs() else 'OUTPUT']

        def get_tensor_dtype(self, name: str) -> Any:
            return module.DataType[_TYPES[self._tensor(name).type]]

        def get_tensor_location(self, name: str) -> Any:
            return module.TensorLocation.DEVICE

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(self._tensor(name).shape)

        def create_execution_context(self) -> IExecutionContext | None:
            if faults.bytes_needed > cuda.unused:
                say(self._logger, 'ERROR', 'OutOfMemory')
                return None
            return IExecutionContext(self)

    class Runtime:
        __slots__ = ('_logger',)

        def __init__(self, logger: Any) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: Any) -> ICudaEngine | None:
            plan = bytes(serialized_engine)
            if not plan.startswith(HEADER):
                say(self._logger, 'ERROR', 'Magic tag does not match')
                return None
            plan = plan[len(HEADER):]
            name = plan[:40].decode().strip()
            if 'plugin' in name and not plugins:
                say(self._logger, 'ERROR', 'Cannot deserialize plugin')
                return None
            return ICudaEngine(plan[40:], name, self._logger)

    def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
        plugins.append(namespace)
        return True

    module = SimpleNamespace(
        __version__=version, ILogger=ILogger, IProgressMonitor=IProgressMonitor, Builder=Builder,
        OnnxParser=OnnxParser, ParserError=ParserError, IBuilderConfig=IBuilderConfig,
        ITimingCache=ITimingCache, Runtime=Runtime, ICudaEngine=ICudaEngine,
        IExecutionContext=IExecutionContext, faults=faults, counts=counts, plugins=plugins,
        init_libnvinfer_plugins=init_libnvinfer_plugins,
        NetworkDefinitionCreationFlag=enum.IntEnum('Flag', {'STRONGLY_TYPED': 1}),
        BuilderFlag=enum.Enum('BuilderFlag', 'TF32'),
        TensorIOMode=enum.Enum('TensorIOMode', 'NONE INPUT OUTPUT'),
        TensorLocation=enum.Enum('TensorLocation', 'DEVICE HOST'),
        DataType=enum.Enum('DataType', 'FLOAT HALF INT32 INT64 UINT8'))
    return module
