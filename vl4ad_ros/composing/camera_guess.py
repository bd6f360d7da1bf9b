# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the camera of a recording: from what the user says, its CameraInfo, or a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import cv2
import numpy as np

from vl4ad_ros.obstacles.ground import GroundCamera

HEIGHT_M = 1.4
"""Height of a camera behind the windscreen of a car, in metres."""
_VIEW_DEG = 60.0  # horizontal angle of view of a usual dash camera
_SLOPES = 0.15, 2.5  # of the lines of a road on the image
_NEAR = 0.06, 0.03  # columns and rows, of the image height: lines that meet so near agree
_ENOUGH = 0.4  # share of the pairs of lines that must agree; it is below 0.1 for noise


@dataclass(frozen=True)
class Calibration:
    """
    What the CameraInfo messages of a recording say.

    :ivar size: (height, width) of the image that they describe.
    :ivar focal: (fx, fy) in pixels.
    :ivar centre: (cx, cy) in pixels.
    :ivar distorted: whether the lens distorts the image.
    """

    size: tuple[int, int]
    focal: tuple[float, float]
    centre: tuple[float, float]
    distorted: bool


def choose_camera(pictures: Sequence[np.ndarray], calibration: Calibration | None = None,
                  focal: float | None = None, horizon: float | None = None,
                  height_m: float | None = None) -> tuple[GroundCamera, list[str]]:
    """
    Choose a camera, and say why.

    :param pictures: some frames of the recording, (H, W, 3) uint8 RGB of the same size.
    :param calibration: what the recording says; None if it says nothing.
    :param focal: focal length in pixels that the user gave; None for none.
    :param horizon: row of the horizon that the user gave; None for none.
    :param height_m: height of the camera in metres that the user gave; None for none.
    :returns: the camera, and a sentence on each of its values.
    :raises ValueError: if a given value is out of its range.
    """
    height, width = pictures[0].shape[:2]
    notes = []
    if calibration and calibration.size != (height, width):
        notes.append('the CameraInfo messages are for images of {1} x {0} pixels and not used'
                     .format(*calibration.size))
        calibration = None
    centre, focals = ((width - 1) / 2, (height - 1) / 2), (0.0, 0.0)
    if calibration:
        centre, focals = calibration.centre, calibration.focal
    if focal is not None:
        focals, why = (focal, focal), 'given'
    elif calibration:
        why = 'from CameraInfo'
        if calibration.distorted:
            why += '; the distortion of the lens is left out'
    else:
        focals = (width / 2 / math.tan(math.radians(_VIEW_DEG) / 2),) * 2
        why = f'a guess: {_VIEW_DEG:.0f} degrees of view from left to right; give --focal'
    notes.append(f'focal length {focals[0]:.0f} pixels ({why})')
    if horizon is not None:
        why = 'given'
    elif (point := vanishing_point(pictures)) is not None:
        horizon, why = point[1], 'a guess: where the lines of the road meet; give --horizon'
    else:
        horizon = centre[1]
        why = ('a guess: the camera is level, because no lines of a road were found; give '
               '--horizon')
    notes.append(f'horizon in row {horizon:.0f} of {height} ({why})')
    why = 'given'
    if height_m is None:
        height_m, why = HEIGHT_M, 'a guess: behind the windscreen of a car; give --camera-height'
    notes.append(f'camera {height_m:.2f} m above the ground ({why})')
    return GroundCamera.with_horizon(focals, centre, horizon, height_m), notes


def vanishing_point(pictures: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """
    Return the point at which the lines of a straight road meet.

    Line segments in the lower two thirds of the pictures (probabilistic Hough transform, Matas et
    al., 2000) that lead up to the right on the left side, or up to the left on the right side, are
    paired. The point is the weighted median of their intersections; the weights are the lengths.

    :param pictures: (H, W, 3) uint8 RGB of the same size, at least one.
    :returns: column and row in pixels; None if too few lines meet near one point.
    """
    height, width = pictures[0].shape[:2]
    meetings, weights = [], []
    for picture in pictures:
        sides = _road_lines(picture)
        for a in sides[0]:
            for b in sides[1]:
                column = (b[1] - a[1]) / (a[0] - b[0])
                row = a[0] * column + a[1]
                if abs(column - width / 2) < width / 2 and 0.1 * height < row < 0.9 * height:
                    meetings.append((column, row))
                    weights.append(min(a[2], b[2]))
    if len(meetings) < 5:
        return None
    points, shares = np.array(meetings), np.array(weights) / sum(weights)
    middle = np.array([_weighted_median(points[:, k], shares) for k in (0, 1)])
    near = (np.abs(points - middle) < np.array(_NEAR) * height).all(axis=1)
    if shares[near].sum() < _ENOUGH:
        return None
    return float(middle[0]), float(np.average(points[near, 1], weights=shares[near]))


def _road_lines(picture: np.ndarray) -> tuple[list, list]:
    """Return slope, row at column 0 and length of the lines on the left and on the right side."""
    height, width = picture.shape[:2]
    first = height // 3
    grey = cv2.cvtColor(picture[first:], cv2.COLOR_RGB2GRAY)
    edges = cv2.Canny(cv2.GaussianBlur(grey, (0, 0), 1.0), 40, 120)
    found = cv2.HoughLinesP(edges, 1, math.pi / 360, 30, minLineLength=height / 10,
                            maxLineGap=height / 60)
    left, right = [], []
    for x0, y0, x1, y1 in ([] if found is None else found.reshape(-1, 4).astype(float)):
        if x0 == x1:
            continue
        slope = (y1 - y0) / (x1 - x0)
        if not _SLOPES[0] < abs(slope) < _SLOPES[1]:
            continue
        line = slope, y0 + first - slope * x0, math.hypot(x1 - x0, y1 - y0)
        middle = (x0 + x1) / 2 - width / 2
        if slope < 0 and middle < 0:
            left.append(line)
        elif slope > 0 and middle > 0:
            right.append(line)
    return left, right


def _weighted_median(values: np.ndarray, shares: np.ndarray) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(shares[order]), 0.5)])
