# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

import re
import time

import numpy as np
import onnxruntime

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.reference import Maps, TEXT_INPUTS
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import (
    BackendError, BackendUnavailable, DeviceMemoryError, FatalBackendError)
from vl4ad_ros.inference.onnxruntime import CLOSED, CPU, open_session, TextNetwork
from vl4ad_ros.inference.prompt_arrays import PromptArrays
from vl4ad_ros.inference.tensorrt import cuda

_CUDA = 'CUDAExecutionProvider'
_INSTALL = ('pip uninstall onnxruntime; pip install onnxruntime-gpu[cuda,cudnn] (on a Jetson: the '
            'wheel for its JetPack)')

# Numbers of `cuda.STICKY` in driver_types.h: ONNX Runtime says the number, not the name.
_STICKY = frozenset((4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810,
                     911))


class OnnxRuntimeCuda:
    """
    The image network through ONNX Runtime's CUDA provider, the text network on the CPU.

    :param device_type: where the tensors are; ``'cpu'`` lets a test run this class without a GPU.
    """

    name = 'onnxruntime-cuda'

    def __init__(self, bundle: Bundle, options: BackendOptions,
                 device_type: str = 'cuda') -> None:
        """Load the networks and check their inputs and outputs against the manifest."""
        self._device = (device_type, options.device)
        provider = (CPU if device_type == 'cpu' else (_CUDA, {
            'device_id': options.device,
            # Sampling points need all of float32's digits.
            'use_tf32': '0'}))
        self._free = self._free_memory()
        # ONNX Runtime knows no plugins of TensorRT, and its GridSample is float32 only.
        graphs = bundle.graphs_for(options.precision)
        graph = next((g for g in graphs if g.sampling != 'plugin'), None)
        if graph is None:
            raise BundleError(
                f'{bundle.directory} has its {graphs[0].dtype} network for TensorRT alone; run: '
                f'vl4ad export {bundle.directory} --dtype {graphs[0].dtype} --sampling gather')
        if device_type == 'cuda' and hasattr(onnxruntime, 'preload_dlls'):
            onnxruntime.preload_dlls()  # from the nvidia-* packages beside it
        try:
            self._vision = open_session(
                bundle, graph.file, bundle.vision_signature, options.threads, provider)
        except BundleError as error:
            if 'CUDA' in str(error):
                raise cuda_error(str(error), options.device, None) from error
            raise
        # The library goes on with the CPU when the provider's own libraries do not load.
        if device_type == 'cuda' and self._vision.get_providers()[0] != _CUDA:
            raise BackendUnavailable(
                f'the CUDA provider of onnxruntime {onnxruntime.__version__} does not load, most '
                f"often for want of CUDA's or cuDNN's libraries; {_INSTALL}")
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
        """Score one network-sized image; see `Backend.run`."""
        if self._vision is None:
            raise BackendError(CLOSED)
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
        except Exception as error:  # the library's own exceptions have no common base
            raise self._error(error) from error
        self.stages = {stage: 1e3 * (b - a) for stage, a, b in zip(
            ('upload', 'network', 'download'), marks, marks[1:])}
        return maps

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return self._text(tokens)

    def device_memory(self) -> int | None:
        """Return by how much the GPU's free memory has shrunk; None if nobody can tell."""
        free = self._free_memory()
        return None if self._free is None or free is None else max(0, self._free - free)

    def close(self) -> None:
        """Free both sessions and what is on the GPU."""
        self._binding = self._image = self._vision = None
        self._prompts.set()
        self._text.close()

    def _on_device(self, array: np.ndarray) -> onnxruntime.OrtValue:
        # A copy, for on a CPU it would be the caller's own memory.
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.array(array), *self._device)

    def _free_memory(self) -> int | None:
        if self._device[0] == 'cpu':
            return None
        try:
            runtime = cuda.cuda_runtime()
        except BackendUnavailable:  # cuda-python, which this backend does not need
            return None
        runtime.cudaSetDevice(self._device[1])
        error, *sizes = runtime.cudaMemGetInfo()
        return sizes[0] if error == runtime.cudaError_t.cudaSuccess else None

    def _error(self, error: Exception) -> BackendError:
        """Return what an error of the library means."""
        return cuda_error(str(error), self._device[1], self._free_memory())


def cuda_error(said: str, device: int, free: int | None) -> BackendError:
    """
    Return what a message of ONNX Runtime's CUDA provider means.

    :param free: bytes of GPU memory, None if unknown.
    """
    said = ' '.join(said.split())
    said = f'onnxruntime {onnxruntime.__version__} failed on GPU {device}: {said}'
    number = re.search(r'CUDA failure (\d+)', said)
    needed = re.search(r'requested buffer of size (\d+)', said)
    if needed or 'out of memory' in said.lower() or number and number[1] == '2':
        sizes = [f'{what} {int(size) >> 20} MiB' if size is not None else f'{what} unknown'
                 for what, size in (('needed', needed and needed[1]), ('free', free))]
        return DeviceMemoryError(
            f'GPU {device} has too little memory: {", ".join(sizes)}; end other programs on the '
            f'GPU, or export the bundle with a smaller --input-size ({said})')
    if number and int(number[1]) in _STICKY:
        return FatalBackendError(f'{said}; this process cannot use the GPU any more, start it '
                                 'again')
    return BackendError(said)


def unavailable(options: BackendOptions) -> str:
    """Return why the CUDA provider cannot be used, with the cure, or ``''``."""
    if _CUDA not in onnxruntime.get_available_providers():
        return (f'this onnxruntime {onnxruntime.__version__} has no CUDA provider; {_INSTALL}')
    try:
        cuda.find_device(options.device)
    except BackendUnavailable as error:
        return str(error)
    return ''


open_backend = OnnxRuntimeCuda
