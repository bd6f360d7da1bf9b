# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU, where it is the fastest backend (docs/benchmarks.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import functools
import os
import threading
import time

import numpy as np

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.bundle import Signature, Tensor
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.reference import Maps, TEXT_INPUTS
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.prompt_arrays import PromptArrays

_HOMELESS = os.path.expanduser('~') == '~'
if _HOMELESS:
    # The library's telemetry reads a file in the home folder and fails if there is no such folder.
    os.environ['HOME'] = os.devnull
try:
    import openvino
finally:
    if _HOMELESS:
        del os.environ['HOME']

_VERSION = openvino.__version__.split('-')[0]
_CLOSED = 'the backend is closed; open the detector again'


@functools.cache
def library() -> openvino.Core:
    """
    Return the only `Core` of this process, which is never freed.

    Its CPU plugin replaces the signal stack of the calling thread and restores the previous one
    when it is freed. If several objects are not freed in the opposite order of their creation, a
    thread keeps a signal stack that is freed memory, and the next signal ends the process.
    """
    return openvino.Core()


class OpenVino:
    """Both networks of a bundle on the CPU; see `Backend`."""

    name = 'openvino'

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        """
        Load the networks and check their inputs and outputs against the manifest.

        :param bundle: the opened bundle.
        :param options: of these only the number of threads is used.
        :raises BundleError: if a network does not load or does not fit the manifest.
        :raises BackendError: if the library cannot compile a network.
        """
        signature = bundle.vision_signature
        self._outputs = signature.output_names
        self._vision: openvino.InferRequest | None = _load(
            bundle, bundle.cpu_graph.file, signature, options.threads)
        self._text: openvino.InferRequest | None = _load(
            bundle, bundle.text.file, bundle.text_signature, options.threads)
        self._text_lock = threading.Lock()
        self._prompts = PromptArrays()
        self.stages: dict[str, float] = {}
        self.description = (f'openvino {_VERSION}, fp32, '
                            f'{library().get_property("CPU", "FULL_DEVICE_NAME").strip()}')

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Run the image network on one image; see `Backend.run`."""
        start = time.perf_counter()
        prompts = concepts, concept_class, num_known, ensemble_weight
        with _opened(self._vision) as request:
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
        with self._text_lock, _opened(self._text) as request:
            request.infer({'tokens': tokens})
            return request.get_tensor('embedding').data.copy()

    def device_memory(self) -> None:
        """Return None, because nothing is on a GPU."""

    def close(self) -> None:
        """Free both networks."""
        self._vision = self._text = None
        self._prompts.set()


open_backend = OpenVino


def unavailable(options: BackendOptions) -> str:
    """Return ``''``, because a CPU is always there."""
    return ''


def _load(bundle: Bundle, file: str, expected: Signature, threads: int) -> openvino.InferRequest:
    """
    Compile a graph of a bundle after checking its inputs and outputs against `expected`.

    :raises BundleError: if the graph does not load or does not fit the manifest.
    :raises BackendError: if the library cannot compile it.
    """
    path = bundle.directory / file
    try:
        model = library().read_model(path)
    except Exception as error:  # the library raises RuntimeError and exceptions of its own
        raise BundleError(f'{path} does not load ({error}); {REPAIR}') from error
    bundle.check(file, expected, Signature(*(
        tuple(Tensor(port.get_any_name(), port.get_element_type().to_dtype().name,
                     tuple(-1 if n.is_dynamic else n.get_length()
                           for n in port.get_partial_shape())) for port in side)
        for side in (model.inputs, model.outputs))))
    try:
        return library().compile_model(model, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': threads,
            # The default on CPUs with AMX is bfloat16.
            'INFERENCE_PRECISION_HINT': 'f32',
            # A pinned thread would wait for its core while another process uses it.
            'ENABLE_CPU_PINNING': False}).create_infer_request()
    except Exception as error:
        raise _translated(error) from error


@contextmanager
def _opened(request: openvino.InferRequest | None) -> Iterator[openvino.InferRequest]:
    """
    Yield a request and translate what the library raises meanwhile.

    :raises BackendError: if the backend is closed or the library fails.
    """
    if request is None:
        raise BackendError(_CLOSED)
    try:
        yield request
    except Exception as error:  # the library raises RuntimeError and exceptions of its own
        raise _translated(error) from error


def _translated(error: Exception) -> BackendError:
    return BackendError(f'openvino {_VERSION} failed: {" ".join(str(error).split())}')
