# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses objects and the points of the ground at which they stand, reproducibly from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vl4ad_ros.composing.objects import RoadObject
from vl4ad_ros.composing.route import Route

MOST = 65535
"""Largest number of objects: the ground truth counts them with 16 bits."""
_FIRST_M = 12.0  # ahead of the camera in the first frame
_BEYOND_M = 30.0  # after the end of the way
_FREE_M = 0.5, 2.0  # between the path of the camera and the side of an object
_SHIFT = 0.2  # of the distance between two objects, at random


@dataclass(frozen=True, eq=False)
class PlacedObject:
    """
    An object that stands on the ground.

    :ivar number: its id in the ground truth, from 1.
    :ivar thing: the object.
    :ivar point: x and y in metres, in the frame of the route.
    :ivar mirror: whether left and right are swapped.
    """

    number: int
    thing: RoadObject
    point: tuple[float, float]
    mirror: bool


def place_objects(objects: Sequence[RoadObject], route: Route, seed: int, spacing_m: float,
                  count: int | None = None) -> tuple[PlacedObject, ...]:
    """
    Place objects along a route, 0.5 to 2 metres beside the path of the camera.

    Anomalies and known things take turns where there are both. No object comes again before all
    others of its sort have come.

    :param objects: at least one.
    :param route: the way of the camera.
    :param seed: the same seed gives the same places; 0 or more.
    :param spacing_m: mean distance between two objects along the way, in metres.
    :param count: number of objects, at equal mean distances; None for as many as `spacing_m`
        gives.
    :raises ValueError: if there are too many objects.
    """
    last_m = route.length_m + _BEYOND_M
    if count is None:
        count = 1 + int((last_m - _FIRST_M) / spacing_m)
    else:
        spacing_m = (last_m - _FIRST_M) / max(1, count - 1)
    if count > MOST:
        raise ValueError(f'{count} objects are too many; at most {MOST} can be told apart: make '
                         'the spacing larger or the count smaller')
    rng = np.random.default_rng([5, seed])
    sorts = [_endless(sort, rng) for known in (False, True)
             if (sort := [thing for thing in objects if thing.known == known])]
    placed = []
    for number in range(1, count + 1):
        thing = next(sorts[(number - 1) % len(sorts)])
        along = _FIRST_M + (number - 1 + rng.uniform(0, _SHIFT)) * spacing_m
        left = rng.choice((-1, 1)) * (thing.width_m / 2 + rng.uniform(*_FREE_M))
        placed.append(PlacedObject(number, thing, route.beside(along, left),
                                   bool(rng.random() < 0.5)))
    return tuple(placed)


def _endless(objects: Sequence[RoadObject], rng: np.random.Generator) -> Iterator[RoadObject]:
    """Yield the objects in random orders for ever."""
    while True:
        for place in rng.permutation(len(objects)):
            yield objects[place]
