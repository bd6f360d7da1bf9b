# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The backend for NVIDIA GPUs, Jetson included, with TensorRT 10.3 to 11.x; see docs/engines.md.

It has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Mapping
import importlib.util
import logging

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError, EngineMissing
from vl4ad_ros.inference.tensorrt.cuda import cuda_runtime, find_device
from vl4ad_ros.inference.tensorrt.library import Library, load_library, NAME
from vl4ad_ros.inference.tensorrt.obtain import Engines

_LOG = logging.getLogger(__name__)


class EngineBackend:
    """
    A bundle with its image network as an engine on a GPU, and its text network on the CPU.

    It is a `Backend`; see there for its attributes and methods.
    """

    name = NAME

    def __init__(self, library: Library, bundle: Bundle, options: BackendOptions) -> None:
        """
        Load the bundle's engine, or build it first if `options.build_if_missing` says so.

        :param library: TensorRT.
        :param bundle: an open bundle.
        :param options: all of them are used.
        :raises EngineMissing: if there is no usable engine, and none is to be built.
        :raises BackendUnavailable: if there is no such GPU.
        :raises BackendError: if an engine cannot be built, or TensorRT fails.
        :raises BundleError: if the bundle has no suitable graph, or has no reference frames to
            compare a new engine with.
        """
        from vl4ad_ros.inference.onnxruntime import TextNetwork
        engines = Engines(library, bundle, options, _LOG.info, _LOG.warning)
        try:
            graph, stored = engines.find()
        except EngineMissing:
            if not options.build_if_missing:
                raise
            graph, stored = engines.build()
        self._runner = engines.runner(graph, stored.plan)
        try:
            self._text = TextNetwork(bundle, options.threads)
        except BaseException:
            self._runner.close()
            raise
        no_graph = self._runner.graph_problem
        self.description = (
            f'{NAME} {library.version}, {graph.dtype}, {graph.sampling}, '
            f'{engines.device.name}, engine {stored.file.stem[:8]}'
            + (f', WITHOUT a CUDA graph ({no_graph})' if no_graph else ''))

    @property
    def stages(self) -> Mapping[str, float]:
        """Duration in ms of ``upload``, ``network`` and ``download`` in the last run."""
        return self._runner.stages

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Score one image of the network's size; see `Backend.run`."""
        return self._runner.run(image, concepts, concept_class, num_known, ensemble_weight)

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return self._text(tokens)

    def device_memory(self) -> int:
        """Return the bytes of GPU memory that this backend holds; 0 after `close`."""
        return self._runner.device_memory()

    def close(self) -> None:
        """Free both networks; see `Backend.close`."""
        self._runner.close()
        self._text.close()


def unavailable(options: BackendOptions) -> str:
    """
    Return why engines cannot be used here, with the remedy, or ``''`` if they can.

    It does not ask whether there is an engine. CUDA is initialised in a child process only.

    :param options: `device` is used.
    """
    try:
        find_device(options.device)
        cuda_runtime()
        load_library()
    except BackendError as error:
        return str(error)
    if importlib.util.find_spec('onnxruntime') is None:
        return 'the text network needs onnxruntime; run: pip install onnxruntime'
    return ''


def open_backend(bundle: Bundle, options: BackendOptions) -> EngineBackend:
    """
    Load a bundle's engine, or build it first if `options.build_if_missing` says so.

    :raises BackendUnavailable: if TensorRT is missing or too old.
    :raises BackendError: see `EngineBackend`.
    :raises BundleError: see `EngineBackend`.
    """
    return EngineBackend(load_library(), bundle, options)
