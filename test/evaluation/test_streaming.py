# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which output a frame is judged by, and what follows for the average precision."""

import numpy as np
import pytest

from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.streaming import newest_outputs, streaming_scores

TIMES = [i * 100 for i in range(6)]


@pytest.mark.parametrize('arrivals, expected', [
    ({}, [None] * 6),
    ({i: i * 100 + 30 for i in range(6)}, [None, 0, 1, 2, 3, 4]),
    ({i: i * 100 for i in range(6)}, [0, 1, 2, 3, 4, 5]),  # At the very time it counts.
    ({i: i * 100 + 130 for i in range(6)}, [None, None, 0, 1, 2, 3]),
    ({0: 150, 3: 460}, [None, None, 0, 0, 0, 3]),
    ({0: 290, 1: 110}, [None, None, 1, 1, 1, 1]),  # An older answer never replaces a newer one.
])
def test_the_newest_output_that_has_arrived(arrivals, expected):
    assert newest_outputs(TIMES, arrivals) == expected


def box_at(x):
    """Return a label with an object at column x."""
    label = np.zeros((8, 40), np.uint8)
    label[:, x:x + 4] = 1
    label[:2] = 255
    return label


def scores(moved, delay):
    """Return the streaming scores of a perfect model, for an object that moves."""
    labels = [box_at(i * moved) for i in range(6)]
    return streaming_scores(
        enumerate(labels), TIMES, {i: t + delay for i, t in enumerate(TIMES)},
        lambda i: (labels[i] == 1).astype(np.float32))


def test_a_perfect_model_without_delay_is_perfect():
    assert scores(2, 0).as_dict() == {
        'streaming_ap': 1.0, 'streaming_frames_without_output': 0, 'streaming_staleness_ms': 0.0}


def test_age_costs_precision_only_where_something_moves():
    """Of an object that stands, only the frames before the first output are missed."""
    still, moving = scores(0, 130), scores(2, 130)
    assert still.without_output == moving.without_output == 2
    assert still.staleness_ms == pytest.approx(200 / 1e6)
    expected = PixelMetrics()
    for i in range(6):
        expected.add((box_at(0) == 1) * np.float32(i > 1), box_at(0))
    assert still.ap == pytest.approx(expected.result().ap)
    assert moving.ap < still.ap < 1


def test_an_output_whose_score_is_not_known_is_left_out():
    found = streaming_scores([(0, box_at(0)), (1, box_at(0))], TIMES, {0: 50}, lambda i: None)
    assert (found.frames, found.without_output, found.staleness_ms) == (1, 1, None)


def test_without_anomalies_it_is_undefined():
    label = np.zeros((2, 2), np.uint8)
    assert streaming_scores([(0, label)], TIMES, {}, lambda i: None).ap is None
