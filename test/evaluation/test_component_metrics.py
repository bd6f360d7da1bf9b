# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Component metrics against the official answers, a slow loop, and hand-made tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from vl4ad_ros.evaluation.component_metrics import (
    ANOMALY_TRACK, component_scores, ComponentMetrics, OBSTACLE_TRACK, size_class, SizeLimits,
    THRESHOLDS)

ORACLE = Path(__file__).resolve().parents[2] / '..' / 'shared' / 'oracles' / 'metrics'
CASES = sorted(path.stem for path in (ORACLE / 'cases').glob('*.npz'))
ALL = SizeLimits(1, 1)


def official(value):
    """Return a number of the official answers; None where they say 'nan'."""
    return None if value == 'nan' else value


@pytest.mark.skipif(not CASES, reason='official answers (shared/oracles) not present')
@pytest.mark.parametrize('case', CASES)
def test_official_answers(case):
    data = np.load(ORACLE / 'cases' / f'{case}.npz')
    expected = json.loads((ORACLE / 'expected.json').read_text())['cases'][case]
    tracks = {name: answer for name, answer in expected.items() if '.SegEval-' in name}
    assert tracks
    for name, answer in tracks.items():
        limits = ANOMALY_TRACK if 'AnomalyTrack' in name else OBSTACLE_TRACK
        assert (limits.predicted, limits.truth) == (
            answer['thresh_segsize'], answer['thresh_instsize'])
        metrics = ComponentMetrics(answer['thresh_p'], limits)
        for i, frame in enumerate(answer['frames']):
            found = metrics.add(data[f'score_{i}'], data[f'label_{i}'])
            alone = component_scores([found])
            for threshold, true, missed, false in zip(
                    THRESHOLDS, alone.true, alone.missed, alone.false):
                suffix = f'{threshold * 100:.0f}'
                assert (true, missed, false) == tuple(
                    frame[f'{what}_{suffix}'] for what in ('tp', 'fn', 'fp')), (name, i)
            for key, values in (('sIoU_gt', found.truth_siou), ('size_gt', found.truth_pixels),
                                ('sIoU_pred', found.predicted_siou),
                                ('size_pred', found.predicted_pixels),
                                ('prec_pred', found.predicted_ppv)):
                assert sorted(values) == pytest.approx(sorted(frame[key]), abs=1e-9), key
        scores, total = metrics.result(), answer['aggregate']
        if 'raises' in total:
            assert scores.mean_f1 is None and scores.siou is None and scores.ppv is None
            continue
        for ours, theirs in ((scores.siou, 'sIoU_gt'), (scores.siou_predicted, 'sIoU_pred'),
                             (scores.ppv, 'prec_pred'), (scores.mean_f1, 'f1_mean')):
            assert ours == pytest.approx(official(total[theirs]), abs=1e-9), (name, theirs)
        for at, suffix in ((0, '25'), (5, '50'), (10, '75')):
            assert (scores.true[at], scores.missed[at], scores.false[at]) == tuple(
                total[f'{what}_{suffix}'] for what in ('tp', 'fn', 'fp'))


def neighbours(mask):
    """Return the components of a mask as sets of pixels, connected over edges and corners."""
    left = {tuple(p) for p in np.argwhere(mask)}
    while left:
        found, border = set(), [left.pop()]
        while border:
            y, x = border.pop()
            found.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            border += near
        yield found


def by_sets(score, label, threshold, limits):
    """Return sorted sIoU of the truth and sorted PPV by sets of pixels, as the paper says."""
    guesses = [c for c in neighbours((score > threshold) & (label != 255))
               if len(c) >= limits.predicted]
    truths = list(neighbours(label == 1))
    void = {tuple(p) for p in np.argwhere(label == 255)}
    void |= set().union(*(t for t in truths if len(t) < limits.truth))
    if label.size - sum(map(len, truths)) < limits.truth:
        void |= {tuple(p) for p in np.argwhere(label != 1)}
    truths = [t for t in truths if not t & void]
    guesses = [g for g in (g - void for g in guesses) if g]
    siou = []
    for truth in truths:
        touching = set().union(*(g for g in guesses if g & truth))
        others = set().union(*(t for t in truths if t is not truth)) & touching
        siou.append(len(truth & touching) / len((truth | touching) - others))
    whole = set().union(*truths)
    return sorted(siou), sorted(len(g & whole) / len(g) for g in guesses)


@pytest.mark.parametrize('seed', range(12))
def test_sets_of_pixels(seed):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.repeat(rng.choice([0, 1, 255], (7, 9), p=[0.6, 0.3, 0.1]), 4, 0), 4, 1)
    score = np.where(label == 1, 0.6, 0.4) + rng.normal(size=label.shape) * 0.15
    if seed == 11:
        label[:] = 1
        label[:2, :3] = 0
    limits = SizeLimits(3, 20)
    found = ComponentMetrics(0.5, limits).add(score, label.astype(np.uint8))
    siou, ppv = by_sets(score, label, 0.5, limits)
    assert sorted(found.truth_siou) == pytest.approx(siou, abs=1e-12)
    assert sorted(found.predicted_ppv) == pytest.approx(ppv, abs=1e-12)


def test_limits_keep_components_of_exactly_their_size():
    label, score = np.zeros((9, 9), np.uint8), np.zeros((9, 9))
    label[1:3, 1:3] = 1
    score[1:3, 1:3] = 1
    assert ComponentMetrics(0.5, SizeLimits(4, 4)).add(score, label).truth_siou.tolist() == [1]
    found = ComponentMetrics(0.5, SizeLimits(5, 4)).add(score, label)
    assert found.truth_siou.tolist() == [0] and found.predicted_ppv.size == 0
    found = ComponentMetrics(0.5, SizeLimits(4, 5)).add(score, label)
    assert found.truth_siou.size == found.predicted_ppv.size == 0


def test_a_score_at_the_threshold_is_not_predicted():
    label = np.ones((4, 4), np.uint8)
    assert ComponentMetrics(0.5, ALL).add(np.full((4, 4), 0.5), label).truth_siou.tolist() == [0]


def test_corners_connect():
    label = np.eye(4, dtype=np.uint8)
    assert ComponentMetrics(0.5, ALL).add(label.astype(float), label).truth_siou.tolist() == [1]


def test_undefined_is_none():
    metrics = ComponentMetrics(0.5, ALL)
    assert metrics.result().mean_f1 is None
    metrics.add(np.zeros((4, 4)), np.full((4, 4), 255, np.uint8))
    scores = metrics.result()
    assert (scores.siou, scores.ppv, scores.mean_f1) == (None, None, None)
    metrics.add(np.ones((4, 4)), np.zeros((4, 4), np.uint8))
    scores = metrics.result()
    assert (scores.siou, scores.ppv, scores.mean_f1) == (None, 0, 0)


def test_by_size():
    assert [size_class(n) for n in (1, 1023, 1024, 9215, 9216)] == [
        'small', 'small', 'medium', 'medium', 'large']
    label, score = np.zeros((60, 80), np.uint8), np.zeros((60, 80))
    label[:40, :40] = label[50:54, 60:64] = 1
    score[:40, :30] = 1
    metrics = ComponentMetrics(0.5, ALL)
    metrics.add(score, label)
    sizes = metrics.result().as_dict()['by_size']
    assert sizes['medium'] == {'objects': 1, 'found': 1, 'siou': 0.75}
    assert sizes['small'] == {'objects': 1, 'found': 0, 'siou': 0.0}
    assert sizes['large'] == {'objects': 0, 'found': 0, 'siou': None}


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='resize the score'):
        ComponentMetrics(0.5, ALL).add(np.zeros((2, 3)), np.zeros((3, 2), np.uint8))
