# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `./run` puts where ros2 launch and ros2 run look for it (needs an environment of ./run)."""

from pathlib import Path
import sys

import pytest

SHARE = Path(sys.prefix) / 'share' / 'vl4ad_ros'
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (Path(sys.prefix) / 'base').exists(),  # the stamp that ./run writes
    reason='vl4ad_ros is not installed by ./run in this environment')


def test_launch_finds_its_files():
    """As ros2 launch looks: it does not follow folders that are links."""
    for folder in ('launch', 'config'):
        assert not (SHARE / folder).is_symlink()
        for source in (ROOT / folder).iterdir():
            assert (SHARE / folder / source.name).read_bytes() == source.read_bytes()
    assert (SHARE / 'package.xml').exists() and (SHARE / 'NOTICE').exists()


def test_run_finds_the_executables():
    for name in ('detector', 'vl4ad'):
        assert (Path(sys.prefix) / 'lib' / 'vl4ad_ros' / name).exists()
    assert (Path(sys.prefix) / 'share/ament_index/resource_index/packages/vl4ad_ros').exists()
