# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Inference libraries that can run a bundle; one module each, and only it imports the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import importlib
import logging
from pathlib import Path
from typing import Protocol

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.errors import BackendUnavailable

NVIDIA = ('tensorrt', 'tensorrt-rtx', 'onnxruntime-cuda', 'torch-cuda')
"""Backends that need an NVIDIA GPU, the fastest first."""
AUTO = (*NVIDIA, 'openvino', 'onnxruntime', 'torch')
"""The order in which ``'auto'`` asks: GPUs, then CPUs by speed (docs/benchmarks.md)."""
REGISTRY = {
    'tensorrt': 'vl4ad_ros.inference.tensorrt.tensorrt',
    'tensorrt-rtx': 'vl4ad_ros.inference.tensorrt_rtx',
    'onnxruntime-cuda': 'vl4ad_ros.inference.onnxruntime_cuda',
    'torch-cuda': 'vl4ad_workshop.network.torch_cuda_backend',
    'openvino': 'vl4ad_ros.inference.openvino',
    'onnxruntime': 'vl4ad_ros.inference.onnxruntime',
    'torch': 'vl4ad_workshop.network.torch_backend',
    'openvino-gpu': 'vl4ad_ros.inference.openvino_gpu',
    'torch-compile': 'vl4ad_workshop.network.torch_compile_backend',
}
"""
The module of each backend.

It has `open_backend(bundle, options)` and `unavailable(options)`, which returns why the backend
cannot be used here, with the cure, or ``''``.
"""


@dataclass(frozen=True)
class BackendOptions:
    """
    What a backend may use.

    :ivar threads: CPU cores of one call, at least 1.
    :ivar device: index of the GPU.
    :ivar precision: on a GPU, one of `runtime.bundle.DTYPES`, or ``'auto'`` for the first of them
        that the bundle has; a CPU always computes in float32.
    :ivar cache_dir: folder of built engines; None is ``$XDG_CACHE_HOME/vl4ad_ros/engines``.
    :ivar build_if_missing: build an engine that is not in the cache, which takes minutes.
    """

    threads: int = 2
    device: int = 0
    precision: str = 'auto'
    cache_dir: Path | None = None
    build_if_missing: bool = False

    def __post_init__(self) -> None:
        """Refuse what no backend could do."""
        if self.threads < 1:
            raise ValueError(f'threads must be at least 1, not {self.threads}')
        if self.device < 0:
            raise ValueError(f'device must be 0 or more, not {self.device}')
        if self.precision not in ('auto', *DTYPES):
            raise ValueError(f"precision is '{self.precision}'; choose one of auto, "
                             + ', '.join(DTYPES))


class Backend(Protocol):
    """
    A bundle's two networks, loaded and checked against its manifest.

    :ivar name: key of `REGISTRY`.
    :ivar description: one line for logs: library, version, precision, device.
    :ivar stages: ms of each stage of the last `run`: ``network``, and on a GPU ``upload`` and
        ``download``.
    """

    name: str
    description: str
    stages: Mapping[str, float]

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """
        Return the maps of one image, which belong to the caller.

        Shapes and dtypes are `Bundle.vision_signature`; `Maps.anomaly_mass` is None where that
        does not have it. May be called from one thread at a time.

        :raises BackendError: if the library fails.
        """

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """
        Return float32 [n, D] embeddings, not normalised, of int64 [n, length] tokens.

        May be called while another thread is in `run`.

        :raises BackendError: if the library fails.
        """

    def device_memory(self) -> int | None:
        """Return the bytes of GPU memory that this backend holds; None on a CPU."""

    def close(self) -> None:
        """Free everything; later calls, but for another `close`, raise `BackendError`."""


def open_backend(bundle: Bundle, name: str = 'auto', options: BackendOptions = BackendOptions(),
                 log: Callable[[str], None] = logging.getLogger(__name__).info) -> Backend:
    """
    Load a bundle with the backend called `name`, or with ``'auto'`` the first that can be used.

    A GPU that is there and lacks only its engine is an error, not a reason for the CPU.

    :param log: told which backend was chosen, and why none before it.
    :raises BackendUnavailable: if the name is unknown or nothing can be used; lists why.
    :raises EngineMissing: if an engine must be built first.
    :raises BackendError: if the library fails.
    :raises BundleError: if a network does not load or does not fit the manifest.
    """
    if name != 'auto' and name not in REGISTRY:
        raise BackendUnavailable(
            f"no backend '{name}'; backends: auto, {', '.join(REGISTRY)}")
    reasons, candidates = [], AUTO if name == 'auto' else (name,)
    if name == 'auto' and (reason := _no_gpu(options.device)):
        reasons.append(f'{", ".join(NVIDIA)} ({reason})')
        candidates = [name for name in AUTO if name not in NVIDIA]
    for candidate in candidates:
        try:
            module = importlib.import_module(REGISTRY[candidate])
            reason = module.unavailable(options)
        except ImportError as error:
            reason = f'{error}; pip install {error.name or candidate}'
        if not reason:
            backend = module.open_backend(bundle, options)
            log(f'backend {backend.description}'
                + (f'; not {"; not ".join(reasons)}' if reasons else ''))
            return backend
        reasons.append(f'{candidate} ({reason})')
    raise BackendUnavailable('no backend can be used: ' + '; '.join(reasons))


def _no_gpu(device: int) -> str:
    """Return why there is no NVIDIA GPU, once for all backends that need one."""
    from vl4ad_ros.inference.tensorrt.cuda import find_device
    try:
        find_device(device)
    except BackendUnavailable as error:
        return str(error)
    return ''
