# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node on the TensorRT backend itself, over a stand-in of TensorRT and of CUDA."""

from __future__ import annotations

from pathlib import Path
import re
import shlex
import sys

from harness import Bench, scene
import pytest
from vl4ad_ros import cli

sys.path.append(str(Path(__file__).resolve().parents[1] / 'inference' / 'engines'))


@pytest.fixture(scope='module')
def engine_bundle(tmp_path_factory) -> Path:
    from engine_bundle import write_engine_bundle
    return write_engine_bundle(tmp_path_factory.mktemp('engines') / 'bundle').directory


@pytest.fixture
def cuda(monkeypatch):
    """Put a stand-in of TensorRT 10.3 and of an Orin into this process."""
    from fake_cuda import FakeCuda, ORIN
    from fake_tensorrt import fake_tensorrt
    for module in ('inference.tensorrt.cuda', 'inference.tensorrt.obtain',
                   'inference.tensorrt.backend', 'commands.build'):
        monkeypatch.setattr(f'vl4ad_ros.{module}.find_device', lambda index: ORIN)
    cuda = FakeCuda().install(monkeypatch)
    monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt(cuda))
    return cuda


def test_the_command_in_the_log_builds_the_engine_that_configure_missed(
        cuda, ros, engine_bundle, tmp_path, capfd):
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


def test_it_is_built_in_configure_when_told_to(cuda, ros, engine_bundle, tmp_path, capfd):
    parameters = {'model.bundle': str(engine_bundle), 'model.build_if_missing': True,
                  'model.cache_dir': str(tmp_path / 'engines')}
    with Bench(ros, parameters) as bench:
        assert bench.change('configure')
        said = capfd.readouterr().err
        assert 'building an engine of' in said and 'agrees with the reference' in said
        assert list((tmp_path / 'engines').iterdir())
    assert not cuda.live
