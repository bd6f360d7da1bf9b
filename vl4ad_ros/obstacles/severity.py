# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How severe an obstacle is: by stopping distance and time to collision, or by distance alone.

The obstacle is taken to stand still. A vehicle at speed v that reacts after t and brakes with a
stops after v t + v^2 / (2 a). This is the distance of responsibility-sensitive safety for a
standing obstacle (S. Shalev-Shwartz et al., "On a Formal Model of Safe and Scalable Self-driving
Cars", arXiv:1708.06374), which Autoware's autonomous emergency braking uses, too. The defaults are
those of Autoware.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from vl4ad_ros.obstacles.ground_view import Placement

INFO, WARNING, CRITICAL = LEVELS = ('info', 'warning', 'critical')
"""The levels of severity, the least one first."""
COLOURS = {INFO: (110, 220, 140), WARNING: (255, 196, 0), CRITICAL: (255, 90, 40)}
"""Colour of each level in pictures and markers, RGB, 0..255."""


@dataclass(frozen=True)
class SeverityLimits:
    """
    What makes an obstacle severe.

    :ivar reaction_s: seconds until the vehicle brakes, 0 or more.
    :ivar deceleration_mps2: with which it brakes, in m/s^2, above 0.
    :ivar margin_m: distance from the origin of the vehicle at which an obstacle counts as hit, in
        metres: to the bumper, and the gap that shall be left.
    :ivar warning_ttc_s: time to collision, in seconds, up to which there is a warning.
    :ivar critical_m: distance in metres up to which an obstacle is critical if the speed is not
        known.
    :ivar warning_m: distance in metres up to which there is a warning if the speed is not known.
    :raises ValueError: if a limit is out of its range; the message names the limit.
    """

    reaction_s: float = 1.0
    deceleration_mps2: float = 3.0
    margin_m: float = 2.0
    warning_ttc_s: float = 5.0
    critical_m: float = 10.0
    warning_m: float = 30.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ('reaction_s', 'deceleration_mps2', 'margin_m', 'warning_ttc_s', 'critical_m',
                     'warning_m'):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f'{name} must be 0 or more, not {getattr(self, name)}')
        if not self.deceleration_mps2:
            raise ValueError('deceleration_mps2 must be more than 0')
        if self.warning_m < self.critical_m:
            raise ValueError(f'warning_m ({self.warning_m}) must not be less than critical_m '
                             f'({self.critical_m})')


SEVERITY_CLASS = 'severity:'
"""In messages, this and a level form the class of a hypothesis that says how severe it is."""


@dataclass(frozen=True)
class Severity:
    """
    How severe an obstacle is.

    :ivar level: one of `LEVELS`.
    :ivar collision_s: seconds until the obstacle is hit if the vehicle goes on as it does;
        infinite if it does not come nearer; None if the speed is not known.
    """

    level: str
    collision_s: float | None = None

    @property
    def rank(self) -> int:
        """The place of the level in `LEVELS`: larger is more severe."""
        return LEVELS.index(self.level)


def judge(place: Placement, speed_mps: float | None, limits: SeverityLimits) -> Severity:
    """
    Return how severe an obstacle is.

    With a speed, it is critical if the vehicle cannot stop before it any more, and a warning if it
    is reached within `SeverityLimits.warning_ttc_s`. Only the part of the speed counts that points
    towards the obstacle. Without a speed, the distance decides.

    :param place: of the obstacle.
    :param speed_mps: speed forward in m/s, negative backwards; None if it is not known.
    :param limits: what makes it severe.
    """
    distance_m = place.distance_m
    if speed_mps is None:
        near = CRITICAL if distance_m <= limits.critical_m else WARNING
        return Severity(near if distance_m <= limits.warning_m else INFO)
    gap_m = distance_m - limits.margin_m
    if gap_m <= 0:
        return Severity(CRITICAL, 0.0)
    closing_mps = speed_mps * place.x_m / distance_m
    if closing_mps <= 0:
        return Severity(INFO, math.inf)
    stopping_m = (closing_mps * limits.reaction_s
                  + closing_mps ** 2 / (2 * limits.deceleration_mps2))
    collision_s = gap_m / closing_mps
    if gap_m <= stopping_m:
        return Severity(CRITICAL, collision_s)
    return Severity(WARNING if collision_s <= limits.warning_ttc_s else INFO, collision_s)
