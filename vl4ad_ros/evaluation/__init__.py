# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads recordings, measures results against ground truth, and writes reports; needs no ROS 2.

`CameraBag` reads the camera frames of a rosbag2. It is imported when it is first used, so that
the metrics can be used where rosbags is not installed.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from vl4ad_ros.evaluation.bag_reader import CameraBag

__all__ = ['CameraBag']


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used (PEP 562)."""
    if name == 'CameraBag':
        from vl4ad_ros.evaluation.bag_reader import CameraBag
        return CameraBag
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
