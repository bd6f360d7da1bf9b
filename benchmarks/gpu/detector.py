# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle through `Detector`, as the node uses it, on each backend; with engines of TensorRT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import functools
from pathlib import Path
import tempfile
import time

from benchmarks.gpu.models import CAMERA, Models, scenes
from benchmarks.gpu.report import Figures, Report
import cv2
import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.commands.bench import Contender, decode
from vl4ad_ros.inference.backend import BackendOptions, open_backend
from vl4ad_ros.inference.errors import BackendUnavailable
from vl4ad_ros.inference.tensorrt.backend import unavailable
from vl4ad_workshop.network.reexport import export, forms_for

BACKENDS: Mapping[str, tuple[str, BackendOptions]] = {
    'tensorrt, fp32': ('tensorrt', BackendOptions(precision='fp32', build_if_missing=True)),
    'tensorrt, fp16': ('tensorrt', BackendOptions(precision='fp16', build_if_missing=True)),
    'onnxruntime with CUDA': ('onnxruntime', BackendOptions(onnxruntime_provider='cuda')),
    'onnxruntime': ('onnxruntime', BackendOptions()),
    'openvino': ('openvino', BackendOptions()),
}
NO_BUNDLE = ('the drawn weights are in no bundle; measure a bundle of this architecture with: '
             'vl4ad bench BUNDLE')
_SECONDS = {'tensorrt': 120.0, 'onnxruntime': 10.0, 'openvino': 10.0}  # with engine and opening
_FRAMES = 4  # different ones in turns


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return list(BACKENDS)


def run(report: Report, models: Models, runs: int) -> None:
    """Measure the bundle at its own size; what this machine lacks is skipped with the reason."""
    bundle = models.bundle
    if bundle is None:
        for name in BACKENDS:
            report.skip('detector', name, NO_BUNDLE)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, (backend, options) in BACKENDS.items():
            def work(name: str = name, backend: str = backend,
                     options: BackendOptions = options) -> Figures | None:
                try:
                    return measured(bundle, backend, options, runs, Path(folder))
                except BackendUnavailable as error:
                    report.skip('detector', name, str(error))
                    return None

            report.item('detector', name, _SECONDS[backend], work)


def measured(bundle: Bundle, backend: str, options: BackendOptions, runs: int,
             folder: Path) -> Figures:
    """
    Return the latency of compressed images of a camera, and its stages, in ms.

    :param bundle: the bundle.
    :param backend: a key of `REGISTRY`.
    :param options: what the backend may use.
    :param runs: number of frames.
    :param folder: for engines, and for a bundle with a graph in half precision.
    :raises BackendUnavailable: if its library or a GPU is missing.
    """
    building: Figures = {}
    if backend == 'tensorrt':
        if reason := unavailable(options):  # before the export
            raise BackendUnavailable(reason)
        options = replace(options, cache_dir=folder / 'engines')
        if options.precision not in {graph.dtype for graph in bundle.vision.graphs}:
            size = bundle.vision.height, bundle.vision.width
            place = folder / options.precision
            export(bundle, place, size, options.precision, forms_for(bundle, None))
            bundle = Bundle.open(place)
        start = time.perf_counter()
        open_backend(bundle, backend, options).close()
        building = {'engine_s': time.perf_counter() - start}
    images = jpegs()
    contender = Contender(bundle, backend, options, decode(images[0]))
    try:
        for i in range(runs):
            contender.process(images[i % len(images)])
        result = contender.result()
    finally:
        contender.close()
    device = {} if result.device_mib is None else {'device_mib': result.device_mib}
    return {**{f'{key}_ms': value for key, value in result.latency_ms.items()},
            'frames_per_s': result.frames_per_s, 'runs': runs,
            **{f'{stage}_ms': value for stage, value in result.stages_ms.items()},
            **building, 'load_s': result.load_s, 'host_mib': result.host_mib, **device,
            'deviation': result.deviation, 'description': result.description}


@functools.cache
def jpegs() -> tuple[np.ndarray, ...]:
    """Return compressed images of a camera, uint8 (n,) each."""
    return tuple(cv2.imencode('.jpg', image[..., ::-1])[1] for image in scenes(CAMERA, _FRAMES))
