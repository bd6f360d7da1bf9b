# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
ONNX Runtime: the smallest installation that runs a bundle.

The image network runs on the CPU, or on an NVIDIA GPU through the CUDA provider. The text network
always runs on the CPU; the TensorRT backend uses it from here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
import onnxruntime

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.bundle import Signature, Tensor
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.manifest import Graph
from vl4ad_ros.bundle.reference import Maps, TEXT_INPUTS
from vl4ad_ros.inference.backend import Backend, BackendOptions
from vl4ad_ros.inference.cuda_provider_errors import cuda_error
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable
from vl4ad_ros.inference.prompt_arrays import PromptArrays
from vl4ad_ros.inference.tensorrt import cuda

_CPU, _CUDA = 'CPUExecutionProvider', 'CUDAExecutionProvider'
_CLOSED = 'the backend is closed; open the detector again'
_DTYPES = {'tensor(float)': 'float32', 'tensor(uint8)': 'uint8', 'tensor(int64)': 'int64',
           'tensor(int32)': 'int32'}
_INSTALL_GPU = ('run: pip uninstall onnxruntime; pip install onnxruntime-gpu[cuda,cudnn] (on a '
                'Jetson install the wheel for its JetPack)')


def open_backend(bundle: Bundle, options: BackendOptions) -> Backend:
    """
    Load a bundle with the provider that `options.onnxruntime_provider` names.

    :raises BackendUnavailable: if the CUDA provider does not load.
    :raises BundleError: if a network does not load or does not fit the manifest.
    :raises BackendError: if the library fails.
    """
    if options.onnxruntime_provider == 'cuda':
        return OnnxRuntimeCuda(bundle, options)
    return OnnxRuntimeCpu(bundle, options)


def unavailable(options: BackendOptions) -> str:
    """Return why the provider cannot be used here, with the remedy, or ``''``."""
    if options.onnxruntime_provider == 'cpu':
        return ''
    if _CUDA not in onnxruntime.get_available_providers():
        return (f'this onnxruntime {onnxruntime.__version__} has no CUDA provider; {_INSTALL_GPU}')
    try:
        cuda.find_device(options.device)
    except BackendUnavailable as error:
        return str(error)
    return ''


class OnnxRuntimeCpu:
    """Both networks of a bundle on the CPU; see `Backend`."""

    name = 'onnxruntime'

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        """
        Load the networks and check their inputs and outputs against the manifest.

        :param bundle: the opened bundle.
        :param options: of these only the number of threads is used.
        :raises BundleError: if a network does not load or does not fit the manifest.
        """
        self.description = f'onnxruntime {onnxruntime.__version__}, fp32, CPU'
        self.stages: dict[str, float] = {}
        signature = bundle.vision_signature
        self._outputs = signature.output_names
        self._vision: onnxruntime.InferenceSession | None = open_session(
            bundle, bundle.cpu_graph.file, signature, options.threads)
        self._text = TextNetwork(bundle, options.threads)

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Run the image network on one image; see `Backend.run`."""
        start = time.perf_counter()
        maps = Maps(*_run(self._vision, self._outputs, {
            'image': image, 'concepts': concepts, 'concept_class': concept_class,
            'num_known': num_known, 'ensemble_weight': ensemble_weight}))
        self.stages = {'network': 1e3 * (time.perf_counter() - start)}
        return maps

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return self._text(tokens)

    def device_memory(self) -> None:
        """Return None, because nothing is on a GPU."""

    def close(self) -> None:
        """Free both sessions."""
        self._vision = None
        self._text.close()


class OnnxRuntimeCuda:
    """The image network on an NVIDIA GPU, the text network on the CPU; see `Backend`."""

    name = 'onnxruntime'

    def __init__(self, bundle: Bundle, options: BackendOptions,
                 device_type: str = 'cuda') -> None:
        """
        Load the networks and check their inputs and outputs against the manifest.

        :param bundle: the opened bundle.
        :param options: number of threads of the text network, index of the GPU, and precision.
        :param device_type: ONNX Runtime's name of the kind of device that holds the tensors.
            With ``'cpu'`` a test runs the code of this class without a GPU.
        :raises BundleError: if a network does not load or does not fit the manifest, or if the
            bundle has its network in this precision for TensorRT only.
        :raises BackendUnavailable: if the CUDA provider does not load.
        :raises BackendError: if the library fails.
        """
        self._device = (device_type, options.device)
        self._free = self._free_memory()
        graph = _graph_without_plugin(bundle, options.precision)
        self._vision: onnxruntime.InferenceSession | None = self._load(bundle, graph, options)
        self._binding = self._vision.io_binding()
        self._image = self._on_device(np.zeros(
            (bundle.vision.height, bundle.vision.width, 3), np.uint8))
        self._binding.bind_ortvalue_input('image', self._image)
        for name in bundle.vision_signature.output_names:
            self._binding.bind_output(name, *self._device)
        self._prompts = PromptArrays()
        self._text = TextNetwork(bundle, options.threads)
        self.stages: dict[str, float] = {}
        self.description = (f'onnxruntime {onnxruntime.__version__}, {graph.dtype}, '
                            + (f'CUDA, {cuda.find_device(options.device).name}'
                               if device_type == 'cuda' else 'CPU'))

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Run the image network on one image; see `Backend.run`."""
        if self._vision is None:
            raise BackendError(_CLOSED)
        prompts = concepts, concept_class, num_known, ensemble_weight
        marks = [time.perf_counter()]
        try:
            self._image.update_inplace(np.ascontiguousarray(image))
            if not self._prompts.holds(*prompts):
                self._prompts.set()
                for name, array in zip(TEXT_INPUTS, prompts):
                    self._binding.bind_ortvalue_input(name, self._on_device(array))
                self._prompts.set(*prompts)
            marks.append(time.perf_counter())
            self._vision.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
            marks.append(time.perf_counter())
            maps = Maps(*map(np.array, self._binding.copy_outputs_to_cpu()))
            marks.append(time.perf_counter())
        except Exception as error:  # the library's own exceptions have no common base class
            raise cuda_error(str(error), onnxruntime.__version__, self._device[1],
                             self._free_memory()) from error
        self.stages = {stage: 1e3 * (b - a) for stage, a, b in zip(
            ('upload', 'network', 'download'), marks, marks[1:])}
        return maps

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return self._text(tokens)

    def device_memory(self) -> int | None:
        """
        Return how many bytes of GPU memory were taken since this backend was opened.

        Other programs on the GPU count too. None if cuda-python, which tells the free memory, is
        not installed.
        """
        free = self._free_memory()
        return None if self._free is None or free is None else max(0, self._free - free)

    def close(self) -> None:
        """Free both sessions and the tensors on the GPU."""
        self._binding = self._image = self._vision = None
        self._prompts.set()
        self._text.close()

    def _load(self, bundle: Bundle, graph: Graph, options: BackendOptions
              ) -> onnxruntime.InferenceSession:
        """Load the image network with the CUDA provider, or with the CPU's in a test."""
        if self._device[0] == 'cpu':
            return open_session(bundle, graph.file, bundle.vision_signature, options.threads)
        if hasattr(onnxruntime, 'preload_dlls'):
            onnxruntime.preload_dlls()  # loads CUDA and cuDNN from the nvidia-* packages of pip
        # Sampling points need all digits of float32, which TF32 does not have.
        provider = _CUDA, {'device_id': options.device, 'use_tf32': '0'}
        try:
            session = open_session(
                bundle, graph.file, bundle.vision_signature, options.threads, provider)
        except BundleError as error:
            if 'CUDA' in str(error):
                raise cuda_error(str(error), onnxruntime.__version__, options.device, None
                                 ) from error
            raise
        # ONNX Runtime silently continues on the CPU if libraries of the provider do not load.
        if session.get_providers()[0] != _CUDA:
            raise BackendUnavailable(
                f'the CUDA provider of onnxruntime {onnxruntime.__version__} does not load; most '
                f'often the libraries of CUDA or cuDNN are missing; {_INSTALL_GPU}')
        return session

    def _on_device(self, array: np.ndarray) -> onnxruntime.OrtValue:
        # A copy, because on a CPU the value would share the memory of the caller.
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.array(array), *self._device)

    def _free_memory(self) -> int | None:
        """Return the bytes of free GPU memory; None if unknown."""
        if self._device[0] == 'cpu':
            return None
        try:
            runtime = cuda.cuda_runtime()
        except BackendUnavailable:  # cuda-python is missing, which this backend does not need
            return None
        runtime.cudaSetDevice(self._device[1])
        error, *sizes = runtime.cudaMemGetInfo()
        return sizes[0] if error == runtime.cudaError_t.cudaSuccess else None


class TextNetwork:
    """The text network of a bundle on the CPU; backends on a GPU use it too."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """
        Load the network and check its input and output against the manifest.

        :param bundle: the opened bundle.
        :param threads: number of CPU threads, at least 1.
        :raises BundleError: if the network does not load or does not fit the manifest.
        """
        self._session: onnxruntime.InferenceSession | None = open_session(
            bundle, bundle.text.file, bundle.text_signature, threads)

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return _run(self._session, ('embedding',), {'tokens': tokens})[0]

    def close(self) -> None:
        """Free the session."""
        self._session = None


def open_session(bundle: Bundle, file: str, expected: Signature, threads: int,
                 provider: Any = _CPU) -> onnxruntime.InferenceSession:
    """
    Load a graph of a bundle and check its inputs and outputs against the manifest.

    :param bundle: the opened bundle.
    :param file: name of the graph's file in the bundle.
    :param expected: the inputs and outputs that the graph must have.
    :param threads: number of CPU threads, at least 1.
    :param provider: ONNX Runtime's name of an execution provider, or a tuple of the name and a
        dictionary of its options.
    :raises BundleError: if the graph does not load or does not fit the manifest.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Waiting threads sleep instead of spinning, because the camera driver needs the cores too.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4  # errors are raised, so the library need not log them as well
    try:
        with _in_utf8(bundle.directory / file) as path:
            session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # the library's own exceptions have no common base class
        raise BundleError(
            f'{bundle.directory / file} does not load ({error}); {REPAIR}') from error
    bundle.check(file, expected, Signature(*(
        tuple(Tensor(t.name, _DTYPES.get(t.type, t.type),
                     tuple(n if isinstance(n, int) else -1 for n in t.shape)) for t in side)
        for side in (session.get_inputs(), session.get_outputs()))))
    return session


def _graph_without_plugin(bundle: Bundle, precision: str) -> Graph:
    """
    Return the image network in a form that ONNX Runtime can run.

    It knows no plugins of TensorRT.
    """
    graphs = bundle.graphs_for(precision)
    for graph in graphs:
        if graph.sampling != 'plugin':
            return graph
    raise BundleError(
        f'{bundle.directory} has its {graphs[0].dtype} network for TensorRT only; run: '
        f'vl4ad export {bundle.directory} --dtype {graphs[0].dtype} --sampling gather')


@contextmanager
def _in_utf8(file: Path) -> Iterator[str]:
    """Yield a path of the file that is valid UTF-8, which the library needs."""
    if str(file).encode('utf-8', 'ignore') == os.fsencode(file):
        yield str(file)
        return
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f'/proc/self/fd/{folder}/{file.name}'
    finally:
        os.close(folder)


def _run(session: onnxruntime.InferenceSession | None, outputs: tuple[str, ...],
         inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    if session is None:
        raise BackendError(_CLOSED)
    try:
        return session.run(outputs, inputs)
    except Exception as error:  # the library's own exceptions have no common base class
        raise BackendError(f'onnxruntime {onnxruntime.__version__} failed: {error}') from error
