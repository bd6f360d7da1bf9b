# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The interface of inference backends, their options, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import importlib
import logging
from pathlib import Path
import shlex
import shutil
from types import ModuleType
from typing import Protocol

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.errors import BackendUnavailable, EngineMissing

REGISTRY: dict[str, str] = {
    'tensorrt': 'vl4ad_ros.inference.tensorrt.backend',
    'openvino': 'vl4ad_ros.inference.openvino',
    'onnxruntime': 'vl4ad_ros.inference.onnxruntime',
}
"""
The module of each backend, by the name of the backend.

A module defines two functions. `open_backend(bundle, options)` returns a `Backend`.
`unavailable(options)` returns the reason why the backend cannot be used on this machine, with the
remedy, or ``''`` if it can be used. Only one file imports each inference library.
"""
CPU_BACKENDS = ('openvino', 'onnxruntime')
"""The backends that ``'auto'`` tries on a CPU, the faster one first (docs/benchmarks.md)."""
PROVIDERS = ('cpu', 'cuda')
"""The execution providers of ONNX Runtime that this package uses."""
REMOVED: Mapping[str, str] = {
    'torch': 'use model.backend: openvino or onnxruntime on a CPU, and tensorrt on an NVIDIA GPU',
    'torch-cuda': 'use model.backend: tensorrt after building an engine with: vl4ad build BUNDLE',
    'torch-compile': 'use model.backend: openvino on a CPU, and tensorrt on an NVIDIA GPU',
    'openvino-gpu': 'use model.backend: openvino, which computes on the CPU',
    'tensorrt-rtx': 'use model.backend: tensorrt, which supports GeForce and RTX GPUs too',
    'onnxruntime-cuda': 'use model.backend: onnxruntime with model.onnxruntime_provider: cuda '
    '(vl4ad bench: --backend onnxruntime --provider cuda)',
}
"""What to use in place of each backend that was removed in version 0.2.0."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackendOptions:
    """
    What a backend may use.

    :ivar threads: number of CPU threads of one inference, at least 1.
    :ivar device: index of the NVIDIA GPU, from 0 on; a CPU backend ignores it.
    :ivar precision: precision on a GPU, one of `bundle.DTYPES`, or ``'auto'`` for the first of
        them that the bundle has. A CPU always computes in float32.
    :ivar cache_dir: folder of built TensorRT engines; None stands for
        ``$XDG_CACHE_HOME/vl4ad_ros/engines``.
    :ivar build_if_missing: build an engine that is not in the cache, which takes minutes.
    :ivar onnxruntime_provider: one of `PROVIDERS`: where the backend ``'onnxruntime'`` runs the
        image network. ``'auto'`` never uses ``'cuda'``.
    :ivar require_gpu: refuse to run the image network on a CPU.
    :raises ValueError: if a value is out of its range.
    """

    threads: int = 2
    device: int = 0
    precision: str = 'auto'
    cache_dir: Path | None = None
    build_if_missing: bool = False
    onnxruntime_provider: str = 'cpu'
    require_gpu: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no backend could use."""
        if self.threads < 1:
            raise ValueError(f'threads must be at least 1, not {self.threads}')
        if self.device < 0:
            raise ValueError(f'device must be 0 or more, not {self.device}')
        if self.precision not in ('auto', *DTYPES):
            raise ValueError(f"precision is '{self.precision}'; choose one of auto, "
                             + ', '.join(DTYPES))
        if self.onnxruntime_provider not in PROVIDERS:
            raise ValueError(f"onnxruntime_provider is '{self.onnxruntime_provider}'; choose one "
                             f'of {", ".join(PROVIDERS)}')


class Backend(Protocol):
    """The two networks of a bundle, loaded and checked against its manifest."""

    @property
    def name(self) -> str:
        """Key of `REGISTRY`."""

    @property
    def description(self) -> str:
        """One line for logs and diagnostics: library, version, precision, device."""

    @property
    def stages(self) -> Mapping[str, float]:
        """
        Duration in ms of each stage of the last `run`, by the name of the stage.

        There is always ``network``, and on a GPU also ``upload`` and ``download``.
        """

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """
        Return the output maps of the image network for one image.

        The shapes are those of `Bundle.vision_signature`. One thread at a time may call this.

        :param image: uint8 (H, W, 3), RGB, at the size of the network's input.
        :param concepts: float32 (C, D), the normalised embeddings of all concepts, where C is the
            bundle's capacity of concepts and D the length of an embedding.
        :param concept_class: int64 (C,), the index of the class of each concept, -1 for unused
            rows.
        :param num_known: int64 (1,), how many of the classes are known ones; these come first.
        :param ensemble_weight: float32 (K,), 0 to 1, the exponent of CLIP's own classification
            in the geometric ensemble for each class, where K is the bundle's capacity of classes.
        :returns: arrays that belong to the caller; `Maps.anomaly_mass` is None if the bundle's
            image network does not have this output.
        :raises BackendError: if the library fails, or if the backend is closed.
        """

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """
        Embed rows of tokens; may be called while another thread is in `run`.

        :param tokens: int64 (n, length).
        :returns: float32 (n, D), not normalised.
        :raises BackendError: if the library fails, or if the backend is closed.
        """

    def device_memory(self) -> int | None:
        """Return the bytes of GPU memory that this backend holds; None on a CPU."""

    def close(self) -> None:
        """
        Free both networks.

        Calls of `run` and `encode_text` raise `BackendError` from then on; another call of
        `close` does nothing.
        """


def open_backend(bundle: Bundle, name: str = 'auto', options: BackendOptions = BackendOptions(),
                 log: Callable[[str], None] = _LOG.info) -> Backend:
    """
    Load a bundle with the named backend, or let ``'auto'`` choose one.

    ``'auto'`` takes TensorRT if an engine for this bundle and GPU is in the cache. With
    `options.build_if_missing` and an NVIDIA GPU it builds a missing engine and never takes the
    CPU. In all other cases it takes the first of `CPU_BACKENDS` that is installed, and logs a
    warning with the build command if there is a GPU that is not used. An engine that is in the
    cache and fails to load is an error, not a reason to take the CPU.

    :param bundle: the opened bundle.
    :param name: ``'auto'`` or a key of `REGISTRY`.
    :param options: what the backend may use.
    :param log: is called with one line that says which backend was chosen, and why those before
        it in the order were not.
    :returns: the loaded backend; the caller closes it.
    :raises BackendUnavailable: if the name is unknown or was removed, if the backend cannot be
        used on this machine, or if `options.require_gpu` rules it out.
    :raises EngineMissing: if an engine must be built first.
    :raises BackendError: if the library fails.
    :raises BundleError: if a network does not load or does not fit the manifest.
    """
    if name == 'auto':
        return _open_first_usable(bundle, options, log)
    if name in REMOVED:
        raise BackendUnavailable(f'backend {removal(name)}')
    if name not in REGISTRY:
        raise BackendUnavailable(
            f"there is no backend '{name}'; choose one of auto, {', '.join(REGISTRY)}")
    if options.require_gpu and not _runs_on_gpu(name, options):
        raise BackendUnavailable(
            f"model.require_gpu is true, but the backend '{name}' would run the image network on "
            f'the CPU; use tensorrt after running: {build_command(bundle, options)}, or '
            'onnxruntime with model.onnxruntime_provider: cuda')
    return _open(bundle, name, options, log)


def removal(name: str) -> str:
    """
    Return what a user must know who asks for a removed backend.

    :param name: a key of `REMOVED`.
    :returns: the end of a sentence that begins with the name of a parameter or option.
    """
    return f"'{name}' was removed in 0.2.0; {REMOVED[name]}"


def build_command(bundle: Bundle, options: BackendOptions) -> str:
    """
    Return the shell command that builds the engine of a bundle.

    In a workspace that colcon built, `vl4ad` is not on the search path of the shell; there the
    command is the one of `ros2 run`.

    :param bundle: the bundle.
    :param options: its device, precision and cache folder are repeated in the command.
    """
    program = (['vl4ad', 'build'] if shutil.which('vl4ad')
               else ['ros2', 'run', 'vl4ad_ros', 'build_engine'])
    command = [*program, str(bundle.directory)]
    for flag, value, default in (('--device', options.device, 0),
                                 ('--precision', options.precision, 'auto'),
                                 ('--cache-dir', options.cache_dir, None)):
        if value != default:
            command += [flag, str(value)]
    return shlex.join(command)


def _open_first_usable(bundle: Bundle, options: BackendOptions,
                       log: Callable[[str], None]) -> Backend:
    """Do what `open_backend` describes for ``'auto'``."""
    if no_gpu := _no_gpu(options.device):
        if options.require_gpu:
            raise BackendUnavailable(f'model.require_gpu is true, but {no_gpu}')
        skipped = [f"the backend 'tensorrt' cannot be used: {no_gpu}"]
    else:
        try:
            return _open(bundle, 'tensorrt', options, log)
        except (BackendUnavailable, EngineMissing) as error:
            if options.build_if_missing or options.require_gpu:
                raise
            remedy = ('' if isinstance(error, EngineMissing) else
                      f'; then run: {build_command(bundle, options)}')
            _LOG.warning('the image network runs on the CPU although there is a GPU: '
                         f'{error}{remedy}')
            skipped = [str(error)]
    on_cpu = replace(options, onnxruntime_provider='cpu')
    for name in CPU_BACKENDS:
        try:
            return _open(bundle, name, on_cpu, log, skipped)
        except BackendUnavailable as error:
            skipped.append(str(error))
    raise BackendUnavailable('there is no backend for this machine: ' + '; '.join(skipped))


def _open(bundle: Bundle, name: str, options: BackendOptions, log: Callable[[str], None],
          skipped: list[str] | None = None) -> Backend:
    """Open one backend of `REGISTRY`; log it, and why each of the skipped ones was not taken."""
    backend: Backend = _usable_module(name, options).open_backend(bundle, options)
    log(f'backend {backend.description}' + (f' ({"; ".join(skipped)})' if skipped else ''))
    return backend


def _usable_module(name: str, options: BackendOptions) -> ModuleType:
    """
    Import the module of a backend.

    :raises BackendUnavailable: if its library is missing or cannot be used on this machine.
    """
    try:
        module = importlib.import_module(REGISTRY[name])
        reason = module.unavailable(options)
    except ImportError as error:
        reason = f'{error}; run: pip install {error.name or name}'
    if reason:
        raise BackendUnavailable(f"the backend '{name}' cannot be used: {reason}")
    return module


def _runs_on_gpu(name: str, options: BackendOptions) -> bool:
    return name == 'tensorrt' or (
        name == 'onnxruntime' and options.onnxruntime_provider == 'cuda')


def _no_gpu(device: int) -> str:
    """Return why there is no NVIDIA GPU with this index, or ``''`` if there is one."""
    from vl4ad_ros.inference.tensorrt.cuda import find_device
    try:
        find_device(device)
    except BackendUnavailable as error:
        return str(error)
    return ''
