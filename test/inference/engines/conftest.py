# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fake_cuda import FakeCuda, ORIN, show_gpus
from fake_tensorrt import install
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
    show_gpus(monkeypatch, ORIN)
    return FakeCuda().install(monkeypatch)


@pytest.fixture
def installed(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Make `import tensorrt` give the stand-in, in build processes too."""
    return install(cuda, monkeypatch, tmp_path / 'fake')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for engines that does not exist yet."""
    return tmp_path / 'engines'
