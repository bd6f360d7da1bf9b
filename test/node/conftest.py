# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes with the mock bundle, and no ROS tests where there is no rclpy."""

from __future__ import annotations

import os
from pathlib import Path
import tempfile

import pytest

try:
    import rclpy  # noqa: F401
except ImportError:
    collect_ignore_glob = ['test_*.py']

os.environ['ROS_LOG_DIR'] = tempfile.mkdtemp(prefix='vl4ad_ros_log_')


@pytest.fixture(scope='module')
def ros():
    """Yield the one rclpy context of a module."""
    from vl4ad_ros.node.dds import use_profile
    use_profile()
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope='module')
def bench(ros, mock_bundle: Path):
    """Yield a configured and active node with the mock bundle, and a camera for it."""
    from harness import Bench
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        yield bench
