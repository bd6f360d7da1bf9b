# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node on the TensorRT backend itself, over a stand-in of TensorRT and of CUDA."""

from __future__ import annotations

from pathlib import Path
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

from harness import Bench, Outside, scene
import pytest
from vl4ad_ros import cli

ENGINES = Path(__file__).resolve().parents[1] / 'inference' / 'engines'
sys.path.append(str(ENGINES))


@pytest.fixture(scope='module')
def engine_bundle(tmp_path_factory) -> Path:
    from engine_bundle import write_engine_bundle
    return write_engine_bundle(tmp_path_factory.mktemp('engines') / 'bundle').directory


@pytest.fixture
def cuda(monkeypatch):
    """Put a stand-in of CUDA and of an Orin into this process."""
    from fake_cuda import FakeCuda, ORIN, show_gpus
    show_gpus(monkeypatch, ORIN)
    return FakeCuda().install(monkeypatch)


@pytest.fixture
def trt(cuda, monkeypatch, tmp_path):
    """Put a stand-in of TensorRT 10.3 into this process and into build processes."""
    from fake_tensorrt import install
    return install(cuda, monkeypatch, tmp_path / 'fake')


def test_the_command_in_the_log_builds_the_engine_that_configure_missed(
        cuda, trt, ros, engine_bundle, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)  # as in a workspace of colcon
    parameters = {'model.bundle': str(engine_bundle), 'model.backend': 'tensorrt',
                  'model.cache_dir': str(tmp_path / 'engines')}
    with Bench(ros, parameters) as bench:
        assert not bench.change('configure')
        command = re.search(r'configure failed: .*; run: ros2 run vl4ad_ros build_engine (.*)',
                            capfd.readouterr().err).group(1)
        assert cli.main(['build', *shlex.split(command)]) == 0
        assert bench.change('configure') and bench.change('activate')
        assert 'backend tensorrt 10.3.0, fp32, gather, Orin, engine ' in capfd.readouterr().err
        bench.wait_for_match()
        assert any(bench.ask(scene()).data)
        stages = {v.key for v in bench.status('image').values}
        assert {'upload p50 (ms)', 'network p50 (ms)', 'download p50 (ms)'} <= stages
        model = {v.key: v.value for v in bench.status('model').values}
        assert model['device memory (MiB)'].isdigit()
        assert bench.change('deactivate') and bench.change('cleanup')
        assert not cuda.live


def test_it_is_built_in_configure_when_told_to(cuda, trt, ros, engine_bundle, tmp_path, capfd):
    parameters = {'model.bundle': str(engine_bundle), 'model.build_if_missing': True,
                  'model.cache_dir': str(tmp_path / 'engines')}
    with Bench(ros, parameters) as bench:
        assert bench.change('configure')
        said = capfd.readouterr().err
        assert 'building an engine of' in said and 'agrees with the reference' in said
        assert list((tmp_path / 'engines').iterdir())
    assert not cuda.live


def test_a_compiler_that_crashes_does_not_end_the_node(
        cuda, trt, ros, engine_bundle, tmp_path, capfd):
    trt.faults.ends_by = {'vision.gather.onnx': 'SIGSEGV', 'vision.grid-sample.onnx': 'SIGABRT'}
    parameters = {'model.bundle': str(engine_bundle), 'model.backend': 'tensorrt',
                  'model.build_if_missing': True, 'model.cache_dir': str(tmp_path / 'engines')}
    with Bench(ros, parameters) as bench:
        assert not bench.change('configure')
        said = capfd.readouterr().err
        assert 'configure failed: no engine of' in said and 'INFO: timing layer 12' in said
        assert 'SIGSEGV (Segmentation fault)' in said and 'SIGABRT (Aborted)' in said
        assert [file.name for file in (tmp_path / 'engines').iterdir()] == ['lock']
        assert bench.state == 'unconfigured'
        trt.faults.ends_by = {}
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        assert any(bench.ask(scene()).data)
    assert not cuda.live


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_node_that_is_told_to_end_while_it_builds(
        trt, ros, engine_bundle, tmp_path, number):
    from stand_in import environment, has_ended
    trt.faults.hangs = True
    name, folder = f'told_{number}', tmp_path / 'engines'
    parameters = {'model.bundle': engine_bundle, 'model.backend': 'tensorrt',
                  'model.build_if_missing': True, 'model.cache_dir': folder}
    node = subprocess.Popen(
        [sys.executable, ENGINES / 'stand_in.py', 'node', '--ros-args', '-r', f'__node:={name}',
         *(word for key, value in parameters.items() for word in ('-p', f'{key}:={value}'))],
        env=environment(tmp_path / 'fake'), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    outside = Outside(ros, name=name)
    try:
        outside.call_soon(*outside.transition('configure'))
        outside.until(lambda: trt.counts.all('pid'), 'a build process')
        pid, = trt.counts.all('pid')
        assert not has_ended(pid, 0.1)
        start = time.monotonic()
        node.send_signal(number)
        output, _ = node.communicate(timeout=60)
        assert node.returncode == 0 and 'Traceback' not in output, output
        assert has_ended(pid) and time.monotonic() - start < 5
    finally:
        node.kill()
        node.wait()
        outside.close()
    assert [file.name for file in folder.iterdir()] == ['lock']
