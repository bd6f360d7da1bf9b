# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws the alerts of a frame as seen from above, with the path of the vehicle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import cv2
import numpy as np

from vl4ad_ros import captions
from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.obstacles.ground_view import Placement

_REACHES_M = (20.0, 40.0, 80.0, 160.0)
_GROUND, _RING, _PATH = (38, 43, 52), (78, 86, 100), (96, 134, 178)
_MARGIN, _VEHICLE = 18, np.array([(0, -9), (7, 7), (-7, 7)])
_BITS = 4  # OpenCV takes coordinates in sixteenths of a pixel.


def top_view(alerts: Sequence[Alert], path_ahead: Callable[[float], np.ndarray],
             size: tuple[int, int]) -> np.ndarray | None:
    """
    Draw where the alerts of a frame stand: x ahead is up, and y is to the left.

    The vehicle is at the lower border. A bar is as wide as its alert, and the ellipse around it is
    the standard deviation of its place.

    :param alerts: the alerts; those without a place, and those beyond 160 m, are left out.
    :param path_ahead: called with a distance in metres; it returns where the vehicle goes up to
        that distance, (N, 2) x and y in metres, with N = 0 if this is not known.
    :param size: height and width of the picture in pixels.
    :returns: (H, W, 3) uint8 RGB; None if no alert is left.
    """
    placed = [(alert, alert.place) for alert in alerts
              if alert.place is not None and alert.place.distance_m <= _REACHES_M[-1]]
    if not placed:
        return None
    farthest = max(place.distance_m for _, place in placed)
    reach = next(metres for metres in _REACHES_M if metres >= farthest)
    height, width = size
    scale = (height - 2 * _MARGIN) / reach
    origin = np.array([width / 2, height - _MARGIN])

    def pixels(points: np.ndarray) -> np.ndarray:
        return origin - scale * points[:, ::-1]

    canvas = np.full((height, width, 3), _GROUND, np.uint8)
    foot = round(origin[0]), round(origin[1])
    for part in (0.25, 0.5, 0.75, 1.0):
        radius = round(part * reach * scale)
        cv2.circle(canvas, foot, radius, _RING, 1, cv2.LINE_AA)
        aside = round(radius * math.sqrt(0.5)) - 4  # on the left, where few things stand
        captions.put_text(canvas, f'{part * reach:g} m', (foot[0] - aside, foot[1] - aside + 8), 9,
                          captions.PALE)
    path = path_ahead(reach)
    if len(path):
        _draw_line(canvas, pixels(path), _PATH, 3)
    cv2.fillPoly(canvas, [(_VEHICLE + foot).astype(np.int32)], captions.WHITE, cv2.LINE_AA)
    for alert, place in placed:
        colour = drawing.colour_of(alert)
        _draw_line(canvas, pixels(_deviation(place)), colour, 1)
        bar = pixels(_front(place))
        _draw_line(canvas, bar, colour, 4)
        right, top = round(bar[:, 0].max()) + 8, round(bar[:, 1].mean()) + 8
        captions.put_tab(canvas, f'#{alert.id} {alert.label}', right, top, top, colour)
    return canvas


def _draw_line(canvas: np.ndarray, points: np.ndarray, colour: tuple[int, int, int],
               thickness: int) -> None:
    """Draw a line through points (N, 2), column and row in pixels, on a canvas."""
    cv2.polylines(canvas, [np.rint(points * 2 ** _BITS).astype(np.int32)], False, colour,
                  thickness, cv2.LINE_AA, _BITS)


def _front(place: Placement) -> np.ndarray:
    """Return the two ends of the side that the camera sees, (2, 2) in metres."""
    across = np.array([-math.sin(place.bearing_rad), math.cos(place.bearing_rad)])
    return np.array([place.x_m, place.y_m]) + np.outer((0.5, -0.5), place.width_m * across)


def _deviation(place: Placement) -> np.ndarray:
    """Return points of the ellipse of one standard deviation, (N, 2) in metres."""
    xx, xy, yy = place.covariance
    values, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    turns = np.linspace(0, 2 * math.pi, 60)
    circle = np.column_stack([np.cos(turns), np.sin(turns)]) * np.sqrt(np.maximum(values, 0))
    return np.array([place.x_m, place.y_m]) + circle @ axes.T
