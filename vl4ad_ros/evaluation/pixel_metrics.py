# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision, AUROC and FPR95 over the pixels of any number of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORMAL, ANOMALY, IGNORE = 0, 1, 255
"""The values of a label: an in-distribution pixel, an anomalous pixel, and an ignored one."""


@dataclass(frozen=True)
class PixelScores:
    """
    The three metrics, each in 0..1; None stands for a metric that is undefined.

    :ivar ap: average precision; undefined without an anomalous pixel.
    :ivar auroc: area under the ROC curve; undefined without pixels of both kinds.
    :ivar fpr95: false-positive rate at the first threshold with a recall of at least 0.95;
        undefined without pixels of both kinds.
    :ivar anomalous: number of pixels that are labelled anomalous.
    :ivar normal: number of pixels that are labelled normal.
    """

    ap: float | None
    auroc: float | None
    fpr95: float | None
    anomalous: int
    normal: int


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """
    How many pixels have each score; all pixel metrics follow from these numbers.

    :ivar values: (N,) float64, the distinct scores, falling.
    :ivar normal: (N,) int64, number of normal pixels with each score.
    :ivar anomalous: (N,) int64, number of anomalous pixels with each score.
    """

    values: np.ndarray
    normal: np.ndarray
    anomalous: np.ndarray


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

    Scores are rounded to half precision and counted, so the memory is constant (65,536 counters
    for each label) and the metrics are exact for the rounded scores.

    In this example a normal pixel scores higher than one of the two anomalous pixels:

    >>> import numpy as np
    >>> metrics = PixelMetrics()
    >>> metrics.add(np.array([[0.9, 0.8], [0.7, 0.1]]), np.array([[1, 0], [1, 255]]))
    >>> scores = metrics.result()
    >>> round(scores.ap, 3), scores.auroc, scores.fpr95
    (0.833, 0.5, 1.0)
    >>> scores.anomalous, scores.normal
    (2, 1)
    """

    def __init__(self, exact: bool = False) -> None:
        """
        Start without frames.

        :param exact: count distinct float32 scores instead of float16; the metrics are exact for
            float32 then, and the memory grows with the number of distinct scores.
        """
        self._exact = exact
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._counts = np.zeros((2, 1 << 16), np.int64)

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
        valid = label != IGNORE
        labels = label[valid]
        if labels.size and labels.max() > ANOMALY:
            raise ValueError(f'the label has the value {labels.max()}; expected 0 (normal), 1 '
                             '(anomalous) or 255 (ignored): convert the labels of the data set '
                             'first')
        scores = score[valid].astype(np.float32)
        if np.isnan(scores).any():
            raise ValueError('the score of a labelled pixel is NaN, which cannot be ranked; '
                             'expected numbers: check the inference')
        keys = _ordered_keys(scores if self._exact else _half(scores))
        anomalous = labels == ANOMALY
        if self._exact:
            unique, inverse = np.unique(keys, return_inverse=True)
            self._parts.append((unique, _count(inverse, anomalous, unique.size)))
        else:
            self._counts += _count(keys, anomalous, 1 << 16)

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

    def tally(self) -> PixelCounts:
        """Return how many pixels of all frames so far have each score. Not for exact metrics."""
        found = np.flatnonzero(self._counts.any(axis=0))[::-1]
        sign, keys = np.uint16(1 << 15), found.astype(np.uint16)
        values = np.where(keys & sign, keys ^ sign, ~keys).view(np.float16)
        return PixelCounts(values.astype(np.float64), self._counts[0, found],
                           self._counts[1, found])

    def result(self) -> PixelScores:
        """Return the metrics over all frames that were added so far."""
        counts = self._counts
        if self._parts:
            keys = np.concatenate([k for k, _ in self._parts])
            unique, inverse = np.unique(keys, return_inverse=True)
            counts = np.stack([
                np.bincount(inverse, row, unique.size).astype(np.int64)
                for row in np.concatenate([c for _, c in self._parts], axis=1)])
        counts = counts[:, counts.any(axis=0)][:, ::-1]
        normal, anomalous = (int(n) for n in counts.sum(axis=1))
        false, true = counts.cumsum(axis=1)
        ap = auroc = fpr95 = None
        if anomalous:
            ap = float((counts[1] / anomalous * (true / (true + false))).sum())
        if anomalous and normal:
            recall = np.concatenate([[0.0], true / anomalous])
            fall_out = np.concatenate([[0.0], false / normal])
            auroc = float((np.diff(fall_out) * (recall[1:] + recall[:-1]) / 2).sum())
            fpr95 = float(fall_out[np.searchsorted(recall, 0.95)])
        return PixelScores(ap, auroc, fpr95, anomalous, normal)


def _half(scores: np.ndarray) -> np.ndarray:
    """Round to float16; what is too large becomes infinite."""
    with np.errstate(over='ignore'):
        return scores.astype(np.float16)


def _ordered_keys(scores: np.ndarray) -> np.ndarray:
    """Return unsigned integers in the same order as the floats; 0.0 and -0.0 are equal."""
    unsigned = np.uint16 if scores.dtype == np.float16 else np.uint32
    bits = (scores + scores.dtype.type(0)).view(unsigned)
    sign = unsigned(1 << (8 * scores.itemsize - 1))
    return np.where(bits & sign, ~bits, bits | sign)


def _count(keys: np.ndarray, anomalous: np.ndarray, size: int) -> np.ndarray:
    """Return (2, size) counts of normal and anomalous pixels per key."""
    return np.stack([np.bincount(keys[~anomalous], minlength=size),
                     np.bincount(keys[anomalous], minlength=size)])
