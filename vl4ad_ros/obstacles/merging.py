# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One list of the obstacles that several cameras of a vehicle see.

Two findings of different cameras are the same obstacle if their places agree: the squared
Mahalanobis distance of the two feet, with the sum of their covariances, follows a chi-squared
distribution with two degrees of freedom then (Y. Bar-Shalom, X. R. Li and T. Kirubarajan,
"Estimation with Applications to Tracking and Navigation", 2001, section 8.4, on the association of
tracks of two sensors). The closest pairs are joined first, and never two findings of one camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, count
import math

import numpy as np

from vl4ad_ros.obstacles.ground_tracks import GATE
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.motion import Motion, Shift
from vl4ad_ros.obstacles.pipeline import Finding, Result
from vl4ad_ros.obstacles.severity import LEVELS, Severity


CAMERA_CLASS = 'camera:'
"""In messages, this, a camera and the id of its alert form the class of a hypothesis."""


@dataclass(frozen=True)
class Sighting:
    """
    One obstacle as one camera sees it.

    :ivar camera: name of the camera.
    :ivar finding: the alert of this camera, with its place.
    :ivar place: the same place, in the frame of the vehicle at the time of the merged list.
    """

    camera: str
    finding: Finding
    place: Placement


@dataclass(frozen=True)
class Obstacle:
    """
    An obstacle that at least one camera sees.

    :ivar finding: what the camera saw that knows the place best: the one that sees all of it, and
        of these the one with the smallest covariance. Its severity is the highest of all cameras.
        Its id is that of the camera that saw it first, such as ``front/3``; it stays the same
        while any camera that knows it by this id sees it.
    :ivar sightings: what each camera saw, in the order of the cameras.
    """

    finding: Finding
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True)
class _Seen:
    """What a camera saw last; the findings are None if that is not known."""

    received_ns: int
    motion: Motion | None
    found: tuple[Finding, ...] | None


class Merger:
    """
    Keeps the last obstacles of each camera and merges them.

    :param cameras: names of the cameras.
    """

    def __init__(self, cameras: tuple[str, ...]) -> None:
        """Start with nothing known of any camera."""
        self._seen: dict[str, _Seen | None] = dict.fromkeys(cameras)
        self._ids: dict[tuple[str, str], str] = {}

    def update(self, camera: str, received_ns: int, result: Result, motion: Motion | None,
               max_age_s: float) -> tuple[Obstacle, ...] | None:
        """
        Take the result of one camera, and return the obstacles that all cameras see.

        What other cameras saw before is moved as the vehicle has moved since, if odometry says
        how.

        :param camera: whose result it is.
        :param received_ns: when its image was received, on a clock that all cameras share, in ns.
        :param result: of the image.
        :param motion: of the vehicle at the image; None if it is not known.
        :param max_age_s: a camera whose last image was received earlier than this many seconds
            ago knows nothing.
        :returns: the obstacles, the most severe ones first, of these the nearest first. An empty
            tuple says that no camera sees an obstacle. None says that this is not known, because
            a camera knows nothing and no other one sees an obstacle.
        """
        self._seen[camera] = now = _Seen(received_ns, motion, result.obstacles)
        oldest_ns = received_ns - int(max_age_s * 1e9)
        known = {name: seen for name, seen in self._seen.items()
                 if seen is not None and seen.found is not None and seen.received_ns >= oldest_ns}
        groups = _groups([sighting for name, seen in known.items()
                          for sighting in _sightings(name, seen, now)])
        ids = self._named(groups)
        if not groups and len(known) < len(self._seen):
            return None
        return tuple(sorted((_obstacle(group, one) for group, one in zip(groups, ids)),
                            key=_urgency))

    def _named(self, groups: list[tuple[Sighting, ...]]) -> list[str]:
        """Return the id of each group, and remember by which id each camera knows it."""
        ids: dict[tuple[Sighting, ...], str] = {}
        # A group that parts leaves the id to the camera that gave it, so that one comes first.
        for group in sorted(groups, key=lambda group: not any(
                self._ids.get(_key(one), _own(one)) == _own(one) for one in group)):
            free = [name for name in map(self._ids.get, map(_key, group))
                    if name is not None and name not in ids.values()]
            ids[group] = free[0] if free else next(
                name for name in _new_names(group) if name not in ids.values())
        self._ids = {_key(one): ids[group] for group in groups for one in group}
        return [ids[group] for group in groups]


def _new_names(group: tuple[Sighting, ...]) -> Iterator[str]:
    """Yield ids for a group: those that its cameras give, then these with a number."""
    for number in count(1):
        for sighting in group:
            yield _own(sighting) if number == 1 else f'{_own(sighting)}-{number}'


def _key(sighting: Sighting) -> tuple[str, str]:
    return sighting.camera, sighting.finding.id


def _own(sighting: Sighting) -> str:
    return f'{sighting.camera}/{sighting.finding.id}'


def _sightings(camera: str, seen: _Seen, now: _Seen) -> Iterator[Sighting]:
    """Yield what a camera saw, with places where they are in the frame of the vehicle now."""
    for finding in seen.found or ():
        if finding.place is not None:
            place = finding.place
            if seen.motion is not None and now.motion is not None:
                place = _moved(place, seen.motion.shift_to(
                    now.motion, (now.received_ns - seen.received_ns) / 1e9))
            yield Sighting(camera, finding, place)


def _moved(place: Placement, shift: Shift) -> Placement:
    """Return a standing thing's place in the frame of the vehicle after the vehicle has moved."""
    cos, sin = math.cos(shift.turn_rad), math.sin(shift.turn_rad)
    turn = np.array([[cos, sin], [-sin, cos]])
    x, y = turn @ (place.x_m - shift.forward_m, place.y_m - shift.left_m)
    (xx, xy), (_, yy) = (turn @ _matrix(place) @ turn.T).tolist()
    return replace(place, x_m=float(x), y_m=float(y), covariance=(xx, xy, yy),
                   bearing_rad=place.bearing_rad - shift.turn_rad)


def _matrix(place: Placement) -> np.ndarray:
    xx, xy, yy = place.covariance
    return np.array([[xx, xy], [xy, yy]])


def _groups(sightings: list[Sighting]) -> list[tuple[Sighting, ...]]:
    """Return which sightings show the same obstacle, each group in the order of the cameras."""
    group_of = {number: [number] for number in range(len(sightings))}
    pairs = ((_distance(sightings[a].place, sightings[b].place), a, b)
             for a, b in combinations(range(len(sightings)), 2)
             if sightings[a].camera != sightings[b].camera)
    for _, a, b in sorted(pair for pair in pairs if pair[0] <= GATE):
        first, second = group_of[a], group_of[b]
        if not ({sightings[n].camera for n in first} & {sightings[n].camera for n in second}):
            joined = sorted(first + second)
            group_of.update(dict.fromkeys(joined, joined))
    return [tuple(sightings[n] for n in group)
            for number, group in group_of.items() if group[0] == number]


def _distance(a: Placement, b: Placement) -> float:
    """Return the squared Mahalanobis distance of two feet."""
    apart = np.array([a.x_m - b.x_m, a.y_m - b.y_m])
    # A hundredth of a square millimetre keeps cameras that claim to be exact apart from 0 / 0.
    covariance = _matrix(a) + _matrix(b) + 1e-8 * np.eye(2)
    return float(apart @ np.linalg.solve(covariance, apart))


def _obstacle(group: tuple[Sighting, ...], name: str) -> Obstacle:
    best = min(group, key=lambda one: (bool(one.place.cut_off), np.trace(_matrix(one.place))))
    severities = [one.finding.severity for one in group if one.finding.severity is not None]
    return Obstacle(replace(best.finding, id=name, place=best.place,
                            severity=max(severities, key=_level) if severities else None), group)


def _level(severity: Severity) -> tuple[int, float]:
    left_s = math.inf if severity.collision_s is None else severity.collision_s
    return LEVELS.index(severity.level), -left_s


def _urgency(obstacle: Obstacle) -> tuple[int, float, str]:
    """Return the key that sorts obstacles, the most urgent one first."""
    finding = obstacle.finding
    level = 0 if finding.severity is None else LEVELS.index(finding.severity.level)
    distance_m = math.inf if finding.place is None else finding.place.distance_m
    return -level, distance_m, finding.id
