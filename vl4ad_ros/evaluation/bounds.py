# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a finite number of hours or of objects can show about a rate or about a recall."""

from __future__ import annotations

import math

_STEPS = 64
"""Number of halvings after which the interval is smaller than any digit that is shown."""


def largest_mean(events: int, confidence: float) -> float:
    """
    Return the one-sided upper bound of the mean of a Poisson distribution.

    This is the exact bound of F. Garwood, "Fiducial limits for the Poisson distribution",
    Biometrika 28, 1936: the mean with which so few events come with a probability of
    1 - `confidence` only. It equals half the quantile of the chi-squared distribution with
    2 (events + 1) degrees of freedom.

    >>> round(largest_mean(0, 0.95), 3), round(largest_mean(2, 0.95), 3)
    (2.996, 6.296)

    :param events: number of events that were observed, 0 or more.
    :param confidence: probability with which the bound holds, from 0.5 on and below 1.
    :returns: the bound, in events.
    """
    # The median of a distribution with the mean `events` is `events`.
    low, high = float(events), 2.0 * events + 10.0 - 2 * math.log1p(-confidence)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(events, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(events: int, mean: float) -> float:
    """Return the probability that a Poisson variable with a mean above 0 is at most `events`."""
    term = total = math.exp(events * math.log(mean) - mean - math.lgamma(events + 1))
    for k in range(events, 0, -1):
        term *= k / mean
        total += term
        if k < mean and term < 1e-18 * total:
            break
    return total


def allowed_misses(objects: int, recall: float) -> int:
    """
    Return how many of the observed objects may be missed at a threshold that reaches a recall.

    This is conformal risk control (A. Angelopoulos, S. Bates, A. Fisch, L. Lei and T. Schuster,
    "Conformal Risk Control", ICLR 2024, arXiv:2208.02814) with the loss 1 for an object that is
    missed and 0 for one that is found: the largest m with (m + 1) / (n + 1) <= 1 - recall. If the
    next object is exchangeable with the n observed ones, it is then found with a probability of at
    least `recall`, on average over the choice of the observed ones.

    >>> allowed_misses(18, 0.95), allowed_misses(19, 0.95), allowed_misses(100, 0.95)
    (-1, 0, 4)

    :param objects: number n of observed objects.
    :param recall: above 0 and below 1.
    :returns: the number of objects; -1 if n is too small to show this recall.
    """
    # The tolerance is for shares such as 0.05, which are no exact binary fractions.
    return math.floor((objects + 1) * (1 - recall) * (1 + 1e-9)) - 1


def fewest_objects(recall: float) -> int:
    """
    Return how many objects must be observed, and found, to show a recall.

    >>> fewest_objects(0.95), fewest_objects(0.9)
    (19, 9)

    :param recall: above 0 and below 1.
    """
    return math.ceil(1 / (1 - recall) * (1 - 1e-9)) - 1
