# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the backends of TensorRT and TensorRT-RTX have in common: all but the import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import importlib.util
import logging

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError, EngineMissing
from vl4ad_ros.inference.tensorrt.cuda import cuda_runtime, find_device
from vl4ad_ros.inference.tensorrt.library import Library
from vl4ad_ros.inference.tensorrt.obtain import Engines

_LOG = logging.getLogger(__name__)


class EngineBackend:
    """The image network as an engine on a GPU, the text network on the CPU."""

    def __init__(self, library: Library, bundle: Bundle, options: BackendOptions) -> None:
        """
        Load a bundle's engine, or build it first if the options say so.

        :raises EngineMissing: if there is no usable one.
        """
        from vl4ad_ros.inference.onnxruntime import TextNetwork
        engines = Engines(library, bundle, options, _LOG.info, _LOG.warning)
        try:
            graph, stored = engines.find()
        except EngineMissing:
            if not options.build_if_missing:
                raise
            graph, stored = engines.build()
        self.name = library.name
        self._runner = engines.runner(graph, stored.plan)
        try:
            self._text = TextNetwork(bundle, options.threads)
        except BaseException:
            self._runner.close()
            raise
        no_graph = self._runner.graph_problem
        self.description = (
            f'{library.name} {library.version}, {graph.dtype}, {graph.sampling}, '
            f'{engines.device.name}, engine {stored.file.stem[:8]}'
            + (f', WITHOUT a CUDA graph ({no_graph})' if no_graph else ''))

    @property
    def stages(self) -> Mapping[str, float]:
        """Return the ms of ``upload``, ``network`` and ``download`` in the last run."""
        return self._runner.stages

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Score one network-sized image; see `Backend.run`."""
        return self._runner.run(image, concepts, concept_class, num_known, ensemble_weight)

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return self._text(tokens)

    def device_memory(self) -> int:
        """Return the bytes of GPU memory that this backend holds."""
        return self._runner.device_memory()

    def close(self) -> None:
        """Free both networks."""
        self._runner.close()
        self._text.close()


def why_unavailable(load: Callable[[], Library], options: BackendOptions) -> str:
    """
    Return why a library's engines cannot be used here, with the cure, or ``''``.

    Initialises CUDA in another process only.

    :param load: imports the library, or raises `BackendUnavailable`.
    """
    try:
        device = find_device(options.device)
        cuda_runtime()
        load().check_target(device.name, device.compute_capability)
    except BackendError as error:
        return str(error)
    if importlib.util.find_spec('onnxruntime') is None:
        return 'the text network needs onnxruntime; pip install onnxruntime'
    return ''
