# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels and ground points of a pinhole camera above a plane."""

import math

import numpy as np
import pytest

from vl4ad_ros.obstacles.ground import GroundCamera

CAMERAS = [GroundCamera((830.0, 830.0), (479.5, 269.5), 0.0, 1.4),
           GroundCamera((600.0, 640.0), (300.0, 200.0), 0.15, 2.2),
           GroundCamera((600.0, 640.0), (300.0, 200.0), -0.06, 1.2)]
each_camera = pytest.mark.parametrize('camera', CAMERAS, ids=['level', 'down', 'up'])


@each_camera
def test_points_and_pixels_are_inverse(camera):
    rng = np.random.default_rng(0)
    points = np.stack([rng.uniform(5, 80, 200), rng.uniform(-10, 10, 200), np.zeros(200)], axis=1)
    pixels = camera.pixels(points)
    assert np.allclose(camera.ground_points(pixels), points[:, :2], atol=1e-6)
    assert (pixels[:, 1] > camera.horizon).all()


@each_camera
def test_projection_is_that_of_rotation_and_camera_matrix(camera):
    """The same with matrices: rotate into the optical frame (x right, y down), multiply by K."""
    points = np.array([[12.0, 1.5, 0.7], [40.0, -6.0, 0.0], [7.0, 0.0, 2.0]])
    cos, sin = math.cos(camera.pitch), math.sin(camera.pitch)
    axes = np.array([[0, -1, 0], [-sin, 0, -cos], [cos, 0, -sin]])
    matrix = np.array([[camera.focal[0], 0, camera.centre[0]],
                       [0, camera.focal[1], camera.centre[1]], [0, 0, 1]])
    seen = (matrix @ axes @ (points - [0, 0, camera.height_m]).T).T
    assert np.allclose(camera.pixels(points), seen[:, :2] / seen[:, 2:])


@each_camera
def test_nothing_at_the_horizon_or_above_it(camera):
    rows = camera.horizon + np.array([-100.0, -0.5, 0.0, 0.5])
    pixels = np.stack([np.full(4, 100.0), rows], axis=1)
    assert np.isnan(camera.ground_points(pixels)).all(axis=1).tolist() == [True] * 3 + [False]
    far = camera.pixels(np.array([[1e7, 0.0, 0.0]]))
    assert far[0, 1] == pytest.approx(camera.horizon, abs=0.01)


@each_camera
def test_nothing_behind_the_camera(camera):
    assert np.isnan(camera.pixels(np.array([[-5.0, 1.0, 0.0]]))).all()


def test_left_is_left_and_up_is_up():
    (left, below), (_, above) = CAMERAS[0].pixels(np.array([[10.0, 2.0, 0.0], [10.0, 2.0, 1.0]]))
    assert left == pytest.approx(479.5 - 830 * 2 / 10)
    assert below - above == pytest.approx(83.0)


@each_camera
def test_height_in_rows(camera):
    rows = [camera.rows_of_height(metres, 1.5) for metres in (8.0, 16.0, 32.0)]
    assert rows[0] == pytest.approx(camera.focal[1] * 1.5 / 8, rel=0.07)
    assert rows[0] / rows[2] == pytest.approx(4, rel=0.07)
    assert math.isnan(camera.rows_of_height(-3.0, 1.5))


@pytest.mark.parametrize('horizon', [-50.0, 120.0, 300.0])
def test_horizon_is_where_it_was_put(horizon):
    camera = GroundCamera.with_horizon((500.0, 480.0), (320.0, 180.0), horizon, 1.3)
    assert camera.horizon == pytest.approx(horizon)
    assert (camera.pitch > 0) == (horizon < 180)


@pytest.mark.parametrize('values, message', [
    (((0.0, 1.0), (1.0, 1.0), 0.0, 1.0), 'focal length'),
    (((math.inf, 1.0), (1.0, 1.0), 0.0, 1.0), 'focal length'),
    (((1.0, 1.0), (math.nan, 1.0), 0.0, 1.0), 'principal point'),
    (((1.0, 1.0), (1.0, 1.0), 1.6, 1.0), 'pitch'),
    (((1.0, 1.0), (1.0, 1.0), math.nan, 1.0), 'pitch'),
    (((1.0, 1.0), (1.0, 1.0), 0.0, -1.0), 'above the ground'),
])
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        GroundCamera(*values)
