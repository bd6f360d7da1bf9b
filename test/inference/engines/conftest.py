# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of engines."""

from __future__ import annotations

from pathlib import Path

from fake_cuda import FakeCuda, ORIN
import pytest
from vl4ad_ros.bundle import Bundle


@pytest.fixture(scope='session')
def engine_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle that engines can be built of, with reference frames."""
    from engine_bundle import write_engine_bundle
    return write_engine_bundle(tmp_path_factory.mktemp('engines') / 'bundle')


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Stand in for cuda-python and for GPU 0, an Orin."""
    for module in ('inference.tensorrt.cuda', 'inference.tensorrt.obtain',
                   'inference.tensorrt.backend', 'commands.build'):
        monkeypatch.setattr(f'vl4ad_ros.{module}.find_device', lambda index: ORIN)
    return FakeCuda().install(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for engines that does not exist yet."""
    return tmp_path / 'engines'
