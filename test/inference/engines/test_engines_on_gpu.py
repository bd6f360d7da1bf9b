# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The real thing, where there is a GPU with cuda-python and TensorRT.

These tests have never run: no GPU was there when they were written.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from vl4ad_ros import cli
from vl4ad_ros.bundle import Bundle, is_name
from vl4ad_ros.bundle.reference import excess, load_reference, measure
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.tensorrt.backend import open_backend, unavailable
from vl4ad_ros.inference.tensorrt.cuda import Gpu, MIB
from vl4ad_ros.inference.tensorrt.library import load_library
from vl4ad_ros.inference.tensorrt.obtain import Engines

RUNS = 200


@pytest.fixture(scope='module')
def gpu():
    """Skip where engines cannot be used."""
    if reason := unavailable(BackendOptions()):
        pytest.skip(f'needs an NVIDIA GPU with TensorRT: {reason}')


@pytest.fixture(scope='module', params=['colours', 'tiny'])
def bundle(gpu, request, engine_bundle, tmp_path_factory):
    """Return a bundle with reference frames and with graphs for a GPU."""
    if request.param == 'colours':
        return engine_bundle
    if not is_name('tiny'):
        pytest.skip("the bundle 'tiny' is not installed; run: pip install . ./workshop")
    pytest.importorskip('torch', reason='needs torch, to export graphs for a GPU; run: pip '
                        "install ./'workshop[torch]'")
    directory = tmp_path_factory.mktemp('exported') / 'tiny'
    assert cli.main(['export', 'tiny', '--dtype', 'fp16', '--out', str(directory)]) == 0
    return Bundle.open(directory)


@pytest.fixture(scope='module')
def options(bundle, tmp_path_factory):
    """Return options with a folder that holds the bundle's engine, built now."""
    options = BackendOptions(cache_dir=tmp_path_factory.mktemp('engines'), threads=1)
    Engines(load_library(), bundle, options, print, print).build()
    return options


def test_agrees_with_the_reference(bundle, options):
    with closing(open_backend(bundle, options)) as backend:
        dtype = bundle.graphs_for('auto')[0].dtype
        assert excess(measure(load_reference(bundle), backend.run), dtype) == ''
        assert 'WITHOUT' not in backend.description
        assert all(ms >= 0 for ms in backend.stages.values())


def test_holds_no_more_memory_after_many_runs(bundle, options):
    reference = load_reference(bundle)
    texts = tuple(reference.texts.values())
    with closing(Gpu(0)) as gpu, closing(open_backend(bundle, options)) as backend:
        free = gpu.free_memory()
        for i in range(RUNS):
            last = backend.run(reference.images[i % len(reference.images)], *texts)
        assert abs(gpu.free_memory() - free) < 8 * MIB
        assert np.isfinite(last[0]).all()


def test_close_gives_the_memory_back(bundle, options):
    with closing(Gpu(0)) as gpu:
        open_backend(bundle, options).close()  # CUDA's own context and kernels stay
        free = gpu.free_memory()
        for _ in range(5):
            open_backend(bundle, options).close()
        assert abs(gpu.free_memory() - free) < 8 * MIB


def test_two_detectors(bundle, options):
    image = load_reference(bundle).images[0]
    detectors = [Detector.open(bundle.directory, 'tensorrt', options) for _ in range(2)]
    first, second = (detector.detect(image, detector.encode(detector.default_vocabulary))
                     for detector in detectors)
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)
    detectors[0].close()
    again = detectors[1].detect(image, detectors[1].encode(detectors[1].default_vocabulary))
    np.testing.assert_array_equal(again.uncertainty, second.uncertainty)
    detectors[1].close()
