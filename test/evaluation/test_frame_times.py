# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Record times that no clock can have shown are reported and replaced."""

import re

import pytest

from vl4ad_ros.evaluation.frame_times import duration_s, FrameTimes, period_ns

START, PERIOD, HOUR = 1_700_000_000 * 10**9, 10**8, 3600 * 10**9
GOOD = [START + i * PERIOD for i in range(12)]
ZERO = [0] * 12


def late(by, times=GOOD):
    """Return times that leap after the sixth."""
    return [t + by * (i > 5) for i, t in enumerate(times)]


@pytest.mark.parametrize('recorded, stamps', [
    (GOOD, GOOD), (GOOD, ZERO), (late(59 * 10**9), ZERO), (GOOD[:1], [0]), (GOOD, late(-HOUR)),
])
def test_sound_times_are_not_touched(recorded, stamps):
    found = FrameTimes.of(recorded, stamps, '/cam')
    assert list(found.times_ns) == recorded and list(found.order) == list(range(len(recorded)))
    assert not found.notes


@pytest.mark.parametrize('recorded, says', [
    ([0, *GOOD[1:]], 'are zero in 1 of 12 frames'),
    (ZERO, 'are zero in 12 of 12 frames'),
    ([START] * 12, 'are all the same'),
    (late(HOUR), 'leap by 3600 s at frame 6'),
    (late(-HOUR), 'jump back by 3599.900 s at frame 6'),
    ([*late(HOUR)[:9], *GOOD[9:]], 'jump back .* at frame 9.* leap by 3600 s at frame 6'),
    ([t * (i % 2) for i, t in enumerate(GOOD)], 'are zero in 6 of 12 frames'),
])
def test_sane_stamps_replace_wrong_record_times(recorded, says):
    stamps = [t - 5 * PERIOD for t in GOOD]
    found = FrameTimes.of(recorded, stamps, '/cam')
    assert list(found.times_ns) == stamps and list(found.order) == list(range(12))
    note, = found.notes
    assert '/cam' in note and 'header stamps of the images are used instead' in note
    assert re.search(says, note), note


def test_messages_that_are_not_stored_in_order_are_sorted():
    swapped = [*GOOD[:4], GOOD[5], GOOD[4], *GOOD[6:]]
    found = FrameTimes.of(swapped, swapped, '/cam')
    assert list(found.times_ns) == GOOD and list(found.order)[4:6] == [5, 4]
    assert 'not stored in the order' in found.notes[0]


def test_a_real_pause_is_kept_and_not_counted():
    paused = late(HOUR)
    found = FrameTimes.of(paused, paused, '/cam')
    assert list(found.times_ns) == paused and 'not counted in the duration' in found.notes[0]
    assert duration_s(paused) == pytest.approx(1.2)


@pytest.mark.parametrize('recorded', [
    [0, *GOOD[1:]], late(-HOUR), [t * (i % 2) for i, t in enumerate(GOOD)], [0, 0, *GOOD[2:]],
    [*GOOD[:5], 0, *GOOD[6:]], ZERO,
])
def test_without_any_sane_times_a_frame_follows_one_period_after_the_other(recorded):
    found = FrameTimes.of(recorded, ZERO, '/cam')
    times = list(found.times_ns)
    assert times == sorted(times) and 1.0 < (times[-1] - times[0]) / 1e9 < 1.3
    assert duration_s(times) == pytest.approx(1.2, abs=0.2)
    assert 'one frame period after the frame before' in found.notes[0]


@pytest.mark.parametrize('times, seconds', [
    ([START], 0), (GOOD, 1.2), ([START, START], 0), ([], 0), ([START, START + HOUR], 0)])
def test_the_duration_is_that_of_the_frames(times, seconds):
    assert duration_s(times) == pytest.approx(seconds)


def test_the_period_is_the_median_of_steps_above_zero():
    assert period_ns([START, *GOOD, START + 9 * HOUR]) == PERIOD
    assert period_ns([START, START]) is None and period_ns([START]) is None
