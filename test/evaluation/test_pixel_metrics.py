# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixel metrics against the official answers, a brute-force sum and hand-made tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics

ORACLE = Path(__file__).resolve().parents[2] / '..' / 'shared' / 'oracles' / 'metrics'


def measure(frames, exact=True):
    """Return the scores of several (score, label) frames."""
    metrics = PixelMetrics(exact)
    for score, label in frames:
        metrics.add(score, label)
    return metrics.result()


def brute_force(score, label):
    """Return AP, AUROC, FPR95 by one loop over distinct scores and one over pairs."""
    positive, negative = score[label == 1], score[label == 0]
    ap, last, fpr95 = 0.0, 0.0, None
    for threshold in np.unique(score[label != 255])[::-1]:
        true, false = (positive >= threshold).sum(), (negative >= threshold).sum()
        recall = true / positive.size
        ap += (recall - last) * true / (true + false)
        last = recall
        if fpr95 is None and recall >= 0.95:
            fpr95 = false / negative.size
    pairs = positive[:, None] - negative[None]
    return ap, ((pairs > 0) + 0.5 * (pairs == 0)).mean(), fpr95


@pytest.mark.skipif(not ORACLE.is_dir(), reason='official answers (shared/oracles) not present')
@pytest.mark.parametrize('case', ['c01_ties', 'c03_ignore', 'c05_no_anomaly'])
def test_official_answers(case):
    data = np.load(ORACLE / 'cases' / f'{case}.npz')
    expected = json.loads((ORACLE / 'expected.json').read_text())['cases'][case]
    official = expected['fishyscapes.perpixAP']
    scores = measure([(data[f'score_{i}'], data[f'label_{i}']) for i in range(int(data['n']))])
    if official['AP'] == 'nan':
        assert (scores.ap, scores.auroc, scores.fpr95) == (None, None, None)
        return
    assert scores.ap == pytest.approx(official['AP'], abs=1e-9)
    assert scores.auroc == pytest.approx(official['auroc'], abs=1e-9)
    assert scores.fpr95 == pytest.approx(official['FPR@95%TPR'], abs=1e-9)
    assert scores.anomalous == expected['sklearn_exact(not official)']['n_pos']
    assert scores.anomalous + scores.normal == expected['sklearn_exact(not official)']['n']


@pytest.mark.parametrize('exact', [True, False])
@pytest.mark.parametrize('seed', range(4))
def test_brute_force(seed, exact):
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 1, 255], (3, 12, 10), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    score = (rng.normal(size=label.shape) * 4 + label % 254).astype(np.float32)
    if seed % 2:
        score = np.round(score)
    if not exact:
        score = score.astype(np.float16).astype(np.float32)
    got = measure(zip(score, label), exact)
    assert (got.ap, got.auroc, got.fpr95) == pytest.approx(brute_force(score, label), abs=1e-12)


def test_half_precision_is_the_figure_of_rounded_scores():
    rng = np.random.default_rng(0)
    label = (rng.random((40, 50)) < 0.1).astype(np.uint8)
    score = (rng.random((40, 50)) * 0.7 + 0.3 * label).astype(np.float32)
    assert measure([(score, label)], False) == measure([(score.astype(np.float16), label)], True)
    assert measure([(score, label)], False) != measure([(score, label)], True)


def test_both_zeros_are_one_score():
    score = np.array([[-0.0, 0.0]], np.float32)
    assert measure([(score, np.array([[0, 1]]))]).auroc == 0.5


@pytest.mark.parametrize('label, defined', [
    ([0, 0, 0], (False, False, False)),
    ([1, 1, 1], (True, False, False)),
    ([255, 255, 255], (False, False, False)),
    ([0, 1, 255], (True, True, True)),
])
def test_undefined_is_none(label, defined):
    got = measure([(np.array([[0.1, 0.2, 0.3]]), np.array([label]))])
    assert tuple(v is not None for v in (got.ap, got.auroc, got.fpr95)) == defined


def test_no_frame_is_undefined():
    assert PixelMetrics().result().ap is None
    assert PixelMetrics(exact=True).result().ap is None


@pytest.mark.parametrize('score, label, message', [
    ([[0.1, np.nan]], [[0, 1]], 'NaN'),
    ([[0.1, 0.2]], [[0, 2]], 'label has the value 2'),
    ([[0.1, 0.2]], [[0, 1, 1]], 'resize the score'),
])
def test_refusals(score, label, message):
    with pytest.raises(ValueError, match=message):
        PixelMetrics().add(np.array(score), np.array(label))


def test_nan_under_ignore_is_allowed():
    got = measure([(np.array([[np.nan, 0.9, 0.1]]), np.array([[255, 1, 0]]))])
    assert got.ap == 1.0
