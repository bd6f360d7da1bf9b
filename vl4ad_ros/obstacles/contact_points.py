# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where obstacles touch the ground, as points for a consumer that counts points in a zone."""

from __future__ import annotations

from collections.abc import Iterable
import math

import numpy as np

from vl4ad_ros.obstacles.ground_view import Placement

SPACING_M = 0.05
"""Largest distance between neighbouring points, in metres."""
FEWEST = 5
"""Every obstacle has at least so many points: a zone of Nav2 reacts to four by default."""
HEIGHT_M = 0.3
"""Height of the points in metres, so that a filter by height keeps them; the ground is at 0."""


def contact_points(places: Iterable[Placement]) -> np.ndarray:
    """
    Return the edges of obstacles that face the camera, as points.

    An obstacle that the lower border of the image cuts off may stand anywhere between its place
    and the camera, so its points fill a strip from there to the vehicle.

    :param places: of the obstacles, in the frame of the vehicle.
    :returns: float32 (N, 3), x, y and z in metres; z is `HEIGHT_M`. Without obstacles, one point
        of NaN: the iterators of sensor_msgs must not be used on a cloud without data.
    """
    parts = [_points(place) for place in places]
    if not parts:
        return np.full((1, 3), np.nan, np.float32)
    flat = np.concatenate(parts)
    return np.column_stack([flat, np.full(len(flat), HEIGHT_M)]).astype(np.float32)


def _points(place: Placement) -> np.ndarray:
    """Return the (N, 2) points of one obstacle."""
    foot = np.array([place.x_m, place.y_m])
    away = np.array([math.cos(place.bearing_rad), math.sin(place.bearing_rad)])
    across = np.array([-away[1], away[0]])
    offsets = _steps(place.width_m, FEWEST) - place.width_m / 2
    # Towards the camera, until the origin of the vehicle is beside it.
    nearer = _steps(max(float(foot @ away), 0.0) if 'bottom' in place.cut_off else 0.0, 1)
    return (foot - nearer[:, None, None] * away + offsets[:, None] * across).reshape(-1, 2)


def _steps(length_m: float, fewest: int) -> np.ndarray:
    """Return distances from 0 to a length, in steps of at most `SPACING_M`."""
    return np.linspace(0, length_m, max(fewest, math.ceil(length_m / SPACING_M) + 1))
