# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: the fastest backend on a CPU (docs/benchmarks.md); also for Intel GPUs."""

from __future__ import annotations

import functools
import os
import threading
import time
from typing import Any

import numpy as np

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.bundle import Signature, Tensor
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.reference import Maps, TEXT_INPUTS
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable, DeviceMemoryError
from vl4ad_ros.inference.prompt_arrays import PromptArrays

_HOMELESS = os.path.expanduser('~') == '~'
if _HOMELESS:
    # The library's telemetry looks for a consent in the home folder and fails if there is none.
    os.environ['HOME'] = os.devnull
try:
    import openvino
finally:
    if _HOMELESS:
        del os.environ['HOME']

_VERSION = openvino.__version__.split('-')[0]
_OUT_OF_MEMORY = ('out of memory', 'CL_MEM_OBJECT_ALLOCATION_FAILURE', 'CL_OUT_OF_RESOURCES',
                  'CL_OUT_OF_HOST_MEMORY', 'exceeded max size of memory')


@functools.cache
def library() -> openvino.Core:
    """
    Return the library's one object of this process, which lives as long.

    Its CPU plugin gives the calling thread another signal stack and takes back the old one when
    it goes: two of them that do not go in the opposite order leave a stack that is freed, and the
    next signal ends the process.
    """
    return openvino.Core()


class OpenVino:
    """
    The image network on a CPU or an Intel GPU, the text network on the CPU.

    :param device: ``'CPU'``, or OpenVINO's name of a GPU, such as ``'GPU.0'``.
    """

    name = 'openvino'

    def __init__(self, bundle: Bundle, options: BackendOptions, device: str = 'CPU') -> None:
        """Load the networks and check their inputs and outputs against the manifest."""
        self._device = device
        half = device != 'CPU' and options.precision == 'fp16'
        if device != 'CPU' and options.precision == 'bf16':
            raise BackendUnavailable('OpenVINO on a GPU computes in fp32 or fp16, not in bf16; '
                                     'choose another precision')
        cpu = {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': options.threads,
            # On CPUs with AMX it would be bfloat16, without a word.
            'INFERENCE_PRECISION_HINT': 'f32',
            # A pinned thread waits for a core that another process has taken.
            'ENABLE_CPU_PINNING': False}
        gpu = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f16' if half else 'f32'}
        signature = bundle.vision_signature
        self._outputs = signature.output_names
        self._vision = self._load(bundle, bundle.cpu_graph.file, signature, device,
                                  cpu if device == 'CPU' else gpu)
        self._text = self._load(bundle, bundle.text.file, bundle.text_signature, 'CPU', cpu)
        self._text_lock = threading.Lock()
        self._prompts = PromptArrays()
        self.stages: dict[str, float] = {}
        self.description = (f'openvino {_VERSION}, {"fp16" if half else "fp32"}, '
                            f'{library().get_property(device, "FULL_DEVICE_NAME").strip()}')

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Score one network-sized image; see `Backend.run`."""
        start = time.perf_counter()
        prompts = concepts, concept_class, num_known, ensemble_weight
        with _Errors(self, self._vision) as request:
            if not self._prompts.holds(*prompts):
                self._prompts.set()
                for name, array in zip(TEXT_INPUTS, prompts):
                    request.set_tensor(name, openvino.Tensor(array))
                self._prompts.set(*prompts)
            request.infer({'image': image})
            maps = Maps(*(request.get_tensor(name).data.copy() for name in self._outputs))
        self.stages = {'network': 1e3 * (time.perf_counter() - start)}
        return maps

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        with self._text_lock, _Errors(self, self._text) as request:
            request.infer({'tokens': tokens})
            return request.get_tensor('embedding').data.copy()

    def device_memory(self) -> int | None:
        """Return what OpenVINO has taken of the GPU's memory in this process."""
        if self._device == 'CPU' or self._vision is None:
            return None
        return sum(library().get_property(self._device, 'GPU_MEMORY_STATISTICS').values())

    def close(self) -> None:
        """Free both networks."""
        self._vision = self._text = None
        self._prompts.set()

    def error(self, error: Exception) -> BackendError:
        """Return what an error of the library means."""
        said = ' '.join(str(error).split())
        if self._device != 'CPU' and any(sign in said for sign in _OUT_OF_MEMORY):
            total = library().get_property(self._device, 'GPU_DEVICE_TOTAL_MEM_SIZE')
            return DeviceMemoryError(
                f'{self._device} has too little of its {total >> 20} MiB free; end other programs '
                f'on it or export the bundle with a smaller --input-size ({said})')
        return BackendError(f'openvino {_VERSION} failed on {self._device}: {said}')

    def _load(self, bundle: Bundle, file: str, expected: Signature, device: str,
              config: dict[str, Any]) -> openvino.InferRequest:
        path = bundle.directory / file
        try:
            model = library().read_model(path)
        except Exception as error:  # the library raises RuntimeError and its own
            raise BundleError(f'{path} does not load ({error}); {REPAIR}') from error
        bundle.check(file, expected, Signature(*(
            tuple(Tensor(port.get_any_name(), port.get_element_type().to_dtype().name,
                         tuple(-1 if n.is_dynamic else n.get_length()
                               for n in port.get_partial_shape())) for port in side)
            for side in (model.inputs, model.outputs))))
        try:
            return library().compile_model(model, device, config).create_infer_request()
        except Exception as error:
            raise self.error(error) from error


class _Errors:
    """Hands out a request, if the backend is open, and translates what it raises."""

    def __init__(self, backend: OpenVino, request: openvino.InferRequest | None) -> None:
        self._backend, self._request = backend, request

    def __enter__(self) -> openvino.InferRequest:
        if self._request is None:
            raise BackendError('the backend is closed; open the detector again')
        return self._request

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            raise self._backend.error(error) from error


def open_backend(bundle: Bundle, options: BackendOptions) -> OpenVino:
    """Load a bundle on the CPU; see `backends.open_backend`."""
    return OpenVino(bundle, options)


def unavailable(options: BackendOptions) -> str:
    """Return ``''``: a CPU is always there."""
    return ''


def gpu_unavailable(options: BackendOptions) -> str:
    """Return why there is no Intel GPU of that number, with the cure, or ``''``."""
    devices = library().available_devices
    gpus = [d for d in devices if d.split('.')[0] == 'GPU']
    if options.device < len(gpus):
        return ''
    return (f'no Intel GPU {options.device}: OpenVINO sees {", ".join(devices)}; install Intel\'s '
            'compute runtime (packages intel-opencl-icd, libze1) and join the group render')
