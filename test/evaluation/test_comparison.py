# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The paired bootstrap over recordings whose scores are known."""

import dataclasses

import numpy as np
import pytest

from vl4ad_ros.evaluation.comparison import ComparisonError, differences, listed, paired
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.recording_result import RecordingResult


def recording(number, quality, false_alerts=2, found=3):
    """Return a result whose anomalous pixels score higher the better the quality."""
    random = np.random.default_rng(number)
    score = random.normal(0.3, 0.1, (40, 100))
    label = np.zeros((40, 100), np.uint8)
    label[:4] = 1
    score[:4] += quality
    pixels = PixelMetrics()
    pixels.add(score.clip(0, 1), label)
    return RecordingResult(f'bags/drive{number}', {
        'frames_recorded': 10, 'labels': 10, 'duration_s': 60.0, 'anomalies': 4,
        'anomalies_alerted': found, 'false_alerts': false_alerts}, pixels.counts, True,
        name=f'drive{number}')


# Drives differ much more from each other than the two models do on each drive.
QUALITY = np.linspace(0.02, 0.4, 8)


def ap(*counts):
    """Return the average precision of the pixels of all counts."""
    metrics = PixelMetrics()
    for one in counts:
        metrics.add_counts(one)
    return metrics.result().ap


def pairs(better_by, **figures):
    """Return eight drives, each evaluated with two models."""
    return [(recording(i, q), recording(i, q + better_by, **figures))
            for i, q in enumerate(QUALITY)]


def test_equal_evaluations_do_not_differ():
    found = differences(pairs(0), rounds=50)
    assert set(found) == {'pixel_ap', 'pixel_auroc', 'fpr95', 'alerted_share',
                          'false_alerts_per_minute'}
    for one in found.values():
        assert one.change == 0 and one.interval == (0, 0)


def test_a_small_improvement_of_every_drive_is_seen_through_their_differences():
    both = pairs(0.02)
    found = differences(both, rounds=200)
    gain = found['pixel_ap']
    assert 0 < gain.interval[0] < gain.change < gain.interval[1] and gain.drop < 0
    assert found['fpr95'].drop < 0 and found['fpr95'].interval[1] < 0
    # Without the pairs, the drives would hide it: they differ by far more than that.
    assert np.std([ap(one.pixels) for one, _ in both]) > 5 * gain.change
    assert gain.first == ap(*(one.pixels for one, _ in both))
    assert gain.second == ap(*(other.pixels for _, other in both))
    assert differences(both, rounds=200) == found, 'the same drives are drawn each time'


def test_rates_of_alerts_are_compared_too():
    found = differences(pairs(0, false_alerts=5, found=1), rounds=50)
    assert found['false_alerts_per_minute'].drop == pytest.approx(3)
    assert found['false_alerts_per_minute'].interval == pytest.approx((3, 3))
    assert found['alerted_share'].drop == pytest.approx(0.5)
    assert '+3.0000' in listed(found)


def test_one_recording_has_no_interval():
    found = differences(pairs(0.02)[:1])
    assert found['pixel_ap'].interval is None and found['pixel_ap'].change > 0
    assert 'needs two recordings or more' in listed(found)


def test_only_the_same_recordings_are_compared():
    one, other = recording(1, 0.2), recording(2, 0.2)
    assert [pair[0].name for pair in paired([one, other], [other])] == ['drive2']
    with pytest.raises(ComparisonError, match='no recording in common: drive1 and drive2'):
        paired([one], [other])
    longer = dataclasses.replace(one, figures={**one.figures, 'labels': 12})
    with pytest.raises(ComparisonError, match='labels 10 in the first evaluation and 12'):
        paired([one], [longer])
