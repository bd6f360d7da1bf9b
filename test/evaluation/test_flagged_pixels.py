# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shares of flagged pixels, of anomalies and of pasted known things."""

import numpy as np
import pytest

from vl4ad_ros.evaluation.alert_metrics import Truth, TruthFrame
from vl4ad_ros.evaluation.flagged_pixels import FlaggedPixels

TRUTH = Truth({}, [], {1: 'cow', 2: 'person', 4: 'person', 5: 'car'})


def test_shares_over_frames_and_kinds():
    pixels = FlaggedPixels()
    label = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 255, 0]])
    ids = np.array([[1, 1, 1, 1, 2, 2, 4, 4, 2, 0]])
    pixels.add(np.array([[255, 255, 255, 0, 255, 0, 0, 0, 255, 255]]), label, ids)
    pixels.add(np.full((1, 4), 255), np.zeros((1, 4), np.uint8), np.full((1, 4), 5))
    assert pixels.figures(TRUTH) == {
        'anomalous_flagged': 0.75, 'known_flagged': 0.625,
        'known_flagged_by_kind': {'car': 1.0, 'person': 0.25}}


def test_without_known_things_there_are_no_figures():
    pixels = FlaggedPixels()
    pixels.add(np.full((1, 2), 255), np.array([[1, 0]]), np.array([[1, 0]]))
    assert pixels.figures(TRUTH) == {}


def test_without_anomalies_their_share_is_undefined():
    pixels = FlaggedPixels()
    pixels.add(np.zeros((1, 2)), np.array([[0, 0]]), np.array([[2, 0]]))
    assert pixels.figures(TRUTH)['anomalous_flagged'] is None
    assert pixels.figures(TRUTH)['known_flagged'] == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='expected the same shape'):
        FlaggedPixels().add(np.zeros((1, 2)), np.zeros((2, 1)), np.zeros((1, 2)))


def test_known_things_are_not_among_the_objects_to_find():
    label = np.zeros((20, 20), np.uint8)
    ids = np.zeros((20, 20), np.uint16)
    label[:4, :4], ids[:4, :4], ids[10:14, 10:14] = 1, 1, 2
    assert set(TruthFrame.of(label, ids).objects) == {1}
