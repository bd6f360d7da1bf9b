# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rays of calibrated cameras, against OpenCV and by round trips."""

import math

from camera_infos import camera_info, LENSES
import cv2
import numpy as np
import pytest
from vl4ad_ros.obstacles.camera_model import CalibrationError, CameraModel

SIZE = (480, 640)
each_lens = pytest.mark.parametrize('lens', LENSES)
PIXELS = np.stack(np.meshgrid(np.arange(0, 640, 40.0), np.arange(0, 480, 40.0)), -1).reshape(-1, 2)


@each_lens
def test_rays_and_pixels_are_inverse(lens):
    camera = CameraModel.of(camera_info(lens), SIZE)
    rays = camera.rays(PIXELS)
    assert np.isfinite(rays).all()
    assert np.abs(camera.pixels(3.7 * rays) - PIXELS).max() < 1e-3


@each_lens
def test_points_appear_where_opencv_projects_them(lens):
    info = camera_info(lens)
    points = np.random.default_rng(0).uniform((-2, -1.5, 4), (2, 1.5, 9), (50, 3))
    project = cv2.fisheye if lens == 'equidistant' else cv2
    expected, _ = project.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), np.array(info.k).reshape(3, 3),
        np.array(info.d or [0.0] * 4))
    assert np.allclose(CameraModel.of(info, SIZE).pixels(points), expected[:, 0], atol=1e-9)


def test_plumb_bob_is_brown_s_formula():
    """The same by hand, as the documentation of CameraInfo has it."""
    k1, k2, t1, t2, k3 = LENSES['plumb_bob'][1]
    x, y = 0.31, -0.22
    r2 = x * x + y * y
    grow = 1 + k1 * r2 + k2 * r2 ** 2 + k3 * r2 ** 3
    u = x * grow + 2 * t1 * x * y + t2 * (r2 + 2 * x * x)
    v = y * grow + t1 * (r2 + 2 * y * y) + 2 * t2 * x * y
    camera = CameraModel.of(camera_info('plumb_bob'), SIZE)
    pixel = np.array([[510 * u + 322, 505 * v + 236]])
    assert np.allclose(camera.rays(pixel), [[x, y, 1.0]], atol=1e-6)


def test_equidistant_lenses_see_angles():
    info = camera_info('equidistant', d=[0.0] * 4)
    x = 510 * math.radians(30) + 322
    ray, = CameraModel.of(info, SIZE).rays(np.array([[x, 236.0]]))
    assert math.degrees(math.atan2(ray[0], ray[2])) == pytest.approx(30, abs=1e-4)


def test_a_lens_gives_no_ray_where_its_model_has_none():
    """Brown's polynomial with strong barrel distortion turns round far from the centre."""
    info = camera_info(distortion_model='plumb_bob', d=[-0.5, 0.0, 0.0, 0.0, 0.0])
    rays = CameraModel.of(info, SIZE).rays(np.array([[322.0, 236.0], [1200.0, 236.0]]))
    assert np.isfinite(rays[0]).all() and np.isnan(rays[1]).all()


def average(image, across, down):
    height, width = image.shape
    return image.reshape(height // down, down, width // across, across).mean((1, 3))


@each_lens
@pytest.mark.parametrize('across, down', [(2, 2), (4, 2)])
def test_binned_pixels_are_the_mean_of_their_blocks(lens, across, down):
    full = CameraModel.of(camera_info(lens), SIZE)
    binned = CameraModel.of(camera_info(lens, binning_x=across, binning_y=down),
                            (480 // down, 640 // across))
    columns, rows = np.meshgrid(np.arange(640.0), np.arange(480.0))
    where = np.array([[20, 30], [70, 60]])
    expected = np.stack([average(m, across, down)[where[:, 1], where[:, 0]]
                         for m in (columns, rows)], axis=1)
    assert np.allclose(binned.rays(where), full.rays(expected), atol=1e-9)


@each_lens
def test_a_region_of_interest_is_cut_before_binning(lens):
    full = CameraModel.of(camera_info(lens), SIZE)
    part = CameraModel.of(camera_info(lens, roi=(100, 50, 400, 300)), (300, 400))
    assert np.allclose(part.rays(PIXELS[:9]), full.rays(PIXELS[:9] + (100, 50)), atol=1e-9)
    both = CameraModel.of(camera_info(lens, roi=(100, 50, 400, 300), binning_x=2, binning_y=2),
                          (150, 200))
    assert np.allclose(both.rays([[10, 20]]), full.rays([[120.5, 90.5]]), atol=1e-9)


def test_resized_images_keep_their_corners():
    full = CameraModel.of(camera_info('plumb_bob'), SIZE)
    half = CameraModel.of(camera_info('plumb_bob'), (240, 320))
    assert np.allclose(half.rays([[10, 20]]), full.rays([[20.5, 40.5]]), atol=1e-9)
    larger = CameraModel.of(camera_info(), (721, 961))  # 961.3 columns would be exact
    assert larger.size == (721, 961)


def test_rectified_images_follow_the_projection_matrix():
    camera = CameraModel.of(camera_info('plumb_bob'), SIZE, rectified=True)
    assert np.allclose(camera.rays([[318.0, 289.0]]), [[0.0, 0.1, 1.0]])
    unknown = camera_info('plumb_bob', p=[0.0] * 12)
    assert CameraModel.of(unknown, SIZE, rectified=True).focal == (510.0, 505.0)


def test_the_rectification_turns_the_rays_of_the_lens():
    angle = math.radians(3)
    turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0],
                     [-math.sin(angle), 0, math.cos(angle)]])
    camera = CameraModel.of(camera_info('plumb_bob', r=turn.ravel().tolist()), SIZE)
    plain = CameraModel.of(camera_info('plumb_bob', r=[0.0] * 9), SIZE)
    assert np.allclose(camera.rays(PIXELS), plain.rays(PIXELS) @ turn.T)
    assert np.allclose(camera.pixels(camera.rays(PIXELS)), PIXELS, atol=1e-3)


def test_nothing_behind_the_camera_and_nothing_of_nothing():
    camera = CameraModel.of(camera_info('plumb_bob'), SIZE)
    assert np.isnan(camera.pixels(np.array([[0.0, 0, -1], [0, 0, 0]]))).all()
    assert camera.rays(np.zeros((0, 2))).shape == (0, 3)


@pytest.mark.parametrize('fields, reason', [
    ({'k': [0.0] * 9}, 'the camera is not calibrated'),
    ({'k': [math.nan] * 9}, "the field 'k' of CameraInfo has a number that is not finite"),
    ({'width': 0, 'height': 0}, 'CameraInfo has the size 0x0'),
    ({'width': 500}, 'the images have 640x480 pixels, but CameraInfo describes 500x480'),
    ({'distortion_model': 'thin_prism', 'd': [0.1]}, "distortion model 'thin_prism'; known are"),
    ({'d': [0.1, 0.2, 0.3]}, "model 'plumb_bob' has 4 or 5 coefficients, but CameraInfo has 3"),
    ({'roi': (600, 0, 100, 100)}, 'is not inside its 640x480 pixels'),
    ({'binning_x': 1000}, 'has the binning 1000x1 for 640x480 pixels')])
def test_what_cannot_be_used_is_refused(fields, reason):
    with pytest.raises(CalibrationError, match=reason):
        CameraModel.of(camera_info(**fields), SIZE)
