# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of alerts against ground truth."""


import numpy as np
import pytest

from vl4ad_ros.evaluation.alert_metrics import (
    Alert, AlertLog, FrameResult, score_alerts, Truth, TruthFrame)

ON, BESIDE, SKY = (20, 20, 12, 12), (60, 20, 12, 12), (10, 0, 20, 12)
PERIOD = 10**8


def truth_frame(objects, ignored_rows=8, size=(60, 100)):
    """Return a frame with a square of given side at (20, 20) for each {id: side}."""
    label, ids = np.zeros(size, np.uint8), np.zeros(size, np.uint16)
    label[:ignored_rows] = 255
    for i, side in objects.items():
        label[20:20 + side, 20:20 + side] = 1
        ids[20:20 + side, 20:20 + side] = i
    return TruthFrame.of(label, ids)


def truth_of(*frames):
    """Return the truth of frames at 10 Hz; None is a frame without."""
    return Truth({i: truth_frame(f) for i, f in enumerate(frames) if f is not None},
                 [i * PERIOD for i in range(len(frames))])


def results(*frames, age_ns=0):
    """Return results whose alerts are {id: box}, None where nothing is known."""
    return [FrameResult(i, age_ns, None if f is None else tuple(
        Alert(a, 0.9, box, 'cow', 0.8) for a, box in f.items())) for i, f in enumerate(frames)]


def test_an_object_appears_when_large_enough():
    truth = truth_of({}, {5: 9}, {5: 10}, {5: 12})
    assert truth.appearances() == {5: 2}
    assert truth.appearances(min_pixels=81) == {5: 1}
    assert truth.frames[3].objects == {5: (144, (20, 20, 12, 12))}


def test_time_to_alert_counts_frames_and_age():
    truth = truth_of({}, {5: 12}, {5: 12}, {5: 12})
    got = score_alerts(results({}, {}, {}, {'a': ON}, age_ns=60_000_000), truth)
    assert (got.anomalies, got.found, got.held, got.false_events) == ((5,), {5: 3}, {5: 3}, ())
    assert got.median_seconds == pytest.approx(0.26)


def test_an_alert_before_the_appearance_takes_no_time():
    got = score_alerts(results({'a': ON}, {'a': ON}), truth_of({5: 9}, {5: 12}))
    assert got.seconds == {5: 0.0}


def test_missed_object_and_false_events():
    truth = truth_of(*[{5: 12}] * 4)
    got = score_alerts(results({'a': BESIDE}, {'a': BESIDE}, {}, {'a': BESIDE}), truth)
    assert (got.anomalies, got.found, got.median_seconds) == ((5,), {}, None)
    assert [(e.first, e.last) for e in got.false_events] == [(0, 1), (3, 3)]


def test_one_hit_in_its_life_clears_an_event():
    truth = truth_of(*[{5: 12}] * 3)
    assert not score_alerts(results({'a': BESIDE}, {'a': ON}, {'a': BESIDE}), truth).false_events


def test_an_alert_on_ignored_pixels_is_not_false():
    truth = truth_of({}, {})
    assert not score_alerts(results({'a': SKY}, {}), truth).false_events
    assert score_alerts(results({'a': BESIDE}, {}), truth).false_events


def test_a_box_over_everything_finds_nothing():
    got = score_alerts(results({'a': (0, 0, 100, 60)}), truth_of({5: 12}))
    assert got.found == {} and len(got.false_events) == 1


def test_frames_without_truth_are_not_judged():
    got = score_alerts(results({}, {'a': BESIDE}, {}), truth_of({}, None, {}))
    assert got.false_events == ()


def test_objects_too_small_throughout_are_no_anomalies():
    got = score_alerts(results({'a': ON}, {'a': ON}), truth_of({5: 6}, {5: 6}))
    assert (got.anomalies, got.found, got.false_events) == ((), {}, ())


def test_log_tells_raised_and_cleared():
    log = AlertLog()
    seen = [tuple([e.alert.id for e in part] for part in log.add(r)) for r in results(
        {}, {'a': ON}, {'a': ON, 'b': BESIDE}, {'b': BESIDE}, {})]
    assert seen == [([], []), (['a'], []), (['b'], []), ([], ['a']), ([], ['b'])]
    assert [(e.alert.id, e.first, e.last) for e in log.events] == [('a', 1, 2), ('b', 2, 3)]


def test_frames_of_which_nothing_is_known_neither_raise_nor_clear():
    truth = truth_of(*[{5: 12}] * 4)
    log = AlertLog(truth)
    seen = [tuple(len(part) for part in log.add(r)) for r in results(
        None, {'a': ON}, None, {'a': ON}, {})]
    assert seen == [(0, 0), (1, 0), (0, 0), (0, 0), (0, 1)]
    got = score_alerts(results(None, None, {'a': ON}, None), truth)
    assert (got.found, got.false_events) == ({5: 2}, ())


def test_an_alert_is_called_by_its_class_or_anomaly_each_with_its_own_score():
    assert Alert('1', 0.9, ON, 'cow', 0.4).caption == 'cow 0.40'
    assert Alert('1', 0.9, ON).caption == 'anomaly 0.90'
    assert (Alert('1', 0.9, ON).label, Alert('1', 0.9, ON, 'cow', 0.4).label) == ('anomaly', 'cow')
