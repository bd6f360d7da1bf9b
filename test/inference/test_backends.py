# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choosing and running an inference library; needs onnxruntime and openvino, no GPU."""

from __future__ import annotations

import sys
import types

from mock_bundle import write_mock_bundle
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference import backend as backends
from vl4ad_ros.inference.backend import BackendOptions, open_backend
from vl4ad_ros.inference.errors import BackendError


@pytest.fixture(scope='module')
def bundle(mock_bundle) -> Bundle:
    """Return the opened mock bundle."""
    return Bundle.open(mock_bundle)


def inputs(bundle: Bundle) -> list[np.ndarray]:
    """Return zeros for the vision network."""
    return [np.zeros(t.shape, t.dtype) for t in bundle.vision_signature.inputs]


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_outputs_are_what_the_manifest_says(bundle, name):
    backend = open_backend(bundle, name, options=BackendOptions(threads=1))
    assert backend.name == name
    maps = backend.run(*inputs(bundle))
    assert bundle.vision_signature.output_names == maps._fields
    for value, expected in zip(maps, bundle.vision_signature.outputs):
        assert (value.dtype.name, value.shape) == (expected.dtype, expected.shape)
    assert backend.encode_text(np.zeros((3, 24), np.int64)).shape == (3, bundle.text.embed_dim)


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_version_2_0_gives_no_mass(bundle, tmp_path, name):
    old = Bundle.open(write_mock_bundle(tmp_path, minor=0))
    backend = open_backend(old, name, options=BackendOptions(threads=1))
    maps, newer = backend.run(*inputs(old)), open_backend(bundle, name).run(*inputs(bundle))
    assert maps.anomaly_mass is None
    for a, b in zip(maps[:3], newer[:3]):
        np.testing.assert_array_equal(a, b)


def test_unknown_backend_lists_the_others(bundle):
    with pytest.raises(BackendError, match="no backend 'caffe'; backends: auto, tensorrt"):
        open_backend(bundle, 'caffe')


@pytest.mark.parametrize('name, library', [
    ('onnxruntime', 'onnxruntime'), ('openvino', 'openvino'), ('openvino-gpu', 'openvino'),
    ('torch', 'torch')])
def test_absent_library_is_named_with_the_cure(bundle, monkeypatch, name, library):
    for module in list(sys.modules):
        if module.startswith('vl4ad_workshop.network') or module in backends.REGISTRY.values():
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BackendError, match=f'no backend can be used: .*pip install {library}'):
        open_backend(bundle, name)


def test_auto_takes_the_fastest_and_says_why_not_those_before_it(bundle, monkeypatch):
    monkeypatch.delitem(sys.modules, 'vl4ad_ros.inference.openvino', raising=False)
    for library, chosen in (('', 'openvino'), ('openvino', 'onnxruntime')):
        said = []
        if library:
            monkeypatch.delitem(sys.modules, 'vl4ad_ros.inference.openvino')
            monkeypatch.setitem(sys.modules, library, None)
        backend = open_backend(bundle, 'auto', BackendOptions(threads=1), said.append)
        assert backend.name == chosen
        assert said[0].startswith(f'backend {chosen} ') and 'not tensorrt, ' in said[0]


def test_auto_prefers_any_backend_of_a_gpu_that_is_there(bundle, monkeypatch):
    gpu = types.ModuleType('gpu_backend')
    gpu.unavailable = lambda options: ''
    gpu.open_backend = lambda bundle, options: types.SimpleNamespace(description='on a GPU')
    monkeypatch.setitem(sys.modules, 'gpu_backend', gpu)
    monkeypatch.setitem(backends.REGISTRY, 'torch-cuda', 'gpu_backend')
    monkeypatch.setattr(backends, '_no_gpu', lambda device: '')
    said = []
    open_backend(bundle, 'auto', BackendOptions(), said.append)
    assert said[0].startswith('backend on a GPU; not tensorrt (')
    assert 'not tensorrt-rtx (' in said[0] and 'not onnxruntime-cuda (' in said[0]
    assert set(backends.NVIDIA) < set(backends.AUTO) < set(backends.REGISTRY)


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match='threads must be at least 1, not 0'):
        BackendOptions(threads=0)


def test_failing_run_says_which_library(bundle):
    backend = open_backend(bundle, 'onnxruntime', BackendOptions(threads=1))
    image, *others = inputs(bundle)
    with pytest.raises(BackendError, match='onnxruntime .* failed'):
        backend.run(image[:-1], *others)
    assert np.isfinite(backend.run(image, *others).uncertainty).all()  # and works again


def test_closed_backend_says_so(bundle):
    backend = open_backend(bundle, 'onnxruntime', BackendOptions(threads=1))
    backend.close()
    with pytest.raises(BackendError, match='closed'):
        backend.run(*inputs(bundle))
    with pytest.raises(BackendError, match='closed'):
        backend.encode_text(np.zeros((1, 24), np.int64))
