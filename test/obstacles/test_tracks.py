# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tracks over made-up sequences of regions; needs nothing but the package."""

from __future__ import annotations

import pytest
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.obstacles.tracks import Tracker, TrackLimits

A, A2 = (100, 100, 40, 30), (104, 106, 42, 32)
B = (150, 100, 40, 30)
AB = (100, 100, 90, 30)
FAR = (500, 300, 40, 30)


def region(box: tuple[float, ...]) -> Region:
    """Return a region that fills its box."""
    x, y, width, height = box
    return Region(box, int(width * height), 0.9, (x + width / 2, y + height / 2))


def play(tracker: Tracker, frames) -> list[str]:
    """Return for each frame the ids alive: ``1`` seen, ``1-`` missed; in brackets if tentative."""
    lines = []
    for boxes in frames:
        tracks = tracker.update([region(box) for box in boxes])
        words = (f'{t.id}{"-" if t.missed else ""}' for t in tracks)
        lines.append(' '.join(
            word if t.confirmed else f'({word})' for word, t in zip(words, tracks)))
    return lines


@pytest.mark.parametrize('frames, expected', [
    pytest.param([[A], [A2], [A2]], ['(1)', '(1)', '1'], id='appears'),
    pytest.param([[A], [], [A], [], [A]], ['(1)', '(1-)', '(1)', '(1-)', '1'], id='flickers'),
    pytest.param([[A], [], [], [A], []], ['(1)', '(1-)', '(1-)', '(1)', '(1-)'],
                 id='too few hits in the window'),
    pytest.param([[A]] + [[]] * 4, ['(1)', '(1-)', '(1-)', '(1-)', '(1-)'],
                 id='speck lingers unconfirmed'),
    pytest.param([[A]] + [[]] * 5 + [[A]], ['(1)'] + ['(1-)'] * 4 + ['', '(2)'],
                 id='speck is dropped and its id not used again'),
    pytest.param([[A]] * 3 + [[]] * 4 + [[A2]], ['(1)', '(1)', '1'] + ['1-'] * 4 + ['1'],
                 id='occluded'),
    pytest.param([[A]] * 3 + [[]] * 5 + [[A]], ['(1)', '(1)', '1'] + ['1-'] * 4 + ['', '(2)'],
                 id='released'),
    pytest.param([[A]] * 3 + [[FAR]] * 3, ['(1)', '(1)', '1', '1- (2)', '1- (2)', '1- 2'],
                 id='jumps too far to be the same'),
    pytest.param([[A, B]] * 3 + [[B, A]], ['(1) (2)', '(1) (2)', '1 2', '1 2'],
                 id='two in another order'),
    pytest.param([[A, B]] * 3 + [[AB], [A, B]], ['(1) (2)', '(1) (2)', '1 2', '1 2-', '1 2'],
                 id='merge for a frame'),
    pytest.param([[AB]] * 3 + [[A, B]] * 3, ['(1)', '(1)', '1', '1 (2)', '1 (2)', '1 2'],
                 id='split for good'),
    pytest.param([[AB]] * 3 + [[A, B], [AB]], ['(1)', '(1)', '1', '1 (2)', '1 (2-)'],
                 id='split for a frame'),
    pytest.param([[(10, 10, 4, 4)], [(16, 12, 4, 5)], [(21, 15, 5, 5)]], ['(1)', '(1)', '1'],
                 id='small box moves by more than its size'),
    pytest.param([[(10, 10, 4, 4)], [(20, 10, 4, 4)]], ['(1)', '(1-) (2)'],
                 id='small box moves further than it may'),
    pytest.param([[(10, 10, 4, 4)], [], [(20, 10, 4, 4)]], ['(1)', '(1-)', '(1)'],
                 id='it may move further while it is missed'),
    pytest.param([[(10, 10, 4, 4)], [(16, 12, 30, 30)]], ['(1)', '(1-) (2)'],
                 id='speck beside something large'),
])
def test_sequence(frames, expected):
    assert play(Tracker(), frames) == expected


def test_overlap_wins_over_nearness():
    tracker = Tracker(TrackLimits(1, 1, 5))
    tracker.update([region(A)])
    track, other = tracker.update([region((145, 100, 40, 30)), region((118, 110, 40, 30))])
    assert track.id == 1 and track.region.box == (118, 110, 40, 30)
    assert other.id == 2


def test_the_move_of_a_large_box_is_limited():
    moves = [region((0, 0, 200, 100))], [region((250, 0, 200, 100))]
    ids = []
    for max_move in (300.0, 100.0):
        tracker = Tracker()
        tracker.update(moves[0], max_move)
        ids.append(tracker.update(moves[1], max_move)[-1].id)
    assert ids == [1, 2]


def test_unconfirmed_track_ends_with_the_last_hit_in_its_window():
    tracker = Tracker(TrackLimits(confirm_hits=3, confirm_window=5, release_after=60))
    assert play(tracker, [[A]] + [[]] * 5) == ['(1)'] + ['(1-)'] * 4 + ['']


def test_missed_track_keeps_its_last_region():
    tracker = Tracker()
    for box in (A, A, A2):
        tracker.update([region(box)])
    track, = tracker.update([])
    assert (track.region.box, track.hits, track.missed) == (A2, 3, 1)


def test_reset_forgets_tracks_but_not_ids():
    tracker = Tracker()
    play(tracker, [[A]] * 3)
    tracker.reset()
    assert play(tracker, [[A], []]) == ['(2)', '(2-)']


def test_new_limits_keep_tracks():
    tracker = Tracker()
    play(tracker, [[A]] * 2)
    tracker.limits = TrackLimits(confirm_hits=4, confirm_window=6, release_after=1)
    assert play(tracker, [[A], [A], []]) == ['(1)', '1', '']


@pytest.mark.parametrize('limits, message', [
    ((0, 5, 5), 'confirm_hits must be from 1 to 60, not 0'),
    ((6, 5, 5), r'confirm_hits \(6\) must not exceed confirm_window \(5\)'),
    ((3, 61, 5), 'confirm_window must be from 1 to 60, not 61'),
    ((3, 5, 0), 'release_after must be from 1 to 120, not 0'),
    ((3, 5, 121), 'release_after must be from 1 to 120, not 121'),
])
def test_limits_out_of_range_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        TrackLimits(*limits)
