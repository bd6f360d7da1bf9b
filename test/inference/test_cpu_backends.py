# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every backend that runs on a CPU agrees with PyTorch on trained weights; needs torch, no GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import importlib
from pathlib import Path
import shutil
import subprocess
import sys

from mock_bundle import make_version_2_0
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import load_reference, other_classes, TEXT_INPUTS
from vl4ad_ros.inference.backend import BackendOptions, REGISTRY
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.scenes.still import draw_still

backend_module = pytest.importorskip('vl4ad_workshop.network.torch_backend', exc_type=ImportError)
openvino = pytest.importorskip('vl4ad_ros.inference.openvino', exc_type=ImportError)
onnxruntime = pytest.importorskip('vl4ad_ros.inference.onnxruntime', exc_type=ImportError)
onnxruntime_cuda = importlib.import_module('vl4ad_ros.inference.onnxruntime_cuda')

OPTIONS = BackendOptions(threads=1)
FP32 = BackendOptions(threads=1, precision='fp32')
OPEN = {
    'openvino': lambda bundle: openvino.open_backend(bundle, OPTIONS),
    'onnxruntime': lambda bundle: onnxruntime.open_backend(bundle, OPTIONS),
    # The way over device tensors, with those of the CPU.
    'onnxruntime-bound': lambda bundle: onnxruntime_cuda.OnnxRuntimeCuda(bundle, FP32, 'cpu'),
}
# Of the uncertainty, which is -1..0; share of cells whose best class may differ, where two tie to
# rounding.
TOLERANCE, OTHER_CELLS = 5e-5, 1e-3
# Over a flat frame masks lie at their threshold, and rounding decides what a layer attends to.
FLAT_TOLERANCE, FLAT_OTHER_CELLS = 1e-2, 2e-2
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
    """Return the shipped bundle, whose weights are trained."""
    return Bundle.open('tiny')


@pytest.fixture(scope='module')
def torch_backend(bundle):
    """Return the network itself, eager."""
    import torch
    if torch.cuda.is_available():
        pytest.skip('compares CPUs, and PyTorch would take the GPU')
    backend = backend_module.open_backend(bundle, OPTIONS)
    yield backend
    backend.close()


@pytest.fixture(scope='module', params=OPEN)
def backend(request, bundle):
    """Return each backend in turn."""
    backend = OPEN[request.param](bundle)
    yield backend
    backend.close()


@pytest.fixture(scope='module')
def prompts(bundle, torch_backend):
    """Return the text inputs of two vocabularies: the bundle's, and a short one."""
    from vl4ad_ros.bundle.prompt_encoder import PromptEncoder
    from vl4ad_ros.bundle.tokenizer import Tokenizer
    text = bundle.text
    encoder = PromptEncoder(bundle, Tokenizer(
        bundle.directory / bundle.tokenizer, text.context_length, text.sot, text.eot, text.pad),
        torch_backend.encode_text)
    short = Vocabulary.from_strings(['road: road, asphalt', 'sky', 'car'], [''])
    return [[getattr(encoder(v), name) for name in TEXT_INPUTS]
            for v in (bundle.vocabulary, short)]


def frames(bundle: Bundle) -> dict[str, np.ndarray]:
    """Return drawn scenes and frames that leave queries without a pixel, at network size."""
    size = (bundle.vision.height, bundle.vision.width)
    drawn = [draw_still(np.random.default_rng(seed), (360, 640)).image for seed in (5, 6)]
    box = Letterbox((360, 640), size, bundle.vision.stride)
    return {
        **{f'drawn {i}': box.to_network(image, bundle.padding_rgb)
           for i, image in enumerate(drawn)},
        'grey': np.full((*size, 3), 128, np.uint8), 'black': np.zeros((*size, 3), np.uint8),
        'white': np.full((*size, 3), 255, np.uint8),
        'noise': np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)}


def assert_agree(seen, expected, what=''):
    """Compare two answers within the stated tolerance."""
    for a, b in zip(seen, expected):
        assert a.dtype == b.dtype and a.shape == b.shape
    atol, cells = ((FLAT_TOLERANCE, FLAT_OTHER_CELLS) if what in ('grey', 'black', 'white') else
                   (TOLERANCE, OTHER_CELLS))
    for name in ('uncertainty', 'anomaly_mass'):
        a, b = getattr(seen, name), getattr(expected, name)
        assert np.isfinite(a).all(), what
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=f'{name} {what}')
    assert max(other_classes(seen, expected)) <= cells, what


def test_backends_agree_with_torch(backend, torch_backend, prompts, bundle):
    for what, frame in frames(bundle).items():
        assert_agree(backend.run(frame, *prompts[0]), torch_backend.run(frame, *prompts[0]), what)


def test_mass_is_that_of_anomaly_prompts(backend, prompts, bundle):
    frame = load_reference(bundle).images[0]
    long, short = (backend.run(frame, *p) for p in prompts)
    assert long.anomaly_mass.min() >= 0 and long.anomaly_mass.max() > 0.5
    assert not short.anomaly_mass.any() and (short.best_anomaly == -1).all()  # without any


def test_version_2_0_opens_and_gives_no_mass(bundle, torch_backend, prompts, tmp_path):
    directory = Path(shutil.copytree(bundle.directory, tmp_path / 'old'))
    make_version_2_0(directory)
    old = Bundle.open(directory)
    frame = frames(bundle)['drawn 0']
    expected = torch_backend.run(frame, *prompts[0])
    for open_old in (*OPEN.values(), lambda b: backend_module.open_backend(b, OPTIONS)):
        backend = open_old(old)
        maps = backend.run(frame, *prompts[0])
        backend.close()
        assert maps.anomaly_mass is None
        assert_agree(maps._replace(anomaly_mass=expected.anomaly_mass), expected)


def test_agreement_would_see_a_difference(torch_backend, prompts, bundle):
    drawn = list(frames(bundle).values())[:2]
    answers = [torch_backend.run(frame, *prompts[0]) for frame in drawn]
    with pytest.raises(AssertionError):
        assert_agree(*answers)


def test_embeddings_agree_with_torch(backend, torch_backend, bundle):
    rng = np.random.default_rng(0)
    for rows, length in ((1, 4), (5, 9), (2, bundle.text.context_length)):
        tokens = rng.integers(1, bundle.text.sot, (rows, length))
        tokens[:, 0], tokens[:, -1] = bundle.text.sot, bundle.text.eot
        np.testing.assert_allclose(
            backend.encode_text(tokens), torch_backend.encode_text(tokens), atol=1e-4)


@pytest.mark.parametrize('writable', [False, True])
def test_prompts_may_change_between_calls(backend, torch_backend, prompts, bundle, writable):
    frame = frames(bundle)['drawn 0']
    long, short = (torch_backend.run(frame, *p) for p in prompts)
    assert np.abs(long[0] - short[0]).max() > 0.1
    if not writable:
        for index in (0, 1, 1, 0):
            assert_agree(backend.run(frame, *prompts[index]), (long, short)[index])
    else:  # the same arrays with another content
        arrays = [p.copy() for p in prompts[0]]
        assert_agree(backend.run(frame, *arrays), long)
        for array, content in zip(arrays, prompts[1]):
            array[...] = content
        assert_agree(backend.run(frame, *arrays), short)


def test_answers_belong_to_the_caller(backend, prompts, bundle):
    drawn = frames(bundle)
    first = backend.run(drawn['drawn 0'], *prompts[0])
    kept = [value.copy() for value in first]
    backend.run(drawn['noise'], *prompts[0])
    for value, expected in zip(first, kept):
        np.testing.assert_array_equal(value, expected)
        value[...] = 0  # and may be written


def test_stages_are_measured(backend, prompts, bundle):
    backend.run(frames(bundle)['grey'], *prompts[0])
    assert backend.stages['network'] > 0.1


def test_wrong_shape_is_refused_and_the_next_frame_works(backend, torch_backend, prompts, bundle):
    frame = frames(bundle)['drawn 1']
    for each in (backend, torch_backend):
        with pytest.raises(BackendError, match='failed on|failed:'):
            each.run(frame[:-1], *prompts[0])
    assert_agree(backend.run(frame, *prompts[0]), torch_backend.run(frame, *prompts[0]))


@pytest.mark.parametrize('name', [*OPEN, 'torch'])
def test_closed_backend_says_so(bundle, prompts, name):
    backend = {**OPEN, 'torch': lambda b: backend_module.open_backend(b, OPTIONS)}[name](bundle)
    frame = frames(bundle)['grey']
    backend.run(frame, *prompts[0])
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match='closed; open the detector again'):
        backend.run(frame, *prompts[0])
    with pytest.raises(BackendError, match='closed; open the detector again'):
        backend.encode_text(np.zeros((1, 4), np.int64))


def test_two_backends_at_once(bundle, prompts, torch_backend):
    drawn = {what: f for what, f in frames(bundle).items() if what.startswith('drawn')}
    expected = [torch_backend.run(f, *prompts[0]) for f in drawn.values()]
    backends = [OPEN[name](bundle) for name in ('openvino', 'onnxruntime')]
    backends.append(OPEN['openvino'](bundle))
    try:
        with ThreadPoolExecutor(len(backends)) as pool:
            for answers in pool.map(
                    lambda b: [b.run(f, *prompts[0]) for f in drawn.values()], backends):
                for seen, right in zip(answers, expected):
                    assert_agree(seen, right)
    finally:
        for backend in backends:
            backend.close()


def resident() -> int:
    """Return the bytes of this process in memory."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc')
def test_memory_does_not_grow(backend, prompts, bundle):
    frame = frames(bundle)['drawn 0']
    for i in range(20):
        backend.run(frame, *prompts[i % 2])
    before = resident()
    for i in range(100):
        backend.run(frame, *prompts[i % 2])
    assert resident() - before < 4 * 2 ** 20  # a leak of one output a run would be 4.6 MB


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc')
@pytest.mark.parametrize('name', OPEN)
def test_close_frees_the_networks(bundle, prompts, name):
    frame, sizes = frames(bundle)['grey'], []
    for _ in range(8):
        backend = OPEN[name](bundle)
        backend.run(frame, *prompts[0])
        backend.close()
        sizes.append(resident())
    assert sizes[-1] - sizes[3] < 40 * 2 ** 20  # one that is kept takes 60 MB or more


def test_signals_still_arrive_when_backends_have_come_and_gone():
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
    error = onnxruntime_cuda.cuda_error(said, 0, 7 << 20)
    assert type(error).__name__ == kind
    assert words in str(error)


def test_sticky_numbers_are_those_of_the_names():
    runtime = pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')
    from vl4ad_ros.inference.tensorrt.cuda import STICKY
    numbers = {int(getattr(runtime.cudaError_t, name)) for name in STICKY
               if hasattr(runtime.cudaError_t, name)}
    assert onnxruntime_cuda._STICKY == numbers


@pytest.mark.parametrize('name, words', [
    ('onnxruntime-cuda', 'CUDA provider|NVIDIA driver|no GPU'),
    ('torch-cuda', 'NVIDIA driver|no GPU'),
    ('openvino-gpu', 'no Intel GPU 15: OpenVINO sees')])
def test_absent_gpu_is_named_with_the_cure(name, words):
    import re
    reason = importlib.import_module(REGISTRY[name]).unavailable(BackendOptions(device=15))
    assert re.search(words, reason), reason


def test_cuda_provider_that_does_not_load_is_no_silent_cpu(bundle):
    # This build has the CPU provider alone, which the library takes instead of the one asked for.
    if 'CUDAExecutionProvider' in onnxruntime.onnxruntime.get_available_providers():
        pytest.skip('this onnxruntime has the CUDA provider')
    with pytest.warns(UserWarning), pytest.raises(BackendError, match='does not load'):
        onnxruntime_cuda.OnnxRuntimeCuda(bundle, OPTIONS)
