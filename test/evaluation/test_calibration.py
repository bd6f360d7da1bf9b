# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bounds, what they promise in simulations, and the choice of a threshold by them."""

import numpy as np
import pytest

from vl4ad_ros.evaluation.bounds import allowed_misses, fewest_objects, largest_mean
from vl4ad_ros.evaluation.calibration import (
    CalibrationError, Evidence, LOWEST_FOR_RECALL)
from vl4ad_ros.evaluation.threshold_sweep import Candidate, candidates, SweepCounts, THRESHOLDS


@pytest.mark.parametrize('confidence', [0.5, 0.9, 0.95, 0.999])
def test_the_bound_of_a_rate_is_half_a_quantile_of_chi_squared(confidence):
    stats = pytest.importorskip('scipy.stats')
    for events in (0, 1, 2, 17, 1000, 100_000):
        expected = stats.chi2.ppf(confidence, 2 * (events + 1)) / 2
        assert largest_mean(events, confidence) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('recall', [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_fewest_objects_are_those_with_which_none_may_be_missed(recall):
    fewest = fewest_objects(recall)
    assert allowed_misses(fewest, recall) == 0 and allowed_misses(fewest - 1, recall) == -1


TRIED = tuple(Candidate(t, 0.001) for t in (0.9, 0.7, 0.5, 0.3))


def evidence(false_alerts, hours=10.0, found=(), confidence=0.95):
    """Return what was counted at the candidates `TRIED`."""
    return Evidence(TRIED, hours, np.array(false_alerts),
                    np.array(found, bool).reshape(len(found), len(TRIED)), confidence)


def test_the_first_candidate_that_fails_ends_the_search():
    # Up to 6.3 for 2 and up to 7.8 for 3 events: 0.63 and 0.78 per hour.
    assert evidence([0, 2, 3, 9]).by_false_alerts(0.7) == 1
    assert evidence([0, 3, 0, 0]).by_false_alerts(0.7) == 0
    assert evidence([0, 0, 0, 0]).by_false_alerts(0.7) == 3


def test_recordings_that_are_too_short_say_by_how_much():
    with pytest.raises(CalibrationError) as error:
        evidence([0, 0, 0, 0], hours=1.0).by_false_alerts(1.0)
    said = str(error.value)
    assert '1.000 h' in said and '2.996 h' in said and 'Record 1.996 h more' in said
    assert '--false-alerts-per-hour 3' in said
    assert evidence([0, 0, 0, 0], hours=1.0).by_false_alerts(3.0) == 3
    with pytest.raises(CalibrationError, match='0.000 h'):
        evidence([0, 0, 0, 0], hours=0.0).by_false_alerts(1.0)


def test_too_many_false_alerts_at_the_most_cautious_limits_are_an_error():
    with pytest.raises(CalibrationError, match=r'threshold 0.9 .* 20 false alerts .* up to 2.91') \
            as error:
        evidence([20, 30, 40, 50]).by_false_alerts(1.0)
    asked = float(str(error.value).rpartition(' ')[2])
    assert evidence([20, 30, 40, 50]).by_false_alerts(asked) == 0


def test_the_highest_threshold_with_enough_objects_is_chosen():
    found = [[True] * 4] * 18 + [[False, False, True, True], [False, True, True, True]]
    many = evidence([0, 0, 0, 0], found=found)
    assert many.by_recall(0.95) == 2  # None may be missed of 20.
    assert many.by_recall(0.9) == 1   # One may be missed of 20.
    assert many.by_recall(0.8) == 0
    with pytest.raises(CalibrationError, match=r'20, .* needs at least 99.*Label 79 more.* 0.952'):
        many.by_recall(0.99)
    assert many.by_recall(0.952) == 2
    with pytest.raises(CalibrationError, match='object ids'):
        evidence([0, 0, 0, 0]).by_recall(0.5)


def test_an_object_that_is_lost_at_a_lower_threshold_is_not_found_above_it():
    found = [[True] * 4] * 18 + [[True, True, False, True]]
    assert evidence([0, 0, 0, 0], found=found).by_recall(0.95) == 3
    lost = [[True] * 4] * 18 + [[True, True, True, False]]
    with pytest.raises(CalibrationError, match='at most 18 of 19 were found.* needs 19'):
        evidence([0, 0, 0, 0], found=lost).by_recall(0.95)


def test_objects_that_grow_together_below_the_lowest_threshold_count_as_found():
    tried = candidates(0.001)
    low = np.array([c.threshold < LOWEST_FOR_RECALL for c in tried])
    data = Evidence(tried, 1.0, np.zeros(len(tried)), np.tile(~low, (30, 1)), 0.95)
    assert tried[data.by_recall(0.95)].threshold == 0.99
    only_low = Evidence(tried, 1.0, np.zeros(len(tried)), np.tile(low, (30, 1)), 0.95)
    with pytest.raises(CalibrationError, match='at most 0 of 30'):
        only_low.by_recall(0.95)


def test_larger_regions_come_before_lower_thresholds_and_never_with_a_recall():
    tried = candidates(0.001)
    assert [c.min_area for c in tried[:4]] == [0.008, 0.004, 0.002, 0.001]
    assert [c.threshold for c in tried[3:]] == list(THRESHOLDS) == sorted(THRESHOLDS)[::-1]
    assert len(candidates(0.0)) == len(THRESHOLDS) and candidates(0.5)[0].min_area == 1.0
    all_found = Evidence(tried, 1.0, np.zeros(len(tried)), np.ones((30, len(tried)), bool), 0.95)
    assert tried[all_found.by_recall(0.95)] == Candidate(0.99, 0.001)


def test_recordings_are_added_up():
    counts = [SweepCounts('a', 1800.0, 100, np.array([0, 1, 2, 3]), np.ones((2, 4), bool)),
              SweepCounts('b', 900.0, 50, np.array([0, 0, 1, 1]), np.zeros((1, 4), bool))]
    both = Evidence.of(TRIED, counts, 0.9)
    assert both.hours == 0.75 and both.false_alerts.tolist() == [0, 1, 3, 4]
    assert both.found.shape == (3, 4)
    assert both.largest_rate(0) == pytest.approx(2.3026 / 0.75, rel=1e-4)


def test_the_bound_on_false_alerts_is_kept_as_often_as_it_says():
    """In simulated drives, the true rate exceeds the one that was asked for in 5 % at most."""
    rng = np.random.default_rng(0)
    true = np.array([0.2, 0.5, 0.9, 1.2, 2.0, 4.0])
    tried = tuple(Candidate(t, 0.001) for t in np.linspace(0.9, 0.4, len(true)))
    wrong = runs = 0
    for _ in range(1000):
        # An alert at a high threshold is one at the lower thresholds, too.
        false = rng.poisson(10.0 * np.diff(true, prepend=0)).cumsum()
        try:
            chosen = Evidence(tried, 10.0, false, np.zeros((0, 6), bool), 0.95
                              ).by_false_alerts(1.0)
            wrong += true[chosen] > 1.0
        except CalibrationError:
            pass
        runs += 1
    assert 0 < wrong <= 0.05 * runs


def test_the_recall_is_reached_on_average():
    """With simulated objects, whose highest threshold is drawn anew for each calibration."""
    rng = np.random.default_rng(0)
    tried = candidates(0.001)[3:]
    thresholds = np.array([c.threshold for c in tried])
    reached = []
    for _ in range(400):
        objects = rng.beta(6, 1, 60)
        data = Evidence(tried, 1.0, np.zeros(len(tried)), objects[:, None] > thresholds, 0.95)
        # The probability that the next object lies above the threshold.
        reached.append(1 - thresholds[data.by_recall(0.9)] ** 6)
    assert 0.9 <= np.mean(reached) < 0.93
