# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compares two evaluations of the same recordings, with intervals from a paired bootstrap.

The frames of one drive look alike, so they are not independent. The bootstrap therefore draws
whole recordings (B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993). It draws
the same ones for both evaluations, so that what makes a drive difficult cancels out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.recording_result import RecordingResult

ROUNDS = 1000
"""Number of drawn sets of recordings."""
_SEED = 0
_SHARE = 0.95


class ComparisonError(ValueError):
    """Two evaluations that cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Metric:
    """
    A figure by which evaluations are compared.

    :ivar name: its name in `metrics.json`, or that of a share of two of its figures.
    :ivar text: what it is.
    :ivar larger_is_better: whether a larger value is better.
    """

    name: str
    text: str
    larger_is_better: bool


METRICS = {metric.name: metric for metric in (
    Metric('pixel_ap', 'average precision over the pixels', True),
    Metric('pixel_auroc', 'area under the ROC curve of the pixels', True),
    Metric('fpr95', 'false-positive rate of the pixels at 95 % recall', False),
    Metric('alerted_share', 'share of the objects that were alerted', True),
    Metric('false_alerts_per_minute', 'false alerts per minute', False))}
"""All metrics by name."""


@dataclass(frozen=True)
class Difference:
    """
    One metric of two evaluations.

    :ivar metric: the metric.
    :ivar first: its value over all recordings of the first evaluation.
    :ivar second: the same of the second evaluation.
    :ivar interval: 95 % interval of second minus first; None with fewer than two recordings.
    """

    metric: Metric
    first: float
    second: float
    interval: tuple[float, float] | None

    @property
    def change(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def drop(self) -> float:
        """By how much the second is worse, in the unit of the metric; below 0 if it is better."""
        return -self.change if self.metric.larger_is_better else self.change

    def as_json(self) -> dict[str, Any]:
        """Return the values rounded, for JSON."""
        interval = self.interval and [round(bound, 5) for bound in self.interval]
        return {'first': round(self.first, 5), 'second': round(self.second, 5),
                'change': round(self.change, 5), 'interval': interval}


def paired(first: Sequence[RecordingResult], second: Sequence[RecordingResult]
           ) -> list[tuple[RecordingResult, RecordingResult]]:
    """
    Return the recordings that both evaluations have, by their names.

    :param first: recordings of the first evaluation.
    :param second: recordings of the second evaluation.
    :raises ComparisonError: if there is none, or if the two of a pair have different frames or
        labels.
    """
    others = {result.name: result for result in second}
    pairs = [(result, others[result.name]) for result in first if result.name in others]
    if not pairs:
        raise ComparisonError(
            f'the evaluations have no recording in common: {_names(first)} and {_names(second)}; '
            'evaluate the same recordings with both')
    for one, other in pairs:
        for key in ('frames_recorded', 'labels', 'duration_s'):
            if one.figures.get(key) != other.figures.get(key):
                raise ComparisonError(
                    f'{one.name} has {key} {one.figures.get(key)} in the first evaluation and '
                    f'{other.figures.get(key)} in the second; evaluate the same part with the '
                    'same ground truth')
    return pairs


def differences(pairs: Sequence[tuple[RecordingResult, RecordingResult]],
                rounds: int = ROUNDS) -> dict[str, Difference]:
    """
    Compare all metrics that both evaluations have.

    :param pairs: as `paired` returns them.
    :param rounds: number of drawn sets of recordings.
    :returns: by the name of the metric, without those that are undefined.
    """
    sides = [_Sums([pair[side] for pair in pairs]) for side in (0, 1)]
    every = np.ones(len(pairs), np.int64)
    whole = [side.metrics(every) for side in sides]
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    if len(pairs) > 1:
        random = np.random.default_rng(_SEED)
        for _ in range(rounds):
            times = np.bincount(random.integers(len(pairs), size=len(pairs)),
                                minlength=len(pairs))
            one, other = (side.metrics(times) for side in sides)
            for name in one.keys() & other.keys():
                drawn[name].append(other[name] - one[name])
    found = {}
    for name, metric in METRICS.items():
        if name in whole[0] and name in whole[1]:
            found[name] = Difference(metric, whole[0][name], whole[1][name],
                                     _interval(drawn[name]))
    return found


class _Sums:
    """Metrics over recordings that are each counted a number of times."""

    def __init__(self, results: Sequence[RecordingResult]) -> None:
        pixels = np.stack([result.pixels for result in results if result.pixels is not None])
        # Scores that never occur would only cost time.
        self._keys = np.flatnonzero(pixels.any(axis=(0, 1)))
        self._pixels = pixels[:, :, self._keys]
        self._figures = [result.figures for result in results]

    def metrics(self, times: np.ndarray) -> dict[str, float]:
        """Return the metrics by name, without those that are undefined."""
        counts = np.zeros((2, 1 << 16), np.int64)
        counts[:, self._keys] = np.tensordot(times, self._pixels, 1)
        metrics = PixelMetrics()
        metrics.add_counts(counts)
        scores = metrics.result()
        found = {'pixel_ap': scores.ap, 'pixel_auroc': scores.auroc, 'fpr95': scores.fpr95}
        objects, alerted = self._sum('anomalies', times), self._sum('anomalies_alerted', times)
        if objects:
            found['alerted_share'] = (alerted or 0) / objects
        false, seconds = self._sum('false_alerts', times), self._sum('duration_s', times)
        if false is not None and seconds:
            found['false_alerts_per_minute'] = false / (seconds / 60)
        return {name: value for name, value in found.items() if value is not None}

    def _sum(self, name: str, times: np.ndarray) -> float | None:
        values = [float(count) * figures[name] for figures, count in zip(self._figures, times)
                  if figures.get(name) is not None]
        return sum(values) if values else None


def _interval(changes: Sequence[float]) -> tuple[float, float] | None:
    if not changes:
        return None
    low, high = np.quantile(changes, ((1 - _SHARE) / 2, (1 + _SHARE) / 2))
    return float(low), float(high)


def _names(results: Sequence[RecordingResult]) -> str:
    return ', '.join(result.name for result in results) or 'none'


def listed(found: Mapping[str, Difference]) -> str:
    """Return the differences as a table for a terminal."""
    lines = [f'  {"":<26}{"A":>10}{"B":>10}{"B - A":>10}   95 % interval']
    for name, one in found.items():
        interval = (f'{one.interval[0]:+.4f} to {one.interval[1]:+.4f}' if one.interval
                    else 'needs two recordings or more')
        lines.append(f'  {name:<26}{one.first:>10.4f}{one.second:>10.4f}{one.change:>+10.4f}   '
                     f'{interval}')
    return '\n'.join(lines)
