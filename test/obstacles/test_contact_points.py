# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points where obstacles touch the ground."""

import math

import numpy as np
import pytest
from vl4ad_ros.obstacles.contact_points import contact_points, HEIGHT_M, SPACING_M
from vl4ad_ros.obstacles.ground_view import Placement

CAMERA = (1.5, -0.2)


def place(x_m=8.0, y_m=1.0, width_m=1.2, cut_off=()):
    """Return the place of something that the camera sees at x, y."""
    bearing = math.atan2(y_m - CAMERA[1], x_m - CAMERA[0])
    return Placement(x_m, y_m, (1.0, 0.0, 1.0), bearing, width_m, 0.8, cut_off)


def test_the_edge_is_as_wide_as_the_obstacle_and_faces_the_camera():
    points = contact_points([place()])
    assert points.dtype == np.float32 and (points[:, 2] == np.float32(HEIGHT_M)).all()
    assert points[:, :2].mean(axis=0) == pytest.approx((8.0, 1.0))
    assert math.dist(points[0, :2], points[-1, :2]) == pytest.approx(1.2, rel=1e-5)
    steps = np.diff(points[:, :2], axis=0)
    assert np.hypot(*steps.T).max() <= SPACING_M + 1e-6
    assert np.abs(steps @ (np.array([8.0, 1.0]) - CAMERA)).max() < 1e-5  # across the view


def test_the_smallest_obstacle_still_triggers_a_zone_of_four_points():
    assert len(contact_points([place(width_m=0.02)])) >= 4


def test_what_the_lower_border_cuts_off_may_stand_anywhere_up_to_the_vehicle():
    cut = place(cut_off=('bottom',))
    points = contact_points([cut])[:, :2]
    away = np.array([math.cos(cut.bearing_rad), math.sin(cut.bearing_rad)])
    along = np.unique(np.round(points @ away, 3))
    assert along[0] == pytest.approx(0.0, abs=1e-3)
    assert along[-1] == pytest.approx(np.dot((8.0, 1.0), away), abs=1e-3)
    assert np.diff(along).max() <= SPACING_M + 2e-3
    assert np.hypot(*(points - CAMERA).T).min() < SPACING_M  # the camera is on the way
    behind = place(0.5, -0.2, cut_off=('bottom',))  # the way leads away from the vehicle
    assert len(contact_points([behind])) == len(contact_points([place()]))


def test_several_obstacles_add_up_and_none_is_one_point_that_nobody_counts():
    one, other = place(), place(x_m=12.0, y_m=-2.0)
    assert len(contact_points([one, other])) == sum(
        len(contact_points([each])) for each in (one, other))
    nothing = contact_points([])
    assert nothing.shape == (1, 3) and np.isnan(nothing).all()
