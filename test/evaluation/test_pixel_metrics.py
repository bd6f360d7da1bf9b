# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixel metrics against the official answers, a brute-force sum and hand-made tables."""

from dataclasses import replace
import json
from pathlib import Path
import tracemalloc

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
        assert (scores.ap, scores.auroc, scores.fpr95, scores.best_f1) == (None,) * 4
        assert scores.why_undefined == 'no labelled pixel is anomalous'
        return
    assert scores.ap == pytest.approx(official['AP'], abs=1e-9)
    assert scores.auroc == pytest.approx(official['auroc'], abs=1e-9)
    assert scores.fpr95 == pytest.approx(official['FPR@95%TPR'], abs=1e-9)
    # The official curve has a point for each quantile, so its best F1 is the exact one of ties.
    curve = expected['smiyc.PixBinaryClass']
    assert scores.best_f1 == pytest.approx(
        curve['best_f1'], abs=1e-9 if case == 'c01_ties' else 1e-3)
    assert scores.best_f1_threshold == pytest.approx(
        curve['best_f1_threshold'], abs=1e-6 if case == 'c01_ties' else 0.02)
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
    half, single = measure([(score, label)], False), measure([(score, label)], True)
    assert (half.precision, single.precision) == ('float16', 'float32')
    rounded = measure([(score.astype(np.float16), label)], True)
    assert half == replace(rounded, precision='float16')
    assert half != replace(single, precision='float16')


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


def random_frame(seed=0, size=(60, 80)):
    """Return scores in 0..1 with ties, and labels."""
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 1, 255], size, p=[0.7, 0.2, 0.1]).astype(np.uint8)
    score = np.clip(rng.normal(0.3 + 0.3 * (label == 1), 0.2), 0, 1).astype(np.float32)
    return np.round(score, 2), label


def counts_of(score, label, exact=True):
    """Return the counts of one frame."""
    metrics = PixelMetrics(exact)
    metrics.add(score, label)
    return metrics.tally()


@pytest.mark.parametrize('seed', range(3))
def test_scikit_learn(seed):
    """Every metric that scikit-learn has, on scores with and without ties."""
    sklearn = pytest.importorskip('sklearn.metrics', reason='scikit-learn is not installed')
    from sklearn.calibration import calibration_curve
    score, label = random_frame(seed)
    if seed == 2:
        score += np.random.default_rng(9).random(score.shape, np.float32) / 100
        score /= score.max()
    valid = label != 255
    truth, rank = label[valid], score[valid].astype(np.float64)
    counts = counts_of(score, label)
    scores = counts.scores()
    assert scores.ap == pytest.approx(sklearn.average_precision_score(truth, rank), abs=1e-9)
    assert scores.auroc == pytest.approx(sklearn.roc_auc_score(truth, rank), abs=1e-9)
    precision, recall, thresholds = sklearn.precision_recall_curve(truth, rank)
    f1 = (2 * precision * recall / (precision + recall))[:-1]
    assert scores.best_f1 == pytest.approx(f1.max(), abs=1e-9)
    assert scores.best_f1_threshold == pytest.approx(thresholds[f1.argmax()], abs=1e-9)
    assert scores.best_f1 == pytest.approx(
        sklearn.f1_score(truth, rank >= scores.best_f1_threshold), abs=1e-9)
    fall_out, hits, _ = sklearn.roc_curve(truth, rank, drop_intermediate=False)
    for wanted in (0.5, 0.9, 0.95, 1.0):
        kept = counts.retention(wanted).kept
        assert kept == pytest.approx(1 - fall_out[np.argmax(hits >= wanted)], abs=1e-9)
    shares, means = calibration_curve(truth, rank, n_bins=10)
    curve = counts.calibration()
    assert [b.anomalous for b in curve.bins] == pytest.approx(shares, abs=1e-9)
    assert [b.mean_score for b in curve.bins] == pytest.approx(means, abs=1e-9)


def test_retention_by_hand():
    score = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]])
    counts = counts_of(score, np.array([[1, 0, 1, 0, 0, 1]]), exact=False)
    assert counts.retention(0.6).as_dict() == {
        'ood_recall': 0.6, 'threshold': pytest.approx(0.7, abs=1e-3),
        'id_kept': pytest.approx(2 / 3)}
    assert counts.retention(1.0).kept == 0
    assert counts.retention(0.95) != counts.retention(0.5)
    assert counts.kept(2.0) == 1 and counts.kept(0.0) == 0
    assert counts_of(score, np.zeros((1, 6), np.uint8)).retention(0.9) is None
    for wrong in (0, 1.1):
        with pytest.raises(ValueError, match='above 0 and at most 1'):
            counts.retention(wrong)
    with pytest.raises(ValueError, match='no normal pixel'):
        counts_of(score, np.ones((1, 6), np.uint8)).kept(0.5)


def test_calibration_by_hand():
    score = np.array([[0.05, 0.15, 0.15, 0.95]])
    curve = counts_of(score, np.array([[0, 1, 0, 1]])).calibration()
    assert [(b.low, b.pixels, b.anomalous) for b in curve.bins] == [
        (0.0, 1, 0.0), (0.1, 2, 0.5), (0.9, 1, 1.0)]
    assert curve.expected_error == pytest.approx((0.05 + 2 * 0.35 + 0.05) / 4)
    assert PixelMetrics().tally().calibration() is None
    with pytest.raises(ValueError, match='expected 0..1'):
        counts_of(score * 2, np.zeros((1, 4), np.uint8)).calibration()


def test_merging_distinct_scores_changes_nothing(monkeypatch):
    from vl4ad_ros.evaluation import pixel_metrics
    frames = [random_frame(seed) for seed in range(6)]
    frames[0][0][0, :2] = np.inf
    expected = measure(frames)
    monkeypatch.setattr(pixel_metrics, '_CHUNK', 20)
    assert measure(frames) == expected
    assert measure(frames, exact=False) == measure(
        [(score.astype(np.float16), label) for score, label in frames], exact=False)


def test_the_memory_does_not_grow_with_the_pixels():
    rng = np.random.default_rng(0)
    score = rng.random((1080, 1920), np.float32)
    label = (score > 0.9).astype(np.uint8)
    metrics, peaks = PixelMetrics(), []
    tracemalloc.start()
    try:
        for _ in range(3):
            tracemalloc.reset_peak()
            metrics.add(score, label)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(peaks) < 60e6 and peaks[-1] < peaks[0] + 1e6
    assert metrics.result().anomalous == 3 * label.sum()
