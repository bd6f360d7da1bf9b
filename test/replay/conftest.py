# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain for the replays of a test module."""

from __future__ import annotations

from collections.abc import Iterator

from domains import own_domain
import pytest


@pytest.fixture(scope='module')
def domain() -> Iterator[None]:
    """Set a domain for this module and for all processes that it starts (needs rclpy)."""
    from vl4ad_ros.node.dds import use_profile
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', own_domain())
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        use_profile()
        yield
