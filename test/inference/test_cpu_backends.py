# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Backends on a CPU give the answers of the reference frames of bundles; needs no GPU.

PyTorch wrote these answers. test/workshop/network compares the backends with PyTorch itself. Most
tests take the small bundle `tiny` of vl4ad_workshop, and are skipped where it is not installed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
import re
import shutil
import subprocess
import sys

from mock_bundle import make_version_2_0
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle, BundleError, is_name
from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.bundle.manifest import Graph
from vl4ad_ros.bundle.prompt_encoder import PromptEncoder
from vl4ad_ros.bundle.reference import load_reference, Maps, other_classes, Reference, TEXT_INPUTS
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.inference.backend import Backend, BackendOptions
from vl4ad_ros.inference.cuda_provider_errors import cuda_error, STICKY_NUMBERS
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.prompts.vocabulary import Vocabulary

openvino = pytest.importorskip('vl4ad_ros.inference.openvino', exc_type=ImportError)
onnxruntime = pytest.importorskip('vl4ad_ros.inference.onnxruntime', exc_type=ImportError)

OPTIONS = BackendOptions(threads=1)
FP32 = BackendOptions(threads=1, precision='fp32')
CUDA = BackendOptions(threads=1, device=15, onnxruntime_provider='cuda')
OPEN = {
    'openvino': lambda bundle: openvino.open_backend(bundle, OPTIONS),
    'onnxruntime': lambda bundle: onnxruntime.open_backend(bundle, OPTIONS),
    # The code of the CUDA provider, with its tensors on the CPU.
    'onnxruntime-bound': lambda bundle: onnxruntime.OnnxRuntimeCuda(bundle, FP32, 'cpu'),
}
# Largest difference of the uncertainty, which is -1 to 0, and largest share of cells with another
# best class, which may differ where two classes tie up to rounding.
TOLERANCE, OTHER_CELLS = 5e-5, 1e-3
SIGNALLED = """
import os, signal
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.backend import open_backend
signal.signal(signal.SIGUSR1, lambda number, frame: print('signal', number))
bundle = Bundle.open('tiny')
for _ in range(3):
    first, second = open_backend(bundle, 'openvino'), open_backend(bundle, 'openvino')
    first.close()
    second.close()
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.fixture(scope='module')
def bundle():
    """Return a small bundle whose weights are trained."""
    if not is_name('tiny'):
        pytest.skip("the bundle 'tiny' is not installed; run: pip install . ./workshop")
    return Bundle.open('tiny')


@pytest.fixture(scope='module')
def reference(bundle) -> Reference:
    """Return the reference frames of the bundle."""
    return load_reference(bundle)


@pytest.fixture(scope='module', params=OPEN)
def backend(request, bundle):
    """Return each backend in turn."""
    backend = OPEN[request.param](bundle)
    yield backend
    backend.close()


def encoded(bundle: Bundle, backend: Backend, vocabulary: Vocabulary) -> list[np.ndarray]:
    """Return the text inputs of a vocabulary, from the text network of `backend`."""
    text = bundle.text
    prompts = PromptEncoder(bundle, Tokenizer(
        bundle.directory / bundle.tokenizer, text.context_length, text.sot, text.eot, text.pad),
        backend.encode_text)(vocabulary)
    return [getattr(prompts, name) for name in TEXT_INPUTS]


@pytest.fixture(scope='module')
def prompts(bundle, reference) -> list[list[np.ndarray]]:
    """Return the text inputs of two vocabularies: the reference's, and a short one."""
    long = [reference.texts[name] for name in TEXT_INPUTS]
    for array in long:
        array.setflags(write=False)
    backend = onnxruntime.open_backend(bundle, OPTIONS)
    short = encoded(bundle, backend, Vocabulary.from_strings(
        ['road: road, asphalt', 'sky', 'car'], ['']))
    backend.close()
    return [long, short]


@pytest.fixture(scope='module')
def answers(bundle, reference, prompts) -> tuple[Maps, Maps]:
    """Return the answers for the first frame with either vocabulary."""
    backend = onnxruntime.open_backend(bundle, OPTIONS)
    short = backend.run(reference.images[0], *prompts[1])
    backend.close()
    return reference.answers[0], short


def assert_agree(seen: Maps, expected: Maps, what: object = '') -> None:
    """Compare two answers within the stated tolerance."""
    for a, b in zip(seen, expected):
        assert a.dtype == b.dtype and a.shape == b.shape
    for name in ('uncertainty', 'anomaly_mass'):
        a, b = getattr(seen, name), getattr(expected, name)
        assert np.isfinite(a).all(), what
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE, err_msg=f'{name} {what}')
    assert max(other_classes(seen, expected)) <= OTHER_CELLS, what


def test_backends_agree_with_the_reference_frames(backend, reference, prompts):
    for index, (frame, expected) in enumerate(zip(reference.images, reference.answers)):
        assert_agree(backend.run(frame, *prompts[0]), expected, index)


@pytest.mark.parametrize('name', ['openvino', 'onnxruntime'])
def test_backends_agree_with_the_reference_frames_of_the_shipped_bundle(name):
    shipped = Bundle.open(DEFAULT)
    reference = load_reference(shipped)
    texts = [reference.texts[name] for name in TEXT_INPUTS]
    with closing(OPEN[name](shipped)) as backend:
        for index, (frame, expected) in enumerate(zip(reference.images, reference.answers)):
            assert_agree(backend.run(frame, *texts), expected, index)


def test_embeddings_agree_with_the_reference_frames(backend, bundle, reference):
    for seen, name in zip(encoded(bundle, backend, bundle.vocabulary), TEXT_INPUTS):
        np.testing.assert_allclose(seen, reference.texts[name], atol=1e-4, err_msg=name)


def test_mass_is_that_of_anomaly_prompts(backend, prompts, reference):
    long, short = (backend.run(reference.images[0], *p) for p in prompts)
    assert long.anomaly_mass.min() >= 0 and long.anomaly_mass.max() > 0.5
    assert not short.anomaly_mass.any() and (short.best_anomaly == -1).all()  # without any


def test_version_2_0_opens_and_gives_no_mass(bundle, reference, prompts, tmp_path):
    directory = Path(shutil.copytree(bundle.directory, tmp_path / 'old'))
    make_version_2_0(directory)
    old = Bundle.open(directory)
    expected = reference.answers[0]
    for open_old in OPEN.values():
        backend = open_old(old)
        maps = backend.run(reference.images[0], *prompts[0])
        backend.close()
        assert maps.anomaly_mass is None
        assert_agree(maps._replace(anomaly_mass=expected.anomaly_mass), expected)


def test_agreement_would_see_a_difference(reference):
    with pytest.raises(AssertionError):
        assert_agree(*reference.answers[:2])


@pytest.mark.parametrize('writable', [False, True])
def test_prompts_may_change_between_calls(backend, prompts, reference, answers, writable):
    frame = reference.images[0]
    long, short = answers
    assert np.abs(long[0] - short[0]).max() > 0.1
    if not writable:
        for index in (0, 1, 1, 0):
            assert_agree(backend.run(frame, *prompts[index]), answers[index])
    else:  # the same arrays with another content
        arrays = [p.copy() for p in prompts[0]]
        assert_agree(backend.run(frame, *arrays), long)
        for array, content in zip(arrays, prompts[1]):
            array[...] = content
        assert_agree(backend.run(frame, *arrays), short)


def test_answers_belong_to_the_caller(backend, prompts, reference):
    first = backend.run(reference.images[0], *prompts[0])
    kept = [value.copy() for value in first]
    backend.run(reference.images[1], *prompts[0])
    for value, expected in zip(first, kept):
        np.testing.assert_array_equal(value, expected)
        value[...] = 0  # and may be written


def test_stages_are_measured(backend, prompts, reference):
    backend.run(reference.images[0], *prompts[0])
    assert backend.stages['network'] > 0.1


def test_wrong_shape_is_refused_and_the_next_frame_works(backend, prompts, reference):
    frame = reference.images[1]
    with pytest.raises(BackendError, match='failed on|failed:'):
        backend.run(frame[:-1], *prompts[0])
    assert_agree(backend.run(frame, *prompts[0]), reference.answers[1])


@pytest.mark.parametrize('name', OPEN)
def test_closed_backend_says_so(bundle, prompts, reference, name):
    backend, frame = OPEN[name](bundle), reference.images[0]
    backend.run(frame, *prompts[0])
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match='closed; open the detector again'):
        backend.run(frame, *prompts[0])
    with pytest.raises(BackendError, match='closed; open the detector again'):
        backend.encode_text(np.zeros((1, 4), np.int64))


def test_two_backends_at_once(bundle, prompts, reference):
    backends = [OPEN[name](bundle) for name in ('openvino', 'onnxruntime', 'openvino')]
    try:
        with ThreadPoolExecutor(len(backends)) as pool:
            for seen in pool.map(
                    lambda b: [b.run(f, *prompts[0]) for f in reference.images], backends):
                for answer, expected in zip(seen, reference.answers):
                    assert_agree(answer, expected)
    finally:
        for backend in backends:
            backend.close()


def resident() -> int:
    """Return the bytes of this process in memory."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc')
def test_memory_does_not_grow(backend, prompts, reference):
    frame = reference.images[0]
    for i in range(20):
        backend.run(frame, *prompts[i % 2])
    before = resident()
    for i in range(100):
        backend.run(frame, *prompts[i % 2])
    assert resident() - before < 4 * 2 ** 20  # a leak of one output a run would be 4.6 MB


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc')
@pytest.mark.parametrize('name', OPEN)
def test_close_frees_the_networks(bundle, prompts, reference, name):
    frame, sizes = reference.images[0], []
    for _ in range(8):
        backend = OPEN[name](bundle)
        backend.run(frame, *prompts[0])
        backend.close()
        sizes.append(resident())
    assert sizes[-1] - sizes[3] < 40 * 2 ** 20  # one that is kept takes 60 MB or more


def test_signals_still_arrive_when_backends_have_come_and_gone(bundle):
    """In a process of its own, which a freed signal stack would end."""
    done = subprocess.run([sys.executable, '-c', SIGNALLED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'signal 10\n'), done.stderr


@pytest.mark.parametrize('said, kind, words', [
    ('CUDA failure 2: out of memory ; GPU=0', 'DeviceMemoryError', 'needed unknown, free 7 MiB'),
    ('Failed to allocate memory for requested buffer of size 52428800', 'DeviceMemoryError',
     'needed 50 MiB, free 7 MiB'),
    ('CUDA failure 700: an illegal memory access was encountered', 'FatalBackendError',
     'start it again'),
    ('CUDA failure 1: invalid argument', 'BackendError', 'CUDA failure 1'),
])
def test_messages_of_the_cuda_provider_are_told_apart(said, kind, words):
    error = cuda_error(said, '1.30.0', 0, 7 << 20)
    assert type(error).__name__ == kind
    assert words in str(error)


def test_sticky_numbers_are_those_of_the_names():
    runtime = pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')
    from vl4ad_ros.inference.tensorrt.cuda import STICKY
    numbers = {int(getattr(runtime.cudaError_t, name)) for name in STICKY
               if hasattr(runtime.cudaError_t, name)}
    assert STICKY_NUMBERS == numbers


def test_absent_gpu_is_named_with_the_cure():
    reason = onnxruntime.unavailable(CUDA)
    assert re.search('CUDA provider.*pip install onnxruntime-gpu|NVIDIA driver|no GPU', reason)
    assert onnxruntime.unavailable(OPTIONS) == ''


def test_cuda_provider_that_does_not_load_is_no_silent_cpu(bundle):
    # This build has only the CPU provider, which the library takes instead of the one asked for.
    if 'CUDAExecutionProvider' in onnxruntime.onnxruntime.get_available_providers():
        pytest.skip('this onnxruntime has the CUDA provider')
    with pytest.warns(UserWarning), pytest.raises(BackendError, match='does not load'):
        onnxruntime.open_backend(bundle, CUDA)


@pytest.mark.parametrize('sampling, refused', [('plugin', True), ('gather', False)])
def test_graphs_with_a_plugin_are_left_to_tensorrt(bundle, sampling, refused):
    graphs = [Graph('vision.fp16.onnx', 'fp16', sampling),
              Graph('vision.onnx', 'fp32', 'grid-sample')]
    bundle = replace(bundle, vision=replace(bundle.vision, graphs=tuple(graphs)))
    if refused:
        with pytest.raises(BundleError, match='for TensorRT only; run: vl4ad export .* gather'):
            onnxruntime._graph_without_plugin(bundle, 'fp16')
    else:
        assert onnxruntime._graph_without_plugin(bundle, 'auto') == graphs[0]
