# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares the distances of published obstacles with the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.alert_metrics import FrameResult, Truth
from vl4ad_ros.evaluation.true_places import Distances

RANGES_M = (0, 10, 20, 40)
"""Borders of the ranges of true distance, in metres."""


@dataclass(frozen=True)
class DistancePair:
    """
    A published distance and the true one.

    :ivar published_m: of the obstacle, in metres.
    :ivar true_m: of the object to which its alert belongs, in the same frame, in metres.
    """

    published_m: float
    true_m: float

    @property
    def error_m(self) -> float:
        """By how much it is placed too far away, in metres; negative if it is too near."""
        return self.published_m - self.true_m


def distance_pairs(results: Sequence[FrameResult], truth: Truth, true: Distances
                   ) -> list[DistancePair]:
    """
    Pair published obstacles with objects.

    An alert belongs to the object that it overlaps. If it overlaps several, it is the one with
    which its box has the largest area in common. While an alert overlaps none, because it keeps an
    old box, it is the last one that it overlapped.

    :param results: the processed frames, in the order of their results.
    :param truth: ground truth of the recording.
    :param true: the true distances of the objects.
    :returns: a pair for each published obstacle of each frame whose object is in sight.
    """
    pairs, owner = [], dict[str, int]()
    for result in results:
        frame = truth.frames.get(result.index)
        if frame is None:
            continue
        for alert in result.alerts or ():
            hit = frame.best_hit(alert.box)
            if hit is not None:
                owner[alert.id] = hit
            true_m = true.get(owner.get(alert.id, 0), {}).get(result.index)
            if true_m is not None and alert.place is not None:
                pairs.append(DistancePair(alert.place.distance_m, true_m))
    return pairs


def distance_figures(pairs: Sequence[DistancePair]) -> dict[str, Any]:
    """
    Return how wrong the distances are.

    >>> pairs = [DistancePair(5.5, 5.0), DistancePair(33.0, 30.0), DistancePair(27.0, 30.0)]
    >>> figures = distance_figures(pairs)
    >>> figures['distance_error_m']
    {'median': 3.0, 'p95': 3.0, 'count': 3}
    >>> figures['distance_error_by_range']['20-40 m']
    {'median': 0.1, 'p95': 0.1, 'count': 2}

    :param pairs: at least one.
    :returns: `distance_error_m`, the absolute error in metres, and `distance_error_by_range`, the
        error as a share of the true distance, for each range of it.
    """
    shares = {f'{low}-{high} m': [abs(pair.error_m) / pair.true_m for pair in pairs
                                  if low < pair.true_m <= high]
              for low, high in zip(RANGES_M, RANGES_M[1:])}
    return {'distance_error_m': _summary([abs(pair.error_m) for pair in pairs]),
            'distance_error_by_range': {name: _summary(some) for name, some in shares.items()}}


def _summary(errors: Sequence[float]) -> dict[str, float | int | None]:
    median, p95 = np.percentile(errors, [50, 95]).tolist() if errors else (None, None)
    return {'median': median, 'p95': p95, 'count': len(errors)}
