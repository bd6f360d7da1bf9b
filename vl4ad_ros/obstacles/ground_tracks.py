# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Follow obstacles on the ground: a filter for each one, and which of them a new place belongs to.

The filter is that of Kalman with constant velocity and a random acceleration. A place is paired
with an obstacle only inside a gate of the Mahalanobis distance, and all pairs are chosen together
so that their likelihood is largest (Y. Bar-Shalom, X.-R. Li and T. Kirubarajan, "Estimation with
Applications to Tracking and Navigation", 2001, chapters 5 and 6; S. Blackman and R. Popoli,
"Design and Analysis of Modern Tracking Systems", 1999, chapter 6).

All places are in the frame of the vehicle at the newest frame. With odometry, the motion of the
vehicle is taken out of them from frame to frame, and velocities are those over ground, as in a
fixed frame. No sum of all motions is kept, so odometry that drifts or jumps cannot move the
obstacles away. Without odometry, velocities are those relative to the vehicle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.motion import Shift

GATE = 9.21
"""Largest squared Mahalanobis distance of a pair: 99 % of chi-square with two degrees."""
MAX_JUMP_M, MAX_SPEED_MPS = 5.0, 15.0
"""Largest distance of a pair in metres, and what each second since the last frame adds to it."""
SPEED_SIGMA = {True: 5.0, False: 10.0}
"""Standard deviation of a velocity that is not known yet, in m/s, with and without odometry."""
ACCELERATION_SIGMA = {True: 3.0, False: 6.0}
"""Standard deviation of the acceleration, in m/s^2, with and without odometry."""
_LEAST_SIGMA_M = 0.1
"""Standard deviation that every place has at least: the foot of a box is not exact."""


@dataclass(frozen=True, eq=False)
class GroundState:
    """
    Where the filter expects an obstacle.

    :ivar mean: float64 (4,), x and y in metres and their velocities in m/s.
    :ivar covariance: float64 (4, 4), of `mean`.
    :ivar seen: its place in the newest frame that shows it, in the frame of the vehicle then.
    :ivar seen_covariance: float64 (2, 2), the covariance of `seen`, turned as the vehicle turned.
    """

    mean: np.ndarray
    covariance: np.ndarray
    seen: Placement
    seen_covariance: np.ndarray

    def place(self, camera: tuple[float, float, float]) -> Placement:
        """
        Return the place where the obstacle is expected, with the size that was seen last.

        Its covariance is the sum of that of the newest sighting and that of the filter. A wrong
        pitch of the camera shifts all sightings alike, which the filter cannot average out.

        :param camera: (x, y, z) of the camera in the frame of the vehicle, in metres.
        """
        x, y = map(float, self.mean[:2])
        (xx, xy), (_, yy) = (self.covariance[:2, :2] + self.seen_covariance).tolist()
        return Placement(x, y, (xx, xy, yy), math.atan2(y - camera[1], x - camera[0]),
                         self.seen.width_m, self.seen.height_m, self.seen.cut_off)


def begin(place: Placement | None, over_ground: bool) -> GroundState | None:
    """
    Return the state of an obstacle whose earlier places say nothing.

    :param place: where it is seen; None if that is not known, and then there is no state.
    :param over_ground: whether odometry is known.
    """
    if place is None:
        return None
    noise = _noise(place)
    return restart_velocity(
        GroundState(np.array([place.x_m, place.y_m, 0.0, 0.0]), noise, place, noise), over_ground)


def predict(states: Sequence[GroundState | None], seconds: float,
            shift: Shift | None) -> list[GroundState | None]:
    """
    Return states at the next frame, in the frame of the vehicle there.

    :param states: at the frame before; None for an obstacle whose place is not known.
    :param seconds: time between the frames, 0 or more.
    :param shift: how the vehicle moved between them; None without odometry.
    """
    known = [state for state in states if state is not None]
    if not known:
        return list(states)
    means, covariances, seen = (np.stack(arrays) for arrays in zip(
        *((s.mean, s.covariance, s.seen_covariance) for s in known)))
    over_ground = shift is not None
    shift = shift or Shift()
    cos, sin = math.cos(shift.turn_rad), math.sin(shift.turn_rad)
    turn = np.array([[cos, sin], [-sin, cos]])
    move = np.kron([[1.0, seconds], [0.0, 1.0]], turn)  # turns places and velocities alike
    push = np.array([seconds ** 2 / 2, seconds])
    noise = ACCELERATION_SIGMA[over_ground] ** 2 * np.kron(np.outer(push, push), np.eye(2))
    means = means @ move.T
    means[:, :2] -= turn @ (shift.forward_m, shift.left_m)
    found = map(GroundState, means, move @ covariances @ move.T + noise,
                [state.seen for state in known], turn @ seen @ turn.T)
    return [state and next(found) for state in states]


def restart_velocity(state: GroundState, over_ground: bool) -> GroundState:
    """
    Return a state whose velocity is not known.

    :param state: of an obstacle, when odometry comes or goes, so that velocities change their
        meaning.
    :param over_ground: whether odometry is known now.
    """
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = state.covariance[:2, :2]
    covariance[2:, 2:] = SPEED_SIGMA[over_ground] ** 2 * np.eye(2)
    return GroundState(np.append(state.mean[:2], (0.0, 0.0)), covariance, state.seen,
                       state.seen_covariance)


@dataclass(frozen=True, eq=False)
class GroundPairs:
    """
    Which obstacles a frame shows where.

    :ivar matches: the index of the place by the index of the obstacle.
    :ivar states: of all obstacles, after their places were taken into account.
    :ivar metres: float64 (obstacles, places), the distance between where an obstacle is expected
        and a place: NaN if it is not known, and infinite if no obstacle jumps that far.
    """

    matches: dict[int, int]
    states: list[GroundState | None]
    metres: np.ndarray


class GroundMatcher:
    """Pairs obstacles with the places of a frame."""

    def __init__(self) -> None:
        """Import SciPy, which takes 0.3 s that neither a frame nor a command shall wait for."""
        from scipy.optimize import linear_sum_assignment
        self._solve = linear_sum_assignment

    def match(self, states: Sequence[GroundState | None], places: Sequence[Placement | None],
              seconds: float) -> GroundPairs:
        """
        Pair obstacles and places so that the likelihood of all pairs together is largest.

        :param states: as `predict` returns them.
        :param places: of the regions of a frame; None for one whose place is not known.
        :param seconds: time since the frame before, 0 or more.
        """
        found = GroundPairs({}, list(states), np.full((len(states), len(places)), np.nan))
        rows = [i for i, state in enumerate(states) if state is not None]
        columns = [j for j, place in enumerate(places) if place is not None]
        if not rows or not columns:
            return found
        known = [state for state in states if state is not None]
        seen = [place for place in places if place is not None]
        means, covariances = (np.stack(arrays) for arrays in zip(
            *((state.mean, state.covariance) for state in known)))
        points = np.array([(place.x_m, place.y_m) for place in seen])
        noise = np.stack([_noise(place) for place in seen])

        away = points - means[:, None, :2]
        metres = np.hypot(away[..., 0], away[..., 1])
        metres[metres > MAX_JUMP_M + MAX_SPEED_MPS * seconds] = math.inf
        found.metres[np.ix_(rows, columns)] = metres
        spread = covariances[:, None, :2, :2] + noise
        xx, xy, yy = spread[..., 0, 0], spread[..., 0, 1], spread[..., 1, 1]
        determinant = xx * yy - xy * xy
        squared = (yy * away[..., 0] ** 2 - 2 * xy * away[..., 0] * away[..., 1]
                   + xx * away[..., 1] ** 2) / determinant
        fits = (squared <= GATE) & (metres < math.inf)
        # Of two obstacles that are equally near, the one that is known better is more likely.
        size = np.log(determinant)
        gain = np.where(fits, GATE - squared + size.max() - size, 0.0)
        chosen, their = self._solve(gain, maximize=True)
        right = fits[chosen, their]
        chosen, their = chosen[right], their[right]

        weight = covariances[chosen][:, :, :2] @ np.linalg.inv(spread[chosen, their])
        means = means[chosen] + (weight @ away[chosen, their][..., None])[..., 0]
        # The form of Joseph: with the shorter one, rounding errors grow from frame to frame.
        keep = np.tile(np.eye(4), (len(chosen), 1, 1))
        keep[:, :, :2] -= weight
        covariances = (keep @ covariances[chosen] @ keep.transpose(0, 2, 1)
                       + weight @ noise[their] @ weight.transpose(0, 2, 1))
        for i, j, mean, covariance in zip(
                chosen.tolist(), their.tolist(), means, covariances):
            found.matches[rows[i]] = columns[j]
            found.states[rows[i]] = GroundState(mean, covariance, seen[j], noise[j])
        return found


def _noise(place: Placement) -> np.ndarray:
    xx, xy, yy = place.covariance
    return np.array([[xx + _LEAST_SIGMA_M ** 2, xy], [xy, yy + _LEAST_SIGMA_M ** 2]])
