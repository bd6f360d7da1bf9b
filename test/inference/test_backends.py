# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choosing and running an inference library; needs onnxruntime and openvino, no GPU."""

from __future__ import annotations

import logging
from pathlib import Path
import shutil
import sys
import types

from mock_bundle import write_mock_bundle
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference import backend as backends
from vl4ad_ros.inference.backend import BackendOptions, build_command, open_backend, REMOVED
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable, EngineMissing


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
    with pytest.raises(BackendError, match="no backend 'caffe'; choose one of auto, tensorrt, "):
        open_backend(bundle, 'caffe')


@pytest.mark.parametrize('name', REMOVED)
def test_removed_backend_names_its_replacement(bundle, name):
    with pytest.raises(BackendUnavailable, match=f"'{name}' was removed in 0.2.0; use model.back"):
        open_backend(bundle, name)
    assert name not in backends.REGISTRY


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_absent_library_is_named_with_the_cure(bundle, monkeypatch, name):
    monkeypatch.delitem(sys.modules, backends.REGISTRY[name], raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=f"'{name}' cannot be used: .*pip install {name}"):
        open_backend(bundle, name)


def test_auto_takes_the_fastest_cpu_backend_and_says_why_not_those_before_it(
        bundle, monkeypatch, caplog):
    monkeypatch.setattr(backends, '_no_gpu', lambda device: 'no NVIDIA driver')
    monkeypatch.delitem(sys.modules, 'vl4ad_ros.inference.openvino', raising=False)
    for absent, chosen in (('', 'openvino'), ('openvino', 'onnxruntime')):
        lines = []
        if absent:
            monkeypatch.delitem(sys.modules, 'vl4ad_ros.inference.openvino')
            monkeypatch.setitem(sys.modules, absent, None)
        backend = open_backend(bundle, 'auto', BackendOptions(threads=1), lines.append)
        assert backend.name == chosen
        assert lines[0].startswith(f'backend {chosen} ')
        assert "the backend 'tensorrt' cannot be used: no NVIDIA driver" in lines[0]
        assert "'openvino' cannot be used" in lines[0] or not absent
        backend.close()
    assert not caplog.records  # a machine without a GPU is nothing to warn of


def test_no_backend_at_all_lists_why(bundle, monkeypatch):
    monkeypatch.setattr(backends, '_no_gpu', lambda device: 'no NVIDIA driver')
    for name in backends.CPU_BACKENDS:
        monkeypatch.delitem(sys.modules, backends.REGISTRY[name], raising=False)
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendUnavailable, match='no NVIDIA driver; .*openvino.*; .*onnxruntime'):
        open_backend(bundle)


class Gpu:
    """A stand-in for the TensorRT backend on a machine that has a GPU."""

    def __init__(self) -> None:
        self.reason, self.has_engine, self.built = '', True, False
        self.seen: list[BackendOptions] = []

    def unavailable(self, options: BackendOptions) -> str:
        return self.reason

    def open_backend(self, bundle: Bundle, options: BackendOptions) -> types.SimpleNamespace:
        self.seen.append(options)
        if not self.has_engine:
            if not options.build_if_missing:
                raise EngineMissing('there is no engine; run: vl4ad build /bundle')
            self.built = True
        return types.SimpleNamespace(name='tensorrt', description='tensorrt on a GPU')


@pytest.fixture
def gpu(monkeypatch) -> Gpu:
    """Return what stands in for TensorRT; there is a GPU, and an engine in the cache."""
    gpu = Gpu()
    module = types.ModuleType('gpu_backend')
    module.unavailable, module.open_backend = gpu.unavailable, gpu.open_backend
    monkeypatch.setitem(sys.modules, 'gpu_backend', module)
    monkeypatch.setitem(backends.REGISTRY, 'tensorrt', 'gpu_backend')
    monkeypatch.setattr(backends, '_no_gpu', lambda device: '')
    return gpu


def warnings_of(caplog) -> list[str]:
    """Return the messages at the level WARNING or above."""
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize('options', [
    BackendOptions(), BackendOptions(require_gpu=True), BackendOptions(build_if_missing=True)])
def test_auto_takes_tensorrt_if_an_engine_is_there(bundle, gpu, caplog, options):
    lines = []
    assert open_backend(bundle, 'auto', options, lines.append).name == 'tensorrt'
    assert lines == ['backend tensorrt on a GPU'] and gpu.seen == [options] and not gpu.built
    assert not warnings_of(caplog)


def test_auto_without_an_engine_takes_the_cpu_and_warns_with_the_command(bundle, gpu, caplog):
    gpu.has_engine = False
    backend = open_backend(bundle, 'auto', BackendOptions(threads=1))
    assert backend.name == 'openvino'
    [warning] = warnings_of(caplog)
    assert 'on the CPU although there is a GPU' in warning
    assert warning.endswith('run: vl4ad build /bundle')
    backend.close()


def test_auto_without_the_library_takes_the_cpu_and_warns_with_both_commands(bundle, gpu, caplog):
    gpu.reason = 'TensorRT cannot be imported; pip install tensorrt'
    open_backend(bundle, 'auto', BackendOptions(threads=1, device=2)).close()
    [warning] = warnings_of(caplog)
    assert 'pip install tensorrt' in warning
    assert warning.endswith(f'then run: vl4ad build {bundle.directory} --device 2')


def test_auto_builds_if_told_to_and_never_takes_the_cpu_then(bundle, gpu):
    gpu.has_engine = False
    options = BackendOptions(build_if_missing=True)
    assert open_backend(bundle, 'auto', options).name == 'tensorrt' and gpu.built
    gpu.reason = 'TensorRT cannot be imported; pip install tensorrt'
    with pytest.raises(BackendUnavailable, match='pip install tensorrt'):
        open_backend(bundle, 'auto', options)


def test_an_engine_that_fails_to_load_is_no_reason_for_the_cpu(bundle, gpu, monkeypatch):
    def fail(bundle: Bundle, options: BackendOptions) -> None:
        raise BackendError('out of memory')
    monkeypatch.setattr(sys.modules['gpu_backend'], 'open_backend', fail)
    with pytest.raises(BackendError, match='out of memory'):
        open_backend(bundle)


def test_a_required_gpu_makes_the_cpu_an_error(bundle, gpu, monkeypatch):
    options = BackendOptions(require_gpu=True)
    gpu.has_engine = False
    with pytest.raises(EngineMissing, match='run: vl4ad build'):
        open_backend(bundle, 'auto', options)
    gpu.reason = 'TensorRT cannot be imported; pip install tensorrt'
    with pytest.raises(BackendUnavailable, match='pip install tensorrt'):
        open_backend(bundle, 'auto', options)
    monkeypatch.setattr(backends, '_no_gpu', lambda device: 'no NVIDIA driver; install it')
    with pytest.raises(BackendUnavailable, match='require_gpu is true, but no NVIDIA driver'):
        open_backend(bundle, 'auto', options)


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_a_required_gpu_refuses_a_cpu_backend(bundle, name):
    with pytest.raises(BackendUnavailable, match=f"require_gpu is true, but the backend '{name}' "
                       'would .* on the CPU; use tensorrt after running: vl4ad build /'):
        open_backend(bundle, name, BackendOptions(require_gpu=True))


def test_the_cuda_provider_satisfies_a_required_gpu(bundle, monkeypatch):
    module = types.ModuleType('provider')
    module.unavailable = lambda options: ''
    module.open_backend = lambda bundle, options: types.SimpleNamespace(
        description=options.onnxruntime_provider)
    monkeypatch.setitem(sys.modules, 'provider', module)
    monkeypatch.setitem(backends.REGISTRY, 'onnxruntime', 'provider')
    options = BackendOptions(require_gpu=True, onnxruntime_provider='cuda')
    assert open_backend(bundle, 'onnxruntime', options).description == 'cuda'
    # `auto` falls back to ONNX Runtime, but on the CPU.
    monkeypatch.setattr(backends, 'CPU_BACKENDS', ('onnxruntime',))
    monkeypatch.setattr(backends, '_no_gpu', lambda device: 'no NVIDIA driver')
    assert open_backend(
        bundle, 'auto', BackendOptions(onnxruntime_provider='cuda')).description == 'cpu'
    with pytest.raises(BackendUnavailable, match='require_gpu'):
        open_backend(bundle, 'auto', options)


def test_build_command_repeats_what_is_not_the_default(bundle, monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: f'/bin/{name}')
    assert build_command(bundle, BackendOptions()) == f'vl4ad build {bundle.directory}'
    assert build_command(bundle, BackendOptions(
        threads=4, device=1, precision='fp16', cache_dir=Path('/my engines'))) == (
        f"vl4ad build {bundle.directory} --device 1 --precision fp16 --cache-dir '/my engines'")


def test_build_command_in_a_workspace_is_one_of_ros2_run(bundle, monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    assert build_command(bundle, BackendOptions()) == (
        f'ros2 run vl4ad_ros build_engine {bundle.directory}')


@pytest.mark.parametrize('values, reason', [
    ({'device': -1}, 'device must be 0 or more, not -1'),
    ({'precision': 'int8'}, "precision is 'int8'; choose one of auto, fp16"),
    ({'onnxruntime_provider': 'rocm'}, "provider is 'rocm'; choose one of cpu, cuda")])
def test_other_options_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        BackendOptions(**values)


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
