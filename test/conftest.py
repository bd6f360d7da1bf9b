# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def mock_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a bundle that sees colours; needs no weights, GPU or rclpy."""
    from mock_bundle import write_mock_bundle
    return write_mock_bundle(tmp_path_factory.mktemp('bundles') / 'mock')
