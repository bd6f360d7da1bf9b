# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Looking for a GPU, and the wrapper's names and kinds of errors against the real bindings."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

from fake_cuda import cudaError_t, FakeCuda, MIB
import pytest
from vl4ad_ros.inference.errors import (
    BackendError, BackendUnavailable, DeviceMemoryError, FatalBackendError)
from vl4ad_ros.inference.tensorrt import cuda as wrapper

DRIVER = """
#include <string.h>
int cuInit(unsigned f) {{ return {init}; }}
int cuDriverGetVersion(int *v) {{ *v = 12060; return 0; }}
int cuDeviceGetCount(int *n) {{ *n = 2; return 0; }}
int cuDeviceGet(int *d, int i) {{ *d = i; return 0; }}
int cuDeviceGetName(char *s, int n, int d) {{ strcpy(s, d ? "second" : "first"); return 0; }}
int cuDeviceGetAttribute(int *v, int a, int d) {{
    *v = a == 75 ? 8 : a == 76 ? 7 + d : 16;
    return 0;
}}
"""
ASK = """
import sys
from vl4ad_ros.inference.tensorrt.cuda import find_device
print(find_device(int(sys.argv[1])))
"""


@pytest.fixture(scope='module')
def ask(tmp_path_factory):
    """Return a function that looks for GPU `index` where the driver is a stand-in."""
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler, for a stand-in of libcuda.so.1')

    def find(index: int, init: str = '0') -> str:
        folder = tmp_path_factory.mktemp('driver')
        (folder / 'driver.c').write_text(DRIVER.format(init=init))
        subprocess.run(['cc', '-shared', '-fPIC', '-w', '-o', folder / 'libcuda.so.1',
                        folder / 'driver.c', '-include', 'stdlib.h'], check=True)
        done = subprocess.run([sys.executable, '-c', ASK, str(index)], text=True,
                              capture_output=True, env={**os.environ, 'LD_LIBRARY_PATH': folder})
        return done.stdout + done.stderr
    return find


def test_a_gpu_is_found(ask):
    assert ("Device(index=1, name='second', compute_capability='8.8', multiprocessors=16, "
            "driver='CUDA 12.6") in ask(1)


@pytest.mark.parametrize('index, init, said', [
    (2, '0', 'no GPU 2: the driver shows 2'),
    (0, '100', 'finds no usable GPU: cuInit returned error 100; run nvidia-smi'),
    (0, '(abort(), 0)', 'finds no usable GPU: signal 6')])
def test_a_gpu_is_not_found(ask, index, init, said):
    assert 'BackendUnavailable: ' in ask(index, init) and said in ask(index, init)


def test_without_a_driver(monkeypatch):
    def missing(name):
        raise OSError(name)
    monkeypatch.setattr(wrapper.ctypes, 'CDLL', missing)
    with pytest.raises(BackendUnavailable, match='no NVIDIA driver.*install'):
        wrapper.find_device(0)


@pytest.mark.parametrize('name', ['cuda.bindings', 'cuda.bindings.utils'])
def test_without_cuda_python_or_with_an_old_one(monkeypatch, name):
    FakeCuda().install(monkeypatch)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'cuda-python>=12.9.1"):
        wrapper.Gpu(0)


@pytest.mark.parametrize('error, kind', [
    ('cudaErrorInvalidValue', BackendError), ('cudaErrorMemoryAllocation', DeviceMemoryError),
    ('cudaErrorIllegalAddress', FatalBackendError), ('cudaErrorAssert', FatalBackendError),
    ('cudaErrorECCUncorrectable', FatalBackendError)])
def test_kinds_of_errors(monkeypatch, error, kind):
    cuda = FakeCuda().install(monkeypatch)
    gpu = wrapper.Gpu(0)
    cuda.failures['cudaMalloc'] = cudaError_t[error]
    with pytest.raises(BackendError) as caught:
        gpu.allocate(3 * MIB - 1)
    assert type(caught.value) is kind
    assert error in str(caught.value) and 'cudaMalloc' in str(caught.value)
    if kind is DeviceMemoryError:
        assert 'needed 3 MiB, free 1024 MiB' in str(caught.value)


def test_a_failed_capture_leaves_the_stream_usable(monkeypatch):
    cuda = FakeCuda().install(monkeypatch)
    gpu = wrapper.Gpu(0)
    with pytest.raises(BackendError, match='CaptureUnsupported'):
        gpu.capture(lambda: gpu.allocate(1))
    done = gpu.event()
    gpu.record(done)
    gpu.wait(done)
    gpu.close()
    assert not cuda.live


@pytest.fixture(scope='module')
def runtime():
    return pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')


def test_every_name_is_in_the_real_bindings(runtime):
    names = set(re.findall(r'\brt\.(cuda\w+)|_runtime\.(cuda\w+)', Path(
        wrapper.__file__).read_text()))
    names = {a or b for a, b in names}
    assert len(names) > 25
    assert [name for name in names if not hasattr(runtime, name)] == []
    for enum in (FakeCuda.cudaError_t, FakeCuda.cudaMemcpyKind, FakeCuda.cudaStreamCaptureMode):
        real = getattr(runtime, enum.__name__)
        assert all(int(getattr(real, member.name)) == member for member in enum)


def test_the_stand_in_takes_what_the_real_functions_take(runtime):
    compared = 0
    for name, function in inspect.getmembers(FakeCuda, inspect.isfunction):
        if name.startswith('cuda'):
            real = getattr(runtime, name).__doc__.split('\n', 1)[0]
            count = len([a for a in real[real.index('(') + 1:-1].split(',') if a.strip()])
            assert count == len(inspect.signature(function).parameters) - 1, real
            compared += 1
    assert compared > 20


def test_sticky_is_what_the_documentation_says(runtime):
    documented = {error.name for error in runtime.cudaError_t
                  if 'terminated and relaunched' in ' '.join((error.__doc__ or '').split())}
    if not documented:
        pytest.skip('this cuda-python has no documentation of single errors')
    # Of these the documentation says only that the context or the memory is gone.
    assert wrapper.STICKY - documented == {
        'cudaErrorContextIsDestroyed', 'cudaErrorCudartUnloading', 'cudaErrorECCUncorrectable',
        'cudaErrorNvlinkUncorrectable'}
    assert documented <= wrapper.STICKY


def test_without_a_gpu_the_real_bindings_fail_as_expected(runtime):
    if runtime.cudaGetDeviceCount()[0] == runtime.cudaError_t.cudaSuccess:
        pytest.skip('this machine has a GPU')
    with pytest.raises(BackendUnavailable, match="InsufficientDriver.*'cuda-python>=12.9.1,<13'"):
        wrapper.Gpu(0)
