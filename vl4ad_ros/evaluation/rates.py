# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates of rare events, with the interval in which the true rate lies."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

CONFIDENCE = 0.95
"""Probability with which an interval has the true value."""


@dataclass(frozen=True)
class Rate:
    """
    How often something happened, for one unit of time or way.

    Example: no event in 10 minutes says that there are hardly more than 0.3 per minute.

    >>> round(Rate(0, 10.0).as_dict()['high'], 4)
    0.2996

    :ivar events: number of events, at least 0.
    :ivar exposure: units of time or way in which they happened, above 0.
    """

    events: int
    exposure: float

    def as_dict(self) -> dict[str, Any]:
        """Return the rate and the ends of its interval."""
        low, high = poisson_interval(self.events)
        return {'value': self.events / self.exposure, 'low': low / self.exposure,
                'high': high / self.exposure}


def poisson_interval(events: int) -> tuple[float, float]:
    """
    Return the interval of the mean of a Poisson distribution, of which one number was seen.

    This is the exact interval of F. Garwood, "Fiducial Limits for the Poisson Distribution",
    Biometrika 1936, with equal probabilities on both sides. For no event all of the remaining
    probability lies above, because nothing lies below 0 ("rule of three").

    >>> [round(end, 3) for end in poisson_interval(5)]
    [1.623, 11.668]

    :param events: number of events, at least 0.
    :returns: lower and upper end; 95 % (`CONFIDENCE`) of such intervals have the true mean.
    """
    rest = 1 - CONFIDENCE
    if not events:
        return 0.0, -math.log(rest)
    return (_mean_with(events - 1, 1 - rest / 2), _mean_with(events, rest / 2))


def _mean_with(most: int, probability: float) -> float:
    """Return the mean for which at most so many events have the given probability."""
    low, high = 0.0, most + 10 * math.sqrt(most + 1) + 10
    for _ in range(100):
        mean = (low + high) / 2
        low, high = (mean, high) if _at_most(most, mean) > probability else (low, mean)
    return (low + high) / 2


def _at_most(most: int, mean: float) -> float:
    """Return the probability of at most so many events."""
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
                     for k in range(most + 1))
