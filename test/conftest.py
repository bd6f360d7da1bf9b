# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain and a handler of Ctrl-C for every test process; fixtures of several folders."""

from __future__ import annotations

import os
from pathlib import Path
import signal

from domains import own_domain
import pytest

os.environ['ROS_DOMAIN_ID'] = own_domain()
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ['ROS_LOCALHOST_ONLY'] = '1'
# A shell starts background commands with SIGINT ignored, and child processes would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if 'PYTEST_XDIST_WORKER' in os.environ:
    # Each worker has a core; threads that wait for a core that another worker uses slow both down.
    os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(scope='session')
def mock_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a bundle that sees colours; needs no weights, GPU or rclpy."""
    from mock_bundle import write_mock_bundle
    return write_mock_bundle(tmp_path_factory.mktemp('bundles') / 'mock')
