# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixel metrics over any number of frames: AP, AUROC, FPR95, best F1, retention, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NORMAL, ANOMALY, IGNORE = 0, 1, 255
"""The values of a label: an in-distribution pixel, an anomalous pixel, and an ignored one."""
HALF, SINGLE = 'float16', 'float32'
"""The precision in which scores are counted."""

_BITS = 1 << 16
_CHUNK = 1 << 20  # pixels that are counted at a time, so that the intermediate arrays stay small
_HALVES = np.arange(_BITS, dtype=np.uint16).view(np.float16)


@dataclass(frozen=True)
class PixelScores:
    """
    The pixel metrics, each in 0..1 but for the threshold; None stands for one that is undefined.

    :ivar ap: average precision; undefined without an anomalous pixel.
    :ivar auroc: area under the ROC curve; undefined without pixels of both kinds.
    :ivar fpr95: false-positive rate at the first threshold with a recall of at least 0.95;
        undefined without pixels of both kinds.
    :ivar anomalous: number of pixels that are labelled anomalous.
    :ivar normal: number of pixels that are labelled normal.
    :ivar best_f1: the largest F1 score that any threshold reaches; undefined without an
        anomalous pixel.
    :ivar best_f1_threshold: that threshold; scores of at least this value count as anomalous.
    :ivar precision: `HALF` if the scores were rounded to half precision, else `SINGLE`.
    """

    ap: float | None
    auroc: float | None
    fpr95: float | None
    anomalous: int
    normal: int
    best_f1: float | None = None
    best_f1_threshold: float | None = None
    precision: str = HALF

    @property
    def why_undefined(self) -> str:
        """The reason why a metric is None; ``''`` if all of them are defined."""
        missing = [kind for kind, count in (('anomalous', self.anomalous), ('normal', self.normal))
                   if not count]
        return f'no labelled pixel is {" or ".join(missing)}' if missing else ''

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by the names that reports use; None where one is undefined."""
        return {'pixel_ap': self.ap, 'pixel_auroc': self.auroc, 'fpr95': self.fpr95,
                'best_f1': self.best_f1, 'best_f1_threshold': self.best_f1_threshold,
                'anomalous_pixels': self.anomalous, 'normal_pixels': self.normal,
                'score_precision': self.precision}


@dataclass(frozen=True)
class Retention:
    """
    Which share of the in-distribution pixels is kept while so many anomalous pixels are found.

    :ivar recall: the recall of anomalous pixels that was asked for, above 0 and at most 1.
    :ivar threshold: the largest threshold with at least this recall.
    :ivar kept: share of the normal pixels below the threshold, 0..1.
    """

    recall: float
    threshold: float
    kept: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by the names that reports use."""
        return {'ood_recall': self.recall, 'threshold': self.threshold, 'id_kept': self.kept}


@dataclass(frozen=True)
class CalibrationBin:
    """
    The pixels whose score lies in one interval.

    :ivar low: lower end of the interval, not included but for 0.
    :ivar high: upper end, included.
    :ivar pixels: number of labelled pixels in it, at least 1.
    :ivar mean_score: their mean score.
    :ivar anomalous: share of them that is anomalous, 0..1.
    """

    low: float
    high: float
    pixels: int
    mean_score: float
    anomalous: float


@dataclass(frozen=True)
class CalibrationCurve:
    """
    How often pixels of a certain score are anomalous; a calibrated score says just that.

    :ivar bins: the intervals that have pixels, by rising score.
    :ivar expected_error: mean, over the pixels, of the distance between the mean score and the
        share of anomalous pixels in their interval (the expected calibration error), 0..1.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by the names that reports use."""
        return {'expected_calibration_error': self.expected_error,
                'bins': [vars(part) for part in self.bins]}


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """
    How many pixels have each score; all pixel metrics follow from these numbers.

    :ivar values: (N,) float64, the distinct scores, falling.
    :ivar normal: (N,) int64, number of normal pixels with each score.
    :ivar anomalous: (N,) int64, number of anomalous pixels with each score.
    :ivar precision: `HALF` if the scores were rounded to half precision, else `SINGLE`.
    """

    values: np.ndarray
    normal: np.ndarray
    anomalous: np.ndarray
    precision: str = HALF

    def scores(self) -> PixelScores:
        """Return the metrics, as `PixelMetrics` defines them."""
        true, false = self.anomalous.cumsum(), self.normal.cumsum()
        anomalous, normal = int(self.anomalous.sum()), int(self.normal.sum())
        ap = auroc = fpr95 = best_f1 = threshold = None
        if anomalous:
            ap = float((self.anomalous / anomalous * (true / (true + false))).sum())
            f1 = 2 * true / (anomalous + true + false)
            best = int(f1.argmax())
            best_f1, threshold = float(f1[best]), float(self.values[best])
        if anomalous and normal:
            recall = np.concatenate([[0.0], true / anomalous])
            fall_out = np.concatenate([[0.0], false / normal])
            auroc = float((np.diff(fall_out) * (recall[1:] + recall[:-1]) / 2).sum())
            fpr95 = float(fall_out[np.searchsorted(recall, 0.95)])
        return PixelScores(ap, auroc, fpr95, anomalous, normal, best_f1, threshold,
                           self.precision)

    def retention(self, recall: float) -> Retention | None:
        """
        Return the share of in-distribution pixels that is kept at a recall of anomalous pixels.

        This is the quantity of Fig. 5 of VL4AD (L. Zhong et al., ECCV 2024 Workshops,
        arXiv:2409.17330), whose authors published no code: the threshold is the largest one that
        finds this share of the anomalous pixels, and a normal pixel is kept if its score is below
        it.

        :param recall: above 0 and at most 1.
        :returns: None without pixels of both kinds.
        :raises ValueError: if `recall` is out of its range.
        """
        if not 0 < recall <= 1:
            raise ValueError(f'the recall is {recall}; expected a number above 0 and at most 1')
        true = self.anomalous.cumsum()
        if not true.size or not true[-1] or not self.normal.any():
            return None
        first = int(np.searchsorted(true / true[-1], recall))
        threshold = float(self.values[first])
        return Retention(recall, threshold, self.kept(threshold))

    def kept(self, threshold: float) -> float:
        """
        Return the share of the normal pixels whose score is below a threshold, 0..1.

        :param threshold: of the score.
        :raises ValueError: if there is no normal pixel.
        """
        if not self.normal.any():
            raise ValueError('there is no normal pixel, so no share of them; expected labels with '
                             'the value 0')
        return float(self.normal[self.values < threshold].sum() / self.normal.sum())

    def calibration(self, bins: int = 10) -> CalibrationCurve | None:
        """
        Return how often the pixels of each score are anomalous.

        The intervals are those of `sklearn.calibration.calibration_curve` with equal widths. The
        error is that of M. P. Naeini et al., "Obtaining Well Calibrated Probabilities Using
        Bayesian Binning", AAAI 2015, for the score of an anomaly.

        :param bins: number of intervals of equal width in 0..1, at least 1.
        :returns: None without labelled pixels.
        :raises ValueError: if a score is outside of 0..1.
        """
        if not self.values.size:
            return None
        if self.values[0] > 1 or self.values[-1] < 0:
            raise ValueError(f'the scores lie in {self.values[-1]:g}..{self.values[0]:g}; '
                             'expected 0..1, because only such a score can be a probability')
        edges = np.linspace(0, 1, bins + 1)
        place = np.searchsorted(edges[1:-1], self.values)
        pixels = self.normal + self.anomalous
        total, anomalous, score = (np.bincount(place, weights, bins) for weights in (
            pixels, self.anomalous, self.values * pixels))
        found = tuple(
            CalibrationBin(float(edges[i]), float(edges[i + 1]), int(total[i]),
                           float(score[i] / total[i]), float(anomalous[i] / total[i]))
            for i in np.flatnonzero(total))
        error = sum(part.pixels * abs(part.mean_score - part.anomalous) for part in found)
        return CalibrationCurve(found, float(error / total.sum()))


class PixelMetrics:
    """
    Computes the pixel metrics of the Fishyscapes benchmark over any number of frames.

    The definitions are those of H. Blum et al., "The Fishyscapes Benchmark: Measuring Blind Spots
    in Semantic Segmentation", IJCV 2021 (arXiv:1904.03215), as the official code computes them:
    `calculate_metrics_perpixAP` of https://github.com/hermannsblum/bdl-benchmark. The pixels of
    all frames are pooled, and the curves have one point for each distinct score. AP is the sum of
    precision times the increase of recall (a step sum), AUROC is the area by the trapezoidal
    rule, and FPR95 is taken at the first point with a recall of at least 0.95; nothing is
    interpolated. AP and AUROC equal `average_precision_score` and `roc_auc_score` of scikit-learn.
    The best F1 is the largest one of all points of the curve, as in SegmentMeIfYouCan.

    Scores are rounded to half precision and counted, so the memory is constant (65,536 counters
    for each label) and the metrics are exact for the rounded scores.

    In this example a normal pixel scores higher than one of the two anomalous pixels:

    >>> import numpy as np
    >>> metrics = PixelMetrics()
    >>> metrics.add(np.array([[0.9, 0.8], [0.7, 0.1]]), np.array([[1, 0], [1, 255]]))
    >>> scores = metrics.result()
    >>> round(scores.ap, 3), scores.auroc, scores.fpr95, scores.best_f1
    (0.833, 0.5, 1.0, 0.8)
    >>> scores.anomalous, scores.normal
    (2, 1)
    """

    def __init__(self, exact: bool = False) -> None:
        """
        Start without frames.

        :param exact: count distinct float32 scores instead of float16; the metrics are exact for
            float32 then, and the memory grows with the number of distinct scores: 12 bytes for
            each, and several times as much while they are merged.
        """
        self._exact = exact
        self._counts = np.zeros((2, _BITS), np.int64)
        self._distinct = (_Distinct(), _Distinct())

    def add(self, score: np.ndarray, label: np.ndarray) -> None:
        """
        Add one frame.

        :param score: (H, W) of a floating-point type and any range; larger is more anomalous.
        :param label: (H, W) of an unsigned integer type: 0 for normal, 1 for anomalous and 255
            for ignored pixels.
        :raises ValueError: if the shapes differ, a label has another value, or the score of a
            pixel that is not ignored is NaN.
        """
        if score.shape != label.shape:
            raise ValueError(f'the score has the shape {score.shape}, but the label has '
                             f'{label.shape}; resize the score to the label first')
        known = (label == NORMAL) | (label == ANOMALY) | (label == IGNORE)
        if not known.all():
            raise ValueError(f'the label has the value {label[~known].max()}; expected 0 '
                             '(normal), 1 (anomalous) or 255 (ignored): convert the labels of '
                             'the data set first')
        if not self._exact:
            self._counts += _half_counts(score.ravel(), label.ravel())
            return
        parts = [score[label == kind].astype(np.float32) for kind in (NORMAL, ANOMALY)]
        _refuse_nan(any(np.isnan(part).any() for part in parts))
        for distinct, part in zip(self._distinct, parts):
            distinct.add(part)

    def tally(self) -> PixelCounts:
        """Return how many pixels of all frames so far have each score."""
        if self._exact:
            (normal, normals), (anomalous, anomalies) = (d.merged() for d in self._distinct)
            values = np.union1d(normal, anomalous)
            counts = np.zeros((2, values.size), np.int64)
            counts[0, np.searchsorted(values, normal)] = normals
            counts[1, np.searchsorted(values, anomalous)] = anomalies
        else:
            values, counts = _HALVES, self._counts
        used = np.flatnonzero(counts.any(axis=0))
        order = used[np.argsort(values[used], kind='stable')[::-1]]
        return PixelCounts(values[order].astype(np.float64), counts[0, order], counts[1, order],
                           SINGLE if self._exact else HALF)

    @property
    def counts(self) -> np.ndarray:
        """
        The counters, from which `add_counts` of another object continues.

        They are int64 (2, 65536): normal and anomalous pixels by score. Not for exact metrics.
        """
        return self._counts.copy()

    def add_counts(self, counts: np.ndarray) -> None:
        """
        Add the frames of another object, which may have been in another process.

        :param counts: its `counts`.
        """
        self._counts += counts

    def result(self) -> PixelScores:
        """Return the metrics over all frames that were added so far."""
        return self.tally().scores()


class _Distinct:
    """Distinct float32 scores and how often each of them came."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray]] = [
            (np.zeros(0, np.float32), np.zeros(0, np.int64))]
        self._pending = 0

    def add(self, scores: np.ndarray) -> None:
        # Adding 0 turns -0.0 into 0.0.
        values, counts = np.unique(scores + np.float32(0), return_counts=True)
        self._parts.append((values, counts))
        self._pending += values.size
        # Merging costs as much as it keeps, so it waits until it can halve what is kept.
        if self._pending > max(self._parts[0][0].size, _CHUNK):
            self.merged()

    def merged(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rising values and their counts."""
        values = np.sort(np.concatenate([part for part, _ in self._parts]))
        values = values[np.append(True, values[1:] != values[:-1])[:values.size]]
        counts = np.zeros(values.size, np.int64)
        for part, count in self._parts:
            counts[np.searchsorted(values, part)] += count
        self._parts, self._pending = [(values, counts)], 0
        return self._parts[0]


def round_to(scores: np.ndarray, precision: str) -> np.ndarray:
    """
    Round scores as `PixelMetrics` counts them.

    :param scores: of any floating-point type and shape.
    :param precision: `HALF` or `SINGLE`.
    :returns: the same shape as float16, where what is too large becomes infinite, or as float32.
    """
    single = scores.astype(np.float32, copy=False)
    if precision == SINGLE:
        return single
    with np.errstate(over='ignore'):
        return single.astype(np.float16)


def mean_over(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the mean of numbers; None if there are none."""
    return float(np.mean(values)) if len(values) else None


def _half_counts(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return (2, 65536) counts of normal and anomalous pixels by the bits of their half."""
    counts = np.zeros((2, _BITS), np.int64)
    for start in range(0, score.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        for kind, row in zip((NORMAL, ANOMALY), counts):
            half = round_to(score[chunk][label[chunk] == kind], HALF)
            row += np.bincount(half.view(np.uint16), minlength=_BITS)
    _refuse_nan(bool(counts[:, np.isnan(_HALVES)].any()))
    counts[:, 0] += counts[:, 1 << 15]  # 0.0 and -0.0 are equal
    counts[:, 1 << 15] = 0
    return counts


def _refuse_nan(found: bool) -> None:
    if found:
        raise ValueError('the score of a labelled pixel is NaN, which cannot be ranked; '
                         'expected numbers: check the inference')
