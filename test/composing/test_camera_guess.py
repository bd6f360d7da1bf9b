# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera is what was given, what CameraInfo says, or a guess that says so."""

import cv2
import numpy as np
import pytest

from vl4ad_ros.composing.camera_guess import Calibration, choose_camera, vanishing_point

SIZE = (360, 640)


def road(meet=(330.0, 150.0), shift=0.0):
    """Return a picture of a road whose lines meet at a point."""
    picture = np.full((*SIZE, 3), (90, 90, 92), np.uint8)
    picture[:int(meet[1])] = (150, 180, 220)
    for x in (-700.0, -150.0, 250.0, 800.0):
        end = round(meet[0] + x + shift), 359
        cv2.line(picture, (round(meet[0]), round(meet[1])), end, (235, 235, 230), 5, cv2.LINE_AA)
    return picture


ROADS = [road(shift=shift) for shift in (0.0, 20.0, 40.0)]
NOTHING = [np.full((*SIZE, 3), 90, np.uint8)]
CALIBRATION = Calibration(SIZE, (500.0, 510.0), (321.0, 177.0), False)


def test_the_lines_of_the_road_meet_at_the_horizon():
    column, row = vanishing_point(ROADS)
    assert row == pytest.approx(150, abs=3) and column == pytest.approx(330, abs=5)


@pytest.mark.parametrize('pictures', [
    NOTHING, [np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)]])
def test_without_lines_there_is_no_point(pictures):
    assert vanishing_point(pictures) is None


def test_everything_can_be_given():
    camera, notes = choose_camera(ROADS, CALIBRATION, 700.0, 170.0, 2.1)
    assert camera.focal == (700.0, 700.0) and camera.height_m == 2.1
    assert camera.horizon == pytest.approx(170)
    assert all('(given' in note for note in notes) and len(notes) == 3


def test_guesses_are_said():
    camera, notes = choose_camera(ROADS)
    assert camera.focal == pytest.approx((554.3, 554.3), abs=0.1)
    assert camera.centre == (319.5, 179.5)
    assert camera.horizon == pytest.approx(150, abs=3) and camera.height_m == 1.4
    for note, words in zip(notes, ('60 degrees of view', 'where the lines of the road meet',
                                   'windscreen')):
        assert 'a guess' in note and words in note and 'give --' in note


def test_without_lines_the_camera_is_level():
    camera, notes = choose_camera(NOTHING)
    assert camera.pitch == 0 and 'no lines of a road were found' in notes[1]
    assert choose_camera(NOTHING, CALIBRATION)[0].horizon == pytest.approx(177)


def test_camera_info_is_used():
    camera, notes = choose_camera(ROADS, CALIBRATION)
    assert (camera.focal, camera.centre) == ((500.0, 510.0), (321.0, 177.0))
    assert camera.horizon == pytest.approx(150, abs=3)
    assert 'from CameraInfo' in notes[0] and 'distortion' not in notes[0]
    distorted = Calibration(SIZE, (500.0, 510.0), (321.0, 177.0), True)
    assert 'the distortion of the lens is left out' in choose_camera(ROADS, distorted)[1][0]


def test_camera_info_of_another_size_is_not_used():
    camera, notes = choose_camera(ROADS, Calibration((720, 1280), (1000.0, 1000.0), (640., 360.),
                                                     False))
    assert camera.focal[0] == pytest.approx(554.3, abs=0.1)
    assert notes[0] == ('the CameraInfo messages are for images of 1280 x 720 pixels and not used')


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match='pitch'):
        choose_camera(ROADS, horizon=float('nan'))
