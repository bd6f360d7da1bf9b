# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS domains of tests that run at the same time."""

from __future__ import annotations

import os
import random


def own_domain() -> str:
    """Return a random ROS domain, 1 to 100, that no other worker of pytest-xdist can draw."""
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    return str(random.SystemRandom().choice(range(1 + worker, 101, workers)))
