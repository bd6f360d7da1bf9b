# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The runner against stand-ins that do work as late, and refuse as much, as a GPU may."""

from __future__ import annotations

import threading

from fake_cuda import cudaError_t, FakeCuda, MIB, ORIN
from fake_tensorrt import fake_tensorrt, HEADER
import numpy as np
import pytest
from vl4ad_ros.bundle import BundleError
from vl4ad_ros.bundle.reference import load_reference, measure
from vl4ad_ros.inference.errors import BackendError, DeviceMemoryError, FatalBackendError
from vl4ad_ros.inference.tensorrt.cuda import Device
from vl4ad_ros.inference.tensorrt.library import Library
from vl4ad_ros.inference.tensorrt.runner import EngineRunner


@pytest.fixture
def plan(engine_bundle):
    return HEADER + b'x'.ljust(40) + (engine_bundle.directory / 'vision.gather.onnx').read_bytes()


@pytest.fixture
def trt(cuda):
    return fake_tensorrt(cuda)


@pytest.fixture
def runner(trt, plan, engine_bundle):
    runner = EngineRunner(Library(trt), plan, engine_bundle, 'x.onnx', ORIN)
    yield runner
    runner.close()


@pytest.fixture
def inputs(engine_bundle):
    """Return what a detector passes: an image, and prompts that are read-only."""
    reference = load_reference(engine_bundle)
    texts = list(reference.texts.values())
    for array in texts:
        array.setflags(write=False)
    return [reference.images[0], *texts]


def test_agrees_with_the_reference(runner, engine_bundle):
    assert runner.graph_problem == ''
    assert measure(load_reference(engine_bundle), runner.run).uncertainty < 1e-4


def test_order_of_a_run(runner, cuda, inputs):
    runner.run(*inputs)
    cuda.calls.clear()
    runner.run(*inputs)
    # One upload, for the image: the prompts are the same arrays as before.
    assert cuda.calls == [
        'cudaSetDevice', 'cudaEventRecord', 'cudaMemcpyAsync', 'cudaEventRecord',
        'cudaGraphLaunch', 'cudaEventRecord', *['cudaMemcpyAsync'] * 4, 'cudaEventRecord',
        'cudaEventSynchronize', *['cudaEventElapsedTime'] * 3]
    assert list(runner.stages) == ['upload', 'network', 'download']
    assert all(ms > 0 for ms in runner.stages.values())


def test_captures_once_and_never_rebinds(runner, cuda, trt, inputs):
    addresses = trt.counts.addresses
    assert addresses == 9
    for _ in range(5):
        runner.run(*inputs)
    assert cuda.calls.count('cudaStreamBeginCapture') == 1
    assert trt.counts.addresses == addresses
    assert cuda.calls.count('cudaMalloc') == cuda.calls.count('cudaHostAlloc') == 9


def test_new_prompts_are_uploaded_and_count(runner, cuda, inputs):
    before = runner.run(*inputs)
    other = -inputs[1]
    other.setflags(write=False)
    changed = [inputs[0], other, *inputs[2:]]
    cuda.calls.clear()
    after = runner.run(*changed)
    assert cuda.calls.count('cudaMemcpyAsync') == 2 + 4
    assert np.abs(after[0] - before[0]).max() > 0.1
    np.testing.assert_array_equal(runner.run(*inputs)[0], before[0])


def test_arrays_that_may_change_in_place_are_always_uploaded(runner, inputs):
    writable = inputs[1].copy()
    arguments = [inputs[0], writable, *inputs[2:]]
    before = runner.run(*arguments)[0]
    writable *= -1
    assert np.abs(runner.run(*arguments)[0] - before).max() > 0.1


def test_results_belong_to_the_caller(runner, inputs):
    first = runner.run(*inputs)
    kept = [array.copy() for array in first]
    runner.run(np.zeros_like(inputs[0]), *inputs[1:])
    for array, copy in zip(first, kept):
        np.testing.assert_array_equal(array, copy)
        assert array.flags.owndata and array.flags.writeable


def test_any_one_thread_at_a_time(trt, plan, engine_bundle, inputs, monkeypatch):
    cuda = FakeCuda(device=1).install(monkeypatch)  # refuses calls for another GPU than 1
    trt = fake_tensorrt(cuda)
    runner = EngineRunner(Library(trt), plan, engine_bundle, 'x.onnx',
                          Device(1, 'Orin', '8.7', 16, ''))
    results = []
    threads = [threading.Thread(target=lambda: results.append(runner.run(*inputs)))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    other = threading.Thread(target=runner.close)
    other.start()
    other.join()
    assert not cuda.live


def test_close_waits_for_a_run(runner, inputs, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()
    wait = runner._gpu.wait

    def slow(event):
        entered.set()
        assert go_on.wait(10)
        wait(event)
    monkeypatch.setattr(runner._gpu, 'wait', slow)
    results = []
    running = threading.Thread(target=lambda: results.append(runner.run(*inputs)))
    running.start()
    assert entered.wait(10)
    closing = threading.Thread(target=runner.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    go_on.set()
    running.join()
    closing.join()
    assert results[0][0].std() > 0.1


def test_close_frees_everything(runner, cuda, inputs):
    before = cuda.unused
    assert runner.device_memory() > before - cuda.unused
    runner.close()
    assert not cuda.live
    runner.close()
    assert runner.device_memory() == 0
    with pytest.raises(BackendError, match='closed; open'):
        runner.run(*inputs)


def test_without_a_cuda_graph_it_runs_and_says_so(cuda, plan, engine_bundle):
    trt = fake_tensorrt(cuda)
    trt.faults.capture = False
    runner = EngineRunner(Library(trt), plan, engine_bundle, 'x.onnx', ORIN)
    assert 'operation not permitted when capturing' in runner.graph_problem
    assert measure(load_reference(engine_bundle), runner.run).uncertainty < 1e-4
    assert 'cudaGraphLaunch' not in cuda.calls
    runner.close()
    assert not cuda.live


@pytest.mark.parametrize('change, seen', [
    (lambda a: [a[0][:-1], *a[1:]], 'image must be uint8'),
    (lambda a: [a[0].astype(np.float32), *a[1:]], 'image must be uint8'),
    (lambda a: [a[0], a[1], a[2].astype(np.int32), *a[3:]], 'concept_class must be int64'),
    (lambda a: [*a[:3], np.int64([1, 2]), a[4]], 'num_known must be int64')])
def test_wrong_inputs(runner, inputs, change, seen):
    with pytest.raises(BackendError, match=seen):
        runner.run(*change(inputs))
    runner.run(*inputs)


def test_an_engine_that_does_not_fit_the_manifest(cuda, trt, plan, engine_bundle, monkeypatch):
    monkeypatch.setattr(trt.ICudaEngine, 'get_tensor_location',
                        lambda self, name: trt.TensorLocation.HOST)
    with pytest.raises(BundleError, match='num_known int64 on the host'):
        EngineRunner(Library(trt), plan, engine_bundle, 'x.onnx', ORIN)
    assert not cuda.live


def test_a_plan_that_does_not_load(cuda, trt, engine_bundle):
    with pytest.raises(BackendError, match='does not load the engine: ERROR: Magic tag'):
        EngineRunner(Library(trt), b'something', engine_bundle, 'x.onnx', ORIN)
    assert not cuda.live


def test_out_of_memory_for_a_buffer(trt, plan, engine_bundle, monkeypatch):
    cuda = FakeCuda(free=20_000).install(monkeypatch)
    with pytest.raises(DeviceMemoryError, match='needed 1 MiB, free 0 MiB.*--input-size'):
        EngineRunner(Library(fake_tensorrt(cuda)), plan, engine_bundle, 'x', ORIN)
    assert not cuda.live


def test_out_of_memory_for_activations(cuda, trt, plan, engine_bundle):
    trt.faults.bytes_needed = 5000 * MIB
    with pytest.raises(DeviceMemoryError, match='needed 5000 MiB, free 1024 MiB.*OutOfMemory'):
        EngineRunner(Library(trt), plan, engine_bundle, 'x', ORIN)
    assert not cuda.live


@pytest.mark.parametrize('error', ['cudaErrorIllegalAddress', 'cudaErrorAssert',
                                   'cudaErrorLaunchFailure', 'cudaErrorECCUncorrectable'])
@pytest.mark.parametrize('function', ['cudaEventSynchronize', 'cudaGraphLaunch'])
def test_an_error_that_stays(runner, cuda, inputs, error, function):
    cuda.failures[function] = cudaError_t[error]
    with pytest.raises(FatalBackendError, match=f'{error}.*start it again'):
        runner.run(*inputs)
    with pytest.raises(FatalBackendError):
        runner.run(*inputs)
    runner.close()
    assert not cuda.live


def test_an_error_that_passes(runner, cuda, inputs):
    expected = runner.run(*inputs)[0]
    cuda.failures['cudaMemcpyAsync'] = cudaError_t.cudaErrorInvalidValue
    with pytest.raises(BackendError) as caught:
        runner.run(*inputs)
    assert type(caught.value) is BackendError
    np.testing.assert_array_equal(runner.run(*inputs)[0], expected)


def test_prompts_of_a_failed_run_are_uploaded_again(runner, cuda, inputs):
    expected = runner.run(*inputs)[0]
    other = -inputs[1]
    other.setflags(write=False)
    cuda.failures['cudaEventSynchronize'] = cudaError_t.cudaErrorInvalidValue
    with pytest.raises(BackendError):
        runner.run(inputs[0], other, *inputs[2:])
    cuda.calls.clear()
    np.testing.assert_array_equal(runner.run(*inputs)[0], expected)
    assert cuda.calls.count('cudaMemcpyAsync') == 5 + 4


def test_a_failed_execution_is_told_apart(cuda, trt, plan, engine_bundle):
    trt.faults.execute = cudaError_t.cudaErrorIllegalAddress
    with pytest.raises(FatalBackendError, match='does not run the engine.*IllegalAddress'):
        EngineRunner(Library(trt), plan, engine_bundle, 'x', ORIN)


def test_two_runners_share_a_gpu(runner, trt, plan, engine_bundle, inputs, cuda):
    second = EngineRunner(Library(trt), plan, engine_bundle, 'x.onnx', ORIN)
    expected = runner.run(*inputs)
    runner.close()
    np.testing.assert_array_equal(second.run(*inputs)[0], expected[0])
    second.close()
    assert not cuda.live
