# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Positions on the ground and their covariance, for every lens and attitude of the camera."""

import math

from camera_infos import camera_info, LENSES
import numpy as np
import pytest
from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.ground import GroundCamera
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundLimits, GroundView
from vl4ad_ros.obstacles.regions import Region

SIZE = (480, 640)
POSES = {'level': CameraPose.of_angles(1.4), 'down': CameraPose.of_angles(2.1, pitch_deg=12),
         'odd': CameraPose.of_angles(1.7, 8, -4, 25, 1.9, -0.6)}
each_lens = pytest.mark.parametrize('lens', LENSES)
each_pose = pytest.mark.parametrize('pose', POSES.values(), ids=POSES)


def view_of(lens='none', pose=POSES['level'], **limits):
    return GroundView(CameraModel.of(camera_info(lens), SIZE), pose, GroundLimits(**limits))


def pixels_of(view, points):
    """Project points of the vehicle's frame, by the inverse of the pose."""
    turn = np.reshape(view.pose.rotation, (3, 3))
    return view.camera.pixels((np.asarray(points, float) - view.pose.position) @ turn)


def region(box):
    x, y, width, height = map(float, box)
    return Region((x, y, width, height), int(width * height), 0.9, (x + width / 2, y + height / 2))


@each_lens
@each_pose
def test_points_of_the_ground_are_found_again(lens, pose):
    view = view_of(lens, pose)
    rng = np.random.default_rng(1)
    turn = np.reshape(pose.rotation, (3, 3))
    ahead = math.atan2(turn[1, 2], turn[0, 2]) + rng.uniform(-0.35, 0.35, 200)
    reach = rng.uniform(5, 30, 200)
    points = np.column_stack([pose.position[0] + reach * np.cos(ahead),
                              pose.position[1] + reach * np.sin(ahead), np.zeros(200)])
    pixels = pixels_of(view, points)
    seen = ((pixels >= 0) & (pixels <= (639, 479))).all(axis=1)
    assert seen.sum() > 100
    assert np.abs(view.points(pixels[seen]) - points[seen, :2]).max() < 1e-2


def test_a_level_pinhole_agrees_with_the_camera_of_composing():
    view = view_of(pose=CameraPose.of_angles(1.4, pitch_deg=5))
    other = GroundCamera((510.0, 505.0), (322.0, 236.0), math.radians(5), 1.4)
    pixels = np.random.default_rng(2).uniform((0, 250), (639, 479), (50, 2))
    assert np.allclose(view.points(pixels), other.ground_points(pixels), atol=1e-9)


@pytest.mark.parametrize('angle, moved', [
    ({'pitch_deg': 5}, 'nearer'), ({'yaw_deg': 10}, 'left'), ({'roll_deg': 5}, 'clockwise')])
def test_angles_have_the_signs_of_rep_103(angle, moved):
    pixels = np.array([[322.0, 290.0], [522.0, 290.0]])
    level, turned = (view_of(pose=p).points(pixels)
                     for p in (POSES['level'], CameraPose.of_angles(1.4, **angle)))
    if moved == 'nearer':
        assert turned[0, 0] < level[0, 0]
    elif moved == 'left':
        assert turned[0, 1] == pytest.approx(level[0, 0] * math.sin(math.radians(10)))
    else:  # the right half of the picture is lower on the right, so nearer
        assert turned[1, 0] < level[1, 0]


def test_a_transform_is_the_same_pose_as_angles():
    # The usual rotation of an optical frame: roll -90, yaw -90 degrees.
    pose = CameraPose.of_transform((-0.5, 0.5, -0.5, 0.5), (1.9, -0.6, 1.4))
    assert np.allclose(pose.rotation, CameraPose.of_angles(1.4, x_m=1.9, y_m=-0.6).rotation)
    doubled = CameraPose.of_transform((-1.0, 1.0, -1.0, 1.0), (1.9, -0.6, 1.4))
    assert np.allclose(doubled.rotation, pose.rotation)
    for wrong in ((0.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 1.0)):
        with pytest.raises(ValueError, match='expected finite numbers'):
            CameraPose.of_transform(wrong, (0.0, 0.0, 1.0))


@each_lens
def test_nothing_at_the_horizon_above_it_and_beyond_the_range(lens):
    view = view_of(lens, max_range_m=20.0)
    rows = [100.0, 235.0, 236.0, 260.0, 300.0]
    points = view.points(np.array([[322.0, row] for row in rows]))
    assert np.isnan(points).all(axis=1).tolist() == [True, True, True, True, False]
    assert np.isfinite(view_of(lens, max_range_m=40.0).points([[322.0, 260.0]])).all()


def test_place_and_size_of_an_upright_thing():
    view = view_of(pose=POSES['odd'])
    yaw = math.radians(25)
    across = np.array([-math.sin(yaw), math.cos(yaw), 0])
    foot = np.array([1.9, -0.6, 0]) + 12 * np.array([math.cos(yaw), math.sin(yaw), 0])
    level = GroundView(view.camera, CameraPose.of_angles(1.7, 8, 0, 25, 1.9, -0.6))
    corners = pixels_of(level, [foot - 0.4 * across, foot + 0.4 * across, foot + [0, 0, 0.5]])
    (right, low), (left, _), (_, top) = corners + 0.5
    placed = level.place(region((left, top, right - left, low - top)))
    assert (placed.x_m, placed.y_m) == pytest.approx((foot[0], foot[1]), abs=0.05)
    assert placed.width_m == pytest.approx(0.8, abs=0.02)
    assert placed.height_m == pytest.approx(0.5, abs=0.02)
    assert placed.bearing_rad == pytest.approx(yaw, abs=0.01)
    assert placed.distance_m == pytest.approx(math.hypot(*foot[:2]), abs=0.05)
    assert placed.cut_off == ()


@each_lens
@each_pose
def test_covariance_is_the_spread_of_points_with_that_uncertainty(lens, pose):
    """Many cameras whose pixel and attitude are off by chance, each rotated anew."""
    view = view_of(lens, pose, pixel_sigma=1.5, angle_sigma_deg=0.2)
    foot = np.array([300.0, 420.0])
    placed = view.place(region((foot[0] + 0.5 - 20, foot[1] + 0.5 - 30, 40, 30)))
    rng, turn, points = np.random.default_rng(3), np.reshape(pose.rotation, (3, 3)), []
    for _ in range(3000):
        wx, wy, wz = np.radians(rng.normal(0, 0.2, 3))
        small = np.array([[0, -wz, wy], [wz, 0, -wx], [-wy, wx, 0]])
        tilted = CameraPose(tuple(((np.eye(3) + small) @ turn).ravel()), pose.position)
        points.append((tilted, foot + rng.normal(0, 1.5, 2)))
    rays = view.camera.rays(np.array([pixel for _, pixel in points]))
    met = np.array([GroundView(view.camera, tilted)._met(
        (ray @ np.reshape(tilted.rotation, (3, 3)).T)[None])[0]
        for (tilted, _), ray in zip(points, rays)])
    xx, xy, yy = placed.covariance
    assert np.allclose(np.cov(met.T), [[xx, xy], [xy, yy]], rtol=0.12, atol=0.03 * xx)


def test_errors_are_those_of_the_formulas():
    """For a level camera: dX = X^2 / (h f) dv, and dX = (X^2 + h^2) / h dpitch."""
    for limits, expected in (
            ({'pixel_sigma': 1.0, 'angle_sigma_deg': 0.0}, lambda x: x * x / (1.4 * 505)),
            ({'pixel_sigma': 0.0, 'angle_sigma_deg': 1.0},
             lambda x: (x * x + 1.4 ** 2) / 1.4 * math.radians(1))):
        placed = view_of(**limits).place(region((302.5, 250, 40, 50)))
        assert math.sqrt(placed.covariance[0]) == pytest.approx(expected(placed.x_m), rel=1e-3)


@pytest.mark.parametrize('box, cut_off', [
    ((300, 300, 40, 60), ()), ((0, 300, 40, 60), ('left',)), ((600, 300, 40, 60), ('right',)),
    ((300, 0, 40, 360), ('top',)), ((300, 420, 40, 60), ('bottom',)),
    ((0, 0, 640, 480), ('left', 'right', 'top', 'bottom'))])
def test_what_the_border_of_the_image_cuts_off_is_said(box, cut_off):
    assert view_of().place(region(box)).cut_off == cut_off


def test_a_foot_below_the_image_is_much_less_sure():
    view = view_of()
    inside, cut = (view.place(region((300, 400, 40, height))) for height in (79, 80))
    assert cut.covariance[0] > 10 * inside.covariance[0]
    assert cut.covariance[0] > cut.x_m ** 2 / 12


def test_things_in_the_air_and_far_away_have_no_place():
    view = view_of()
    assert view.place(region((300, 100, 40, 60))) is None
    assert view.place(region((300, 200, 40, 45))) is None
    assert view.place(region((300, 200, 40, 60))) is not None


@pytest.mark.parametrize('limits, reason', [
    ({'max_range_m': 0.0}, 'max_range_m must be a finite number from 0.1 on, not 0.0'),
    ({'pixel_sigma': -1.0}, 'pixel_sigma'), ({'angle_sigma_deg': math.nan}, 'angle_sigma_deg')])
def test_limits_out_of_range_are_refused(limits, reason):
    with pytest.raises(ValueError, match=reason):
        GroundLimits(**limits)
