# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Component metrics: which anomalies are found as whole objects, and which segments are false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, mean_over

THRESHOLDS = tuple(np.linspace(0.25, 0.75, 11).tolist())
"""The values of sIoU and PPV from which on a component counts as found or as right."""
SIZES = (('small', 32**2), ('medium', 96**2), ('large', None))
"""Classes of size by their names: an object belongs to the first one whose limit in pixels is
larger than it. The limits are those of COCO (T.-Y. Lin et al., ECCV 2014)."""


@dataclass(frozen=True)
class SizeLimits:
    """
    The smallest components that count, in pixels.

    :ivar predicted: predicted components with fewer pixels are dropped.
    :ivar truth: ground-truth components with fewer pixels are ignored.
    """

    predicted: int
    truth: int


ANOMALY_TRACK, OBSTACLE_TRACK = SizeLimits(500, 100), SizeLimits(50, 10)
"""The limits of the two tracks of SegmentMeIfYouCan."""


@dataclass(frozen=True, eq=False)
class FrameComponents:
    """
    The components of one frame.

    :ivar truth_siou: (N,) float64, sIoU of each ground-truth component, 0..1.
    :ivar truth_pixels: (N,) int64, number of pixels of each of them.
    :ivar predicted_siou: (M,) float64, sIoU of each predicted component, 0..1.
    :ivar predicted_ppv: (M,) float64, share of each predicted component that is anomalous, 0..1.
    :ivar predicted_pixels: (M,) int64, number of pixels of each of them.
    """

    truth_siou: np.ndarray
    truth_pixels: np.ndarray
    predicted_siou: np.ndarray
    predicted_ppv: np.ndarray
    predicted_pixels: np.ndarray


@dataclass(frozen=True)
class ComponentScores:
    """
    The component metrics of a data set; None stands for one that is undefined.

    :ivar siou: mean sIoU of the ground-truth components; undefined if there are none.
    :ivar siou_predicted: mean sIoU of the predicted components; undefined if there are none.
    :ivar ppv: mean share of the predicted components that is anomalous; undefined if there are
        none.
    :ivar true: number of ground-truth components with at least this sIoU, for each of
        `THRESHOLDS`.
    :ivar missed: number of the other ground-truth components, for each of them.
    :ivar false: number of predicted components with a smaller PPV, for each of them.
    :ivar f1: 2 TP / (2 TP + FN + FP) for each of them; undefined if all three are 0.
    :ivar mean_f1: the mean of these; undefined if one of them is.
    :ivar by_size: for each class of `SIZES` the number of ground-truth components, the number of
        those with an sIoU of at least 0.5, and their mean sIoU, which is undefined if there are
        none.
    """

    siou: float | None
    siou_predicted: float | None
    ppv: float | None
    true: tuple[int, ...]
    missed: tuple[int, ...]
    false: tuple[int, ...]
    f1: tuple[float | None, ...]
    mean_f1: float | None
    by_size: dict[str, tuple[int, int, float | None]]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by the names that reports use; None where one is undefined."""
        return {
            'siou': self.siou, 'siou_predicted': self.siou_predicted, 'ppv': self.ppv,
            'mean_f1': self.mean_f1,
            'by_threshold': [
                {'threshold': round(threshold, 2), 'true': true, 'missed': missed, 'false': false,
                 'f1': f1} for threshold, true, missed, false, f1 in zip(
                    THRESHOLDS, self.true, self.missed, self.false, self.f1)],
            'by_size': {name: {'objects': count, 'found': found, 'siou': siou}
                        for name, (count, found, siou) in self.by_size.items()}}


class ComponentMetrics:
    """
    Computes the component metrics of SegmentMeIfYouCan over any number of frames.

    The definitions are those of R. Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly
    Segmentation", NeurIPS 2021 Datasets and Benchmarks (arXiv:2104.14812), as the official code
    computes them (https://github.com/SegmentMeIfYouCan/road-anomaly-benchmark):

    * A pixel is predicted if its score is above the threshold and it is not ignored. Components
      are connected over edges and corners. Components that are too small do not count
      (`SizeLimits`); the pixels of a ground-truth component that is too small are ignored, and so
      is everything around the ground truth if it has too few pixels.
    * sIoU of a ground-truth component: its pixels that are predicted, divided by its pixels and
      those of the predicted components that touch it. Pixels on other ground-truth components do
      not count, because one predicted component may cover several of them.
    * PPV of a predicted component: the share of its pixels on any ground-truth component.
    * F1 counts the components of the whole data set.

    Example: one of two objects is found, and half of the predicted component lies on it.

    >>> score, label = np.zeros((8, 20)), np.zeros((8, 20), np.uint8)
    >>> label[2:6, 2:6] = label[2:6, 14:18] = 1
    >>> score[2:6, 2:10] = 0.9
    >>> metrics = ComponentMetrics(0.5, SizeLimits(1, 1))
    >>> _ = metrics.add(score, label)
    >>> scores = metrics.result()
    >>> scores.siou, scores.ppv, scores.true[:6], scores.missed[:6]
    (0.25, 0.5, (1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1))
    """

    def __init__(self, threshold: float, limits: SizeLimits) -> None:
        """
        Start without frames.

        :param threshold: pixels with a score above it are predicted. The benchmark takes the
            threshold with the best F1 of the pixels of the same data set.
        :param limits: the smallest components that count.
        """
        self._threshold = threshold
        self._limits = limits
        self._frames: list[FrameComponents] = []

    def add(self, score: np.ndarray, label: np.ndarray) -> FrameComponents:
        """
        Add one frame.

        :param score: (H, W) of a floating-point type and any range; larger is more anomalous.
        :param label: (H, W) of an unsigned integer type: 0 for normal, 1 for anomalous and 255
            for ignored pixels.
        :returns: the components of the frame.
        :raises ValueError: if the shapes differ.
        """
        if score.shape != label.shape:
            raise ValueError(f'the score has the shape {score.shape}, but the label has '
                             f'{label.shape}; resize the score to the label first')
        found = _components(score > self._threshold, label, self._limits)
        self._frames.append(found)
        return found

    def result(self) -> ComponentScores:
        """Return the metrics over all frames that were added so far."""
        return component_scores(self._frames)


def component_scores(frames: Sequence[FrameComponents]) -> ComponentScores:
    """
    Return the component metrics of several frames.

    :param frames: the components of each frame, as `ComponentMetrics.add` returns them.
    """
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(frame, name) for frame in frames] or [np.zeros(0)])

    truth, ppv = joined('truth_siou'), joined('predicted_ppv')
    true = tuple(int((truth >= t).sum()) for t in THRESHOLDS)
    missed = tuple(int((truth < t).sum()) for t in THRESHOLDS)
    false = tuple(int((ppv < t).sum()) for t in THRESHOLDS)
    f1 = tuple(2 * tp / (2 * tp + fn + fp) if tp + fn + fp else None
               for tp, fn, fp in zip(true, missed, false))
    known = [value for value in f1 if value is not None]
    return ComponentScores(
        mean_over(truth), mean_over(joined('predicted_siou')), mean_over(ppv), true, missed,
        false, f1, mean_over(known) if len(known) == len(f1) else None,
        _by_size(truth, joined('truth_pixels')))


def size_class(pixels: int) -> str:
    """
    Return the class of `SIZES` to which an object belongs.

    :param pixels: its number of pixels.
    """
    return next(name for name, limit in SIZES if limit is None or pixels < limit)


def _by_size(siou: np.ndarray, pixels: np.ndarray) -> dict[str, tuple[int, int, float | None]]:
    names = np.array([size_class(int(count)) for count in pixels])
    found = {}
    for name, _ in SIZES:
        part = siou[names == name] if names.size else siou
        found[name] = part.size, int((part >= 0.5).sum()), mean_over(part)
    return found


def _components(predicted: np.ndarray, label: np.ndarray, limits: SizeLimits) -> FrameComponents:
    """Return the components of one frame; both arrays are (H, W)."""
    ignored = label == IGNORE
    guesses, sizes = _labelled(predicted & ~ignored)
    kept = sizes >= limits.predicted
    kept[0] = False
    guesses = np.where(kept, kept.cumsum(), 0)[guesses]
    truths, sizes = _labelled(label == ANOMALY)
    # The ground around the components, number 0, is treated as one of them.
    inside = ~ignored & (sizes >= limits.truth)[truths]
    # Row and column 0 stand for pixels outside of all components.
    shape = sizes.size, int(kept.sum()) + 1
    overlap = np.bincount(truths[inside] * shape[1] + guesses[inside],
                          minlength=shape[0] * shape[1]).reshape(shape)
    truth, truth_pixels = _siou(overlap)
    guess, guess_pixels = _siou(overlap.T)
    on_truth = overlap[1:, 1:].sum(axis=0)
    has_truth, has_guess = truth_pixels > 0, guess_pixels > 0
    return FrameComponents(
        truth[has_truth], truth_pixels[has_truth], guess[has_guess],
        (on_truth / np.maximum(guess_pixels, 1))[has_guess], guess_pixels[has_guess])


def _labelled(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the component of each pixel, 0 for none, and the size of each."""
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    numbers = numbers.astype(np.intp)
    return numbers, np.bincount(numbers.ravel(), minlength=count)


def _siou(overlap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return sIoU and size of the components of the rows, without row 0.

    :param overlap: [rows, columns] number of common pixels; row and column 0 are outside of all
        components.
    """
    common = overlap[1:, 1:].sum(axis=1)
    pixels = overlap[1:].sum(axis=1)
    # Of the components that touch, only the pixels outside of all rows enlarge the union.
    outside = ((overlap[1:, 1:] > 0) * overlap[0, 1:]).sum(axis=1)
    return common / np.maximum(pixels + outside, 1), pixels
