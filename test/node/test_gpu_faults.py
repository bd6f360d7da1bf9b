# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node does when its GPU backend cannot start, fails on a frame, or is lost."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
import signal
import subprocess
import sys
import time

import fake_gpu
from fake_gpu import Plan
from harness import Bench, Outside, scene
import pytest
from vl4ad_ros.inference import backend as backends
from vl4ad_ros.inference.backend import BackendOptions

OUT_OF_MEMORY = 'GPU out of memory: 1830 MiB needed, 912 MiB free; close other programs'
STICKY = 'CUDA error 700 (an illegal memory access was encountered)'


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """Install the fake GPU, without what the last test did with it."""
    monkeypatch.setattr(backends, 'REGISTRY', dict(backends.REGISTRY))
    monkeypatch.setattr(backends, '_no_gpu', backends._no_gpu)
    fake_gpu.install()
    monkeypatch.setattr(fake_gpu, 'plan', Plan())
    fake_gpu.opened.clear()
    fake_gpu.seen.clear()


def values(status) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


@pytest.mark.parametrize('plan, said', [
    (Plan(build_s=60), f'no engine for mock fp16 on Fake Orin; run: {fake_gpu.COMMAND}'),
    (Plan('unavailable', reason='no NVIDIA driver; install it'), 'no NVIDIA driver'),
    (Plan('open', 'BackendError', 'engine refused: uncertainty is 0.3 off, at most 0.02'),
     'engine refused: uncertainty is 0.3 off'),
    (Plan('open', 'DeviceMemoryError', OUT_OF_MEMORY), OUT_OF_MEMORY),
    (Plan('run', 'DeviceMemoryError', OUT_OF_MEMORY), OUT_OF_MEMORY),
    (Plan('text', 'BackendError', 'text tower broken'), 'text tower broken'),
], ids=['engine missing', 'unavailable', 'engine refused', 'memory, loading', 'memory, warm-up',
        'text'])
def test_configure_fails_at_once_with_one_line_and_works_after_the_cure(
        plan, said, ros, mock_bundle, capfd):
    fake_gpu.plan = plan
    with Bench(ros, {'model.bundle': str(mock_bundle), 'model.backend': 'tensorrt'}) as bench:
        began = time.monotonic()
        assert not bench.change('configure')
        assert time.monotonic() - began < 5
        assert bench.state == 'unconfigured'
        lines = [line for line in capfd.readouterr().err.splitlines() if 'failed: ' in line]
        assert len(lines) == 1 and f'configure failed: {said}' in lines[0].replace(
            "the backend 'tensorrt' cannot be used: ", '')
        assert all(gpu.closed for gpu in fake_gpu.opened)
        fake_gpu.plan = Plan()
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())


def test_options_reach_the_backend_and_are_fixed_while_configured(ros, mock_bundle, tmp_path):
    parameters = {'model.bundle': str(mock_bundle), 'model.threads': 1, 'model.device': 3,
                  'model.precision': 'bf16', 'model.cache_dir': str(tmp_path),
                  'model.build_if_missing': True, 'model.onnxruntime_provider': 'cuda',
                  'model.require_gpu': True}
    with Bench(ros, parameters) as bench:
        assert bench.change('configure')
        assert fake_gpu.seen == [BackendOptions(1, 3, 'bf16', tmp_path, True, 'cuda', True)]
        for name, value in (('device', 1), ('precision', 'fp16'), ('cache_dir', '/elsewhere'),
                            ('build_if_missing', False), ('onnxruntime_provider', 'cpu'),
                            ('require_gpu', False), ('backend', 'openvino')):
            refused = bench.set(**{f'model__{name}': value})
            assert not refused.successful
            assert f'model.{name} can only change while' in refused.reason
        assert bench.change('cleanup')
        assert bench.set(model__device=1, model__cache_dir='').successful
        assert bench.change('configure')
        assert fake_gpu.seen[1] == BackendOptions(1, 1, 'bf16', None, True, 'cuda', True)


def test_cpu_beside_a_gpu_without_an_engine_is_a_warning_with_the_command(
        ros, mock_bundle, capfd):
    fake_gpu.plan = Plan(build_s=60)
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure') and bench.change('activate')
        warnings = [line for line in capfd.readouterr().err.splitlines()
                    if 'on the CPU although there is a GPU' in line]
        assert len(warnings) == 1 and '[WARN]' in warnings[0]
        assert 'build' in warnings[0] and '/bundles/mock --device 1' in warnings[0]
        bench.wait_for_match()
        bench.ask(scene())
        model = bench.status('model')
        assert values(model)['backend'] == 'openvino'
        assert values(model)['backend description'].startswith('openvino ')


@pytest.mark.parametrize('parameters, reason', [
    ({}, f'run: {fake_gpu.COMMAND}'),
    ({'model.backend': 'openvino'}, "require_gpu is true, but the backend 'openvino' would run")])
def test_required_gpu_makes_the_cpu_an_error_of_configure(
        parameters, reason, ros, mock_bundle, capfd):
    fake_gpu.plan = Plan(build_s=60)
    with Bench(ros, {'model.bundle': str(mock_bundle), 'model.require_gpu': True,
                     **parameters}) as bench:
        assert not bench.change('configure')
        assert bench.state == 'unconfigured'
        assert reason in capfd.readouterr().err
        assert bench.set(model__require_gpu=False).successful
        assert bench.change('configure')


def test_removed_backend_is_refused_with_its_replacement(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        answer = bench.set(model__backend='onnxruntime-cuda')
        assert not answer.successful
        assert answer.reason.startswith(
            "model.backend 'onnxruntime-cuda' was removed in 0.2.0; use model.backend: "
            'onnxruntime with model.onnxruntime_provider: cuda')
        assert bench.change('configure')


@pytest.mark.parametrize('value, reason', [
    ('torch-cuda', "model.backend 'torch-cuda' was removed in 0.2.0; use model.backend: tensorrt"),
    ('abacus', "model.backend is 'abacus'; expected auto or tensorrt or ")])
def test_other_backend_at_the_start_ends_the_process_with_2(value, reason, ros, mock_bundle):
    with process(ros, mock_bundle, Plan(), '-p', f'model.backend:={value}') as (node, _):
        output = ended(node)
        assert node.returncode == 2
        assert reason in output and 'Traceback' not in output


def test_log_and_diagnostics_say_what_runs_where(ros, mock_bundle, capfd):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure') and bench.change('activate')
        assert f'backend {fake_gpu.FakeGpu.description}' in capfd.readouterr().err
        bench.wait_for_match()
        bench.ask(scene())
        model = bench.status('model')
        assert next(v.value for v in model.values if v.key == 'backend description') == (
            fake_gpu.FakeGpu.description)
        assert values(model)['backend'] == 'tensorrt'
        assert values(model)['backend description'] == fake_gpu.FakeGpu.description
        assert values(model)['device memory (MiB)'] == '600'
        image = values(bench.status('image'))
        assert (image['upload p50 (ms)'], image['network p50 (ms)'], image['download p50 (ms)']
                ) == ('1.2', '40.0', '0.5')


def test_out_of_memory_drops_the_frame_and_the_next_is_answered(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        for _ in range(3):  # fewer in a row than health.fault_limit, but more in all
            fake_gpu.plan = Plan('run', 'DeviceMemoryError', OUT_OF_MEMORY)
            for _ in range(3):
                bench.send(scene())
                bench.spin_for(0.05)
            fake_gpu.plan = Plan()
            bench.ask(scene())
        status = bench.status('image', lambda s: values(s)['faults'] == '9')
        assert '912 MiB free' in values(status)['last refusal']
        assert bench.state == 'active'


def test_out_of_memory_on_and_on_deactivates_and_activating_again_recovers(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle), 'health.fault_limit': 2}) as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        fake_gpu.plan = Plan('run', 'DeviceMemoryError', OUT_OF_MEMORY)
        for _ in range(3):
            bench.send(scene())
            bench.spin_for(0.05)
        bench.until(lambda: bench.state == 'inactive', 'the node to deactivate itself')
        bench.status('model', lambda s: s.level == b'\x02' and OUT_OF_MEMORY in s.message
                     and '2 failures in a row' in s.message)
        fake_gpu.plan = Plan()
        assert bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())
        bench.status('model', lambda s: s.level == b'\x00')


def test_missing_engine_is_built_in_configure_when_told_to(ros, mock_bundle, capfd):
    fake_gpu.plan = Plan(build_s=3)
    with Bench(ros, {'model.bundle': str(mock_bundle), 'model.build_if_missing': True}) as bench:
        configured = bench.call_soon(*bench.transition('configure'))
        bench.status('model', lambda s: s.level == b'\x00' and
                     s.message.startswith('configuring: building'))
        # Queued, not refused: answered as soon as the model is there.
        refused = bench.call_soon(*bench.setting(model__device=1))
        assert not configured.done()
        bench.until(configured.done, 'the build')
        assert configured.result().success
        bench.until(refused.done, 'the parameter')
        assert not refused.result().results[0].successful
        assert 'building an engine: 50 %' in capfd.readouterr().err
        bench.status('model', lambda s: s.message == 'inactive')
        assert bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())


@contextmanager
def process(context, bundle: Path, plan: Plan, *ros_args: str):
    """Run the node with the fake GPU; yield it and what is around it."""
    command = [sys.executable, fake_gpu.__file__, '--ros-args', '-p', f'model.bundle:={bundle}',
               '-r', '__node:=lost', '-r', 'image:=/lost/image', *ros_args]
    node = subprocess.Popen(command, env=fake_gpu.environment(plan), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            start_new_session=True)
    outside = Outside(context, name='lost', topic='/lost/image')
    try:
        yield node, outside
    finally:
        outside.close()
        node.kill()
        node.wait()


def ended(node: subprocess.Popen) -> str:
    """Return what it said until its end."""
    output, _ = node.communicate(timeout=60)
    return output


def reported(outside: Outside) -> bool:
    return any(s.level == b'\x02' and STICKY in s.message
               for m in outside.received['diagnostics'] for s in m.status)


def test_lost_gpu_ends_the_process_with_1_and_a_new_one_works(ros, mock_bundle):
    with process(ros, mock_bundle, Plan('run', 'FatalBackendError', STICKY, after=4)) as (
            node, outside):
        assert outside.change('configure') and outside.change('activate')
        outside.wait_for_match()
        outside.ask(scene())
        outside.send(scene())
        outside.until(lambda: node.poll() is not None, 'the process to end')
        outside.until(lambda: reported(outside), 'the diagnostics')
        output = ended(node)
        assert node.returncode == 1
        assert f'only a new process can go on: {STICKY}' in output and 'Traceback' not in output
    with process(ros, mock_bundle, Plan()) as (node, outside):
        assert outside.change('configure') and outside.change('activate')


def test_gpu_lost_while_configuring_fails_the_transition_and_ends_the_process(ros, mock_bundle):
    with process(ros, mock_bundle, Plan('run', 'FatalBackendError', STICKY)) as (node, outside):
        assert not outside.change('configure')
        outside.until(lambda: node.poll() is not None, 'the process to end')
        outside.until(lambda: reported(outside), 'the diagnostics')
        output = ended(node)
        assert node.returncode == 1 and f'configure failed: {STICKY}' in output


@pytest.mark.parametrize('end', ['deactivate', 'signal'])
def test_inference_that_hangs_is_reported_and_does_not_keep_the_process(end, ros, mock_bundle):
    with process(ros, mock_bundle, Plan('run', 'hang', after=4)) as (node, outside):
        assert outside.change('configure') and outside.change('activate')
        outside.wait_for_match()
        outside.ask(scene())
        if end == 'signal':
            def hangs(status) -> bool:
                outside.send(scene())
                return status.level == b'\x02' and 'an inference hangs' in status.message
            outside.status('image', hangs)
            node.send_signal(signal.SIGINT)
        else:
            outside.send(scene())
            outside.spin_for(0.3)
            assert not outside.change('deactivate')
        output = ended(node)
        assert node.returncode == 1
        assert 'only a new process can go on: an inference does not end' in output
        assert 'Traceback' not in output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_while_an_engine_is_built_ends_it_soon_with_0(number, ros, mock_bundle):
    with process(ros, mock_bundle, Plan(build_s=60), '-p', 'model.build_if_missing:=true') as (
            node, outside):
        outside.call_soon(*outside.transition('configure'))
        outside.status('model', lambda s: 'building' in s.message)
        node.send_signal(number)
        output = ended(node)
        assert node.returncode == 0, output
        assert 'Traceback' not in output
