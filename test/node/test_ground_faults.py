# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TF that is missing, late or wrong, over DDS: only the metres go, and the reason is said."""

from __future__ import annotations

import sys
import time

from fake_tf import stand_in, StandInBuffer
from on_ground import ground_bench, info, last, tell
import pytest


@pytest.fixture(scope='module')
def bench(ros, mock_bundle):
    """Yield an active node that asks a stand-in for TF, `tf`, for the pose of its camera."""
    library, tf = stand_in(), StandInBuffer()
    library.Buffer = lambda: tf
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'tf2_ros', library)
        with ground_bench(ros, mock_bundle) as bench:
            bench.tf = tf
            tell(bench, info())
            yield bench


def mend(buffer) -> None:
    vars(buffer).update(vars(StandInBuffer()))


def missing(buffer) -> None:
    buffer.from_ns = 2 ** 62


def late(buffer) -> None:
    buffer.to_ns = time.time_ns()


def under_the_road(buffer) -> None:
    buffer.found.transform.translation.z = -1.4


def no_rotation(buffer) -> None:
    buffer.found.transform.rotation.w = float('nan')


@pytest.mark.parametrize('fault, reason', [
    (missing, 'extrapolation; publish it'), (late, 'extrapolation; publish it'),
    (under_the_road, 'is -1.4 m above the plane z = 0'), (no_rotation, 'expected finite numbers')])
def test_a_fault_of_tf_takes_only_the_metres_away_until_it_ends(bench, fault, reason):
    before, obstacles = last(bench)
    assert obstacles.detections and obstacles.header.frame_id == 'base_link'
    fault(bench.tf)
    alerts, obstacles = last(bench, count=1)
    assert [a.id for a in alerts.detections] == [a.id for a in before.detections] != []
    assert obstacles is None
    # TF is optional, so this is no warning.
    bench.status('image', lambda s: any(
        v.key == 'no positions because' and reason in v.value for v in s.values))
    mend(bench.tf)
    assert last(bench, count=1)[1].detections
