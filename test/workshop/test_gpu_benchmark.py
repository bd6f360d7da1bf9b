# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command for figures of a GPU, on a CPU: every line runs, and no figure goes missing."""

import functools
from importlib.util import find_spec
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from unittest.mock import create_autospec, MagicMock

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

from benchmarks.gpu import __main__ as command, compiler, correctness, detector  # noqa: E402, I100
from benchmarks.gpu.device import CpuDevice, CudaDevice, tf32  # noqa: E402
from benchmarks.gpu.latency import NO_FORMS, ONE_IMAGE  # noqa: E402
from benchmarks.gpu.models import open_models, StreetModels  # noqa: E402
from benchmarks.gpu.pipeline import EndToEnd  # noqa: E402
from benchmarks.gpu.report import NOT_REACHED, Report, SECTIONS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TRIAL = ('--device', 'cpu', '--arch', 'tiny')
NEVER_ON_A_CPU = {correctness.PLUGIN, *compiler.names(open_models('tiny', CpuDevice()))}


def start(out, *arguments):
    return subprocess.Popen(
        [sys.executable, '-m', 'benchmarks.gpu', '--out', str(out), *TRIAL, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(
            [str(ROOT), str(ROOT / 'workshop'), os.environ.get('PYTHONPATH', '')])})


def read(out):
    """Return the report; a number that is not finite is an error."""
    def refuse(constant):
        raise AssertionError(f'{constant} in gpu.json')

    return json.loads((out / 'gpu.json').read_text(), parse_constant=refuse)


def figures(report):
    return {(section, name): values for section, names in report['sections'].items()
            for name, values in names.items()}


def reasons(report):
    """Return why figures are missing, by section and name."""
    return {key: values.get('skipped') or values.get('failed')
            for key, values in figures(report).items() if {'skipped', 'failed'} & set(values)}


@pytest.fixture
def signals():
    """Put the handlers of signals back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_everything_is_measured_on_a_cpu(tmp_path):
    # torch.compile takes longer than these minutes; docs/benchmarks.md says how to try it.
    run = start(tmp_path, '--runs', '2', '--minutes', '4')
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    report = read(tmp_path)
    assert list(report['sections']) == list(SECTIONS)
    assert report['ended'] == 'is complete; 0 figures failed'
    missing = reasons(report)
    assert {name for _, name in missing} == NEVER_ON_A_CPU | set(detector.BACKENDS)
    log = (tmp_path / 'gpu.log').read_text()
    for (section, name), reason in missing.items():
        assert reason != NOT_REACHED and f'{section}: {name} is skipped: {reason}' in log

    found = figures(report)
    table = (tmp_path / 'gpu.md').read_text()
    assert 'not figures of a GPU' in table
    for section, name in found:
        assert name in table, f'{section}: {name} is not in gpu.md'
    assert 'vl4ad bench' in missing['detector', 'openvino']
    trained = found['correctness', f'{correctness.TRAINED}: fp32, gather']
    assert trained['within_the_tolerance'] == 'yes'
    assert max(map(int, trained['empty_queries'].split())) > 0
    assert found['correctness', 'drawn weights: fp16, gather']['uncertainty'] > 0
    assert found['memory', 'a long drive']['other_prompts_differ_by'] > 0
    assert found['memory', 'a long drive']['same_frame_and_prompts_differ_by'] == 0
    parts = found['profile', '64x128: roofline']['parts']
    whole = parts.pop('whole network')
    assert 0 < sum(part['gflop'] for part in parts.values()) < whole['gflop']
    assert len(found['profile', '64x128: longest kernels and operators']['kernels']) == 20


def test_the_street_network_is_measured_and_what_it_lacks_is_skipped_aloud(
        tmp_path, monkeypatch, signals, capsys):
    monkeypatch.setattr(sys, 'argv', ['gpu', '--out', str(tmp_path), '--device', 'cpu', '--arch',
                                      'street', '--runs', '1', '--minutes', '4'])
    assert command.main() == 0
    report, printed = read(tmp_path), capsys.readouterr().out
    found, missing = figures(report), reasons(report)
    for (section, name), reason in missing.items():
        assert reason != NOT_REACHED and f'{section}: {name} is skipped: {reason}' in printed
    # 'onnxruntime with CUDA' depends on the machine.
    here = {key: why for key, why in missing.items() if key[0] not in ('detector', 'compile')}
    assert set(here.values()) == {NO_FORMS, ONE_IMAGE, StreetModels.no_order}
    assert all('official' in name or 'scoring alone' in name or 'sampling' in name
               or 'gather' in name or 'images' in name for _, name in here)
    assert found['correctness', 'trained street model: fp32']['within_the_tolerance'] == 'yes'
    assert found['correctness', 'trained street model: fp16']['uncertainty'] > 0
    assert found['latency', '64x96: ours, fp16, CUDA graph']['times_as_fast'] > 0
    assert found['pipeline', '64x96: two-deep pipeline']['frames_per_s'] > 0
    for backend in ('onnxruntime', 'openvino'):
        if find_spec(backend):
            assert found['detector', backend]['network_ms'] > 0
    assert found['memory', 'a long drive']['other_prompts_differ_by'] > 0
    parts = found['profile', '64x96: roofline']['parts']
    assert parts['whole network']['gflop'] > parts['classifier']['gflop'] > 0


def test_a_signal_leaves_the_figures_so_far(tmp_path):
    run = start(tmp_path, '--minutes', '4')
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and run.poll() is None:
        if (tmp_path / 'gpu.json').exists() and 'gb_per_s' in figures(read(tmp_path)).get(
                ('machine', 'copy'), {}):
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    report = read(tmp_path)
    assert report['ended'] == 'was stopped by a signal'
    assert report['sections']['machine']['facts']['torch'] == torch.__version__
    assert NOT_REACHED in reasons(report).values() and all(reasons(report).values())
    assert NOT_REACHED in (tmp_path / 'gpu.md').read_text()
    assert {path.name for path in tmp_path.iterdir()} == {'gpu.json', 'gpu.md', 'gpu.log'}


def test_what_the_minutes_do_not_allow_is_skipped_aloud(tmp_path, monkeypatch, signals, capsys):
    monkeypatch.setattr(sys, 'argv', ['gpu', '--out', str(tmp_path), *TRIAL, '--minutes', '0.001'])
    assert command.main() == 0
    report, printed = read(tmp_path), capsys.readouterr().out
    found = figures(report)
    assert {section for section, _ in found} == set(SECTIONS)
    assert set(reasons(report)) == set(found) - {('machine', 'facts')}
    for (section, name), reason in reasons(report).items():
        assert reason != NOT_REACHED and f'{section}: {name}' in printed
    assert '--minutes' in found['memory', 'a long drive']['skipped']


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_without_a_gpu_it_says_what_to_do(tmp_path, monkeypatch, signals, capsys):
    monkeypatch.setattr(sys, 'argv', ['gpu', '--out', str(tmp_path)])
    assert command.main() == 2
    assert '--device cpu' in capsys.readouterr().err


def test_a_failure_is_recorded_and_the_run_goes_on(tmp_path):
    def fail():
        raise RuntimeError('CUDA error: out of memory')

    report = Report(tmp_path, {'device': 'cpu'}, 1)
    report.plan('memory', ['a', 'b', 'c', 'd'])
    report.plan('compile', ['e', 'f'])
    assert not report.item('memory', 'a', 0, fail)
    assert report.item('memory', 'b', 0, lambda: {'ms': 1.0})
    assert not report.item('memory', 'c', 0, lambda: {'ms': float('nan')})
    assert not report.item('memory', 'd', 61, lambda: {'ms': 1.0})
    found = read(tmp_path)['sections']['memory']
    assert found['a'] == {'failed': 'RuntimeError: CUDA error: out of memory'}
    assert found['b'] == {'ms': 1.0}
    assert 'not finite' in found['c']['failed'] and '61 s' in found['d']['skipped']
    assert report.failures == 2
    report.put('compile', 'e', {'ms': 2.0})
    report.section('compile', fail)
    assert read(tmp_path)['sections']['compile'] == {
        'e': {'ms': 2.0}, 'f': {'failed': 'RuntimeError: CUDA error: out of memory'}}
    table = (tmp_path / 'gpu.md').read_text()
    assert 'out of memory' in table and '| b | 1 |' in table


@pytest.fixture
def stand_in(monkeypatch):
    """Return a GPU whose CUDA has the real signatures, and computes on the CPU."""
    for name in ('set_device', 'synchronize', 'current_stream', 'reset_peak_memory_stats',
                 'empty_cache', 'CUDAGraph', 'graph'):
        monkeypatch.setattr(torch.cuda, name, create_autospec(getattr(torch.cuda, name)))
    for name in ('Event', 'Stream'):  # a new one for each call
        monkeypatch.setattr(torch.cuda, name, create_autospec(
            getattr(torch.cuda, name), side_effect=functools.partial(
                create_autospec, getattr(torch.cuda, name), instance=True)))
    monkeypatch.setattr(torch.cuda, 'stream', MagicMock())  # a context
    for name, value in (('device_count', 1), ('mem_get_info', (60, 100)), ('memory_allocated', 10),
                        ('memory_reserved', 20), ('max_memory_allocated', 15)):
        monkeypatch.setattr(torch.cuda, name, create_autospec(
            getattr(torch.cuda, name), return_value=value))
    device = CudaDevice()
    device.torch, device.host, device.precision = torch.device('cpu'), CpuDevice().host, 'fp32'
    return device


def test_the_calls_of_cuda_have_the_right_arguments(stand_in):
    done = []
    start, end = (torch.cuda.Event() for _ in range(2))
    start.elapsed_time.return_value = 1.5
    torch.cuda.Event.side_effect = [start, end]
    assert stand_in.milliseconds(lambda: done.append(1)) == 1.5 and done == [1]
    torch.cuda.Event.assert_called_with(enable_timing=True)
    start.elapsed_time.assert_called_once_with(end)
    replay, (output,) = stand_in.capture(lambda: (torch.ones(2),))
    assert output.tolist() == [1, 1]
    replay()
    torch.cuda.CUDAGraph.return_value.replay.assert_called_once_with()
    torch.cuda.graph.assert_called_once_with(torch.cuda.CUDAGraph.return_value)
    assert stand_in.memory() | {'host': 0} == {
        'tensors': 10, 'held': 20, 'device': 40, 'host': 0}
    assert stand_in.peak_of(lambda: None) == 5 and stand_in.held() == 20
    stand_in.release()


def test_the_stages_of_a_frame_wait_for_one_another(stand_in):
    bench = EndToEnd(open_models('tiny', stand_in), (64, 96))
    figures = bench.rate(2, 5)
    assert figures['runs'] == 5 and figures['frames_per_s'] > 0
    upload, compute, download = bench._queues
    assert not upload.wait_event.called
    for queue, before in ((compute, upload), (download, compute)):
        marks = [call.args[0] for call in queue.wait_event.call_args_list]
        assert len(marks) == 5
        for mark in marks:
            mark.record.assert_called_once_with(before)


def test_tf32_is_switched_for_products_and_convolutions_alike():
    def state():
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = state()
    for allowed in (True, False):
        with tf32(allowed):
            assert state() == (allowed, allowed) and torch.backends.cudnn.enabled
    assert state() == before
