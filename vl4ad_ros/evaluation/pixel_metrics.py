# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixel-wise AP, AUROC and FPR95 over any number of frames, exact for the stored precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORMAL, ANOMALY, IGNORE = 0, 1, 255


@dataclass(frozen=True)
class PixelScores:
    """
    The three figures, each in 0..1; None where it is undefined.

    :ivar ap: average precision; undefined without an anomalous pixel.
    :ivar auroc: area under the ROC curve; undefined without pixels of both kinds.
    :ivar fpr95: false-positive rate where recall first reaches 0.95; undefined like `auroc`.
    :ivar anomalous: pixels labelled anomalous.
    :ivar normal: pixels labelled normal.
    """

    ap: float | None
    auroc: float | None
    fpr95: float | None
    anomalous: int
    normal: int


class PixelMetrics:
    """
    Accumulates frames and answers the figures of Fishyscapes (and of scikit-learn).

    One point per distinct score; AP is the step sum of precision over recall, AUROC the
    trapezoid, FPR95 the rate at the first point with recall >= 0.95, nothing interpolated.
    Scores are counted by half precision: 65,536 counters per label are the whole state, and the
    figures are exact for scores of that precision. With `exact`, distinct float32 scores are
    kept instead: exact for float32, with memory that grows with their number.
    """

    def __init__(self, exact: bool = False) -> None:
        """Start empty; `exact` counts by float32 instead of float16."""
        self._exact = exact
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._counts = np.zeros((2, 1 << 16), np.int64)

    def add(self, score: np.ndarray, label: np.ndarray) -> None:
        """
        Count one frame.

        :param score: (H, W) float, larger is more anomalous.
        :param label: (H, W) integer, 0 normal, 1 anomalous, 255 ignored.
        :raises ValueError: if the shapes differ, a label is another number, or a counted
            score is NaN.
        """
        if score.shape != label.shape:
            raise ValueError(f'score is {score.shape} but label is {label.shape}; '
                             'resize the score to the label first')
        valid = label != IGNORE
        labels = label[valid]
        if labels.size and labels.max() > ANOMALY:
            raise ValueError(f'label holds {labels.max()}; expected 0 normal, 1 anomalous, '
                             '255 ignored: map the data set to these first')
        scores = score[valid].astype(np.float32)
        if np.isnan(scores).any():
            raise ValueError('score holds NaN in a labelled pixel; no ranking can hold it')
        keys = _ordered_keys(scores if self._exact else _half(scores))
        anomalous = labels == ANOMALY
        if self._exact:
            unique, inverse = np.unique(keys, return_inverse=True)
            self._parts.append((unique, _count(inverse, anomalous, unique.size)))
        else:
            self._counts += _count(keys, anomalous, 1 << 16)

    def result(self) -> PixelScores:
        """Return the figures over all frames added so far."""
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
    with np.errstate(over='ignore'):
        return scores.astype(np.float16)


def _ordered_keys(scores: np.ndarray) -> np.ndarray:
    """Return unsigned integers in the order of the floats; both zeros share one."""
    unsigned = np.uint16 if scores.dtype == np.float16 else np.uint32
    bits = (scores + scores.dtype.type(0)).view(unsigned)
    sign = unsigned(1 << (8 * scores.itemsize - 1))
    return np.where(bits & sign, ~bits, bits | sign)


def _count(keys: np.ndarray, anomalous: np.ndarray, size: int) -> np.ndarray:
    """Return (2, size) counts of normal and anomalous pixels per key."""
    return np.stack([np.bincount(keys[~anomalous], minlength=size),
                     np.bincount(keys[anomalous], minlength=size)])
