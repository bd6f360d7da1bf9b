# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of all kinds, and whether the frames belong together."""

from __future__ import annotations

import pytest
from vl4ad_ros.obstacles.scene_time import SceneTime, TimeLimits


def steps(*stamps_s: float, receipts_s=None, limits=TimeLimits()) -> list[str]:
    """Return step and unusable stamp of each frame; received every 0.1 s unless given."""
    time = SceneTime()
    receipts_s = receipts_s or [50 + 0.1 * i for i in range(len(stamps_s))]
    moments = [time.judge(round(1e9 * stamp), round(1e9 * receipt), limits)
               for stamp, receipt in zip(stamps_s, receipts_s)]
    return [' '.join(filter(None, (m.step, m.unusable))) for m in moments]


@pytest.mark.parametrize('stamps, expected', [
    ((10.0, 10.1, 10.2), ['next'] * 3),
    ((10.0, 11.2, 12.4), ['next'] * 3),  # slow camera, or slow processing
    ((10.0, 12.9, 16.0), ['next', 'next', 'gap']),
    ((10.0, 10.2, 10.1, 10.3), ['next', 'next', 'late', 'next']),
    ((10.0, 10.2, 10.1, 10.15), ['next', 'next', 'late', 'late']),
    ((10.0, 9.51), ['next', 'late']),
    ((10.0, 9.5, 9.6), ['next', 'back', 'next']),
    ((10.0, 3610.0, 3610.1), ['next', 'gap', 'next']),
    ((10.0, 2e9, 10.1, 10.2), ['next', 'gap', 'back', 'next']),
    ((0.0, 0.0, 0.0), ['next zero'] * 3),
    ((-1.0, -1.0), ['next zero'] * 2),
    ((7.0, 7.0, 7.0), ['next', 'next constant', 'next constant']),
    ((10.0, 10.0, 10.1, 10.1), ['next', 'next constant', 'next', 'next constant']),
    ((10.0, 0.0, 10.2), ['next', 'next zero', 'next']),
])
def test_steps_follow_the_stamps_and_receipt_where_they_are_unusable(stamps, expected):
    assert steps(*stamps) == expected


def test_the_speed_of_processing_does_not_matter():
    stamps = (10.0, 10.1, 10.2, 10.3)
    assert steps(*stamps) == steps(*stamps, receipts_s=(0.0, 60.0, 60.0, 4000.0)) == ['next'] * 4


def test_receipts_far_apart_are_a_gap_only_without_stamps():
    assert steps(0, 0, 0, receipts_s=(1.0, 5.0, 5.1)) == ['next zero', 'gap zero', 'next zero']
    assert steps(0, 0, receipts_s=(5.0, 4.9)) == ['next zero', 'late zero']


@pytest.mark.parametrize('limits, expected', [
    (TimeLimits(late_s=0.0), ['next', 'next', 'back']),
    (TimeLimits(late_s=2.0), ['next', 'next', 'late']),
    (TimeLimits(max_gap_s=0.1), ['next', 'gap', 'back'])])
def test_limits_hold(limits, expected):
    assert steps(10.0, 11.0, 10.3, limits=limits) == expected


@pytest.mark.parametrize('limits, reason', [
    ((-0.1, 3.0), 'late_s must be from 0 to 60 s, not -0.1'),
    ((0.5, 0.0), 'max_gap_s must be from 0.01 to 3600 s, not 0.0'),
    ((float('nan'), 3.0), 'late_s must be')])
def test_limits_out_of_range_are_refused(limits, reason):
    with pytest.raises(ValueError, match=reason):
        TimeLimits(*limits)
