# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A pasted object has the place, size, edges, light, blur and noise that it should have."""

import cv2
import numpy as np
import pytest

from vl4ad_ros.composing.pasting import CutOut, paste, sharpness

GREY = np.full((200, 300, 3), 120, np.uint8)


def box(colour=(200, 40, 40), rows=240, columns=160):
    """Return an opaque rectangle."""
    return CutOut.of('box', np.full((rows, columns, 3), colour, np.uint8),
                     np.ones((rows, columns), bool))


def polygons(blur, seed=0):
    """Return a picture of random polygons whose edges have a blur of so many pixels."""
    rng = np.random.default_rng(seed)
    large = np.full((1440, 1920, 3), 110, np.uint8)
    for _ in range(50):
        corners = rng.integers(0, (1920, 1440)) + rng.integers(-250, 250, (4, 2))
        cv2.fillPoly(large, [corners.astype(np.int32)], rng.integers(0, 256, 3).tolist())
    if blur:
        large = cv2.GaussianBlur(large, (0, 0), 4 * blur)
    return cv2.resize(large, (480, 360), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize('blur', [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize('jpeg', [False, True])
def test_blur_is_measured(blur, jpeg):
    picture = polygons(blur)
    if jpeg:
        picture = cv2.imdecode(cv2.imencode('.jpg', picture)[1], cv2.IMREAD_COLOR)
    assert sharpness(picture) == pytest.approx(blur, abs=0.2 if blur else 0.35)


def test_a_picture_without_edges_has_no_blur():
    assert sharpness(GREY) == 0


@pytest.mark.parametrize('height', [15, 60, 150])
def test_place_and_size(height):
    picture, mask = paste(GREY, box(), (150.0, 180.0), height, blur=0.5)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    assert rows[-1] == pytest.approx(179, abs=1)
    assert len(rows) == pytest.approx(height, abs=2)
    assert len(columns) == pytest.approx(height * 160 / 240, abs=2)
    assert columns.mean() == pytest.approx(150, abs=1)
    assert picture.shape == GREY.shape and picture.dtype == np.uint8
    assert (GREY == 120).all(), 'the picture is not changed'


def test_what_is_outside_of_object_and_shadow_is_not_changed():
    noisy = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    picture, mask = paste(noisy, box(), (150.0, 150.0), 60, blur=0.7)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((33, 33), np.uint8)) > 0
    assert (picture[~near] == noisy[~near]).all()
    assert (picture[mask] != noisy[mask]).any(axis=1).mean() > 0.95


def test_opacity_of_the_cut_out_decides_on_the_mask():
    alpha = np.zeros((200, 200), np.uint8)
    cv2.circle(alpha, (100, 100), 90, 255, -1)
    cv2.circle(alpha, (100, 100), 40, 0, -1)
    ring = CutOut.of('tyre', np.full((200, 200, 3), 30, np.uint8), alpha)
    assert ring.alpha.shape == (181, 181)
    picture, mask = paste(GREY, ring, (150.0, 170.0), 100, blur=0.5)
    middle = 170 - 50
    assert not mask[middle, 150] and (picture[middle, 150] == 120).all()
    assert mask.sum() == pytest.approx((alpha > 0).sum() * (100 / 181) ** 2, rel=0.03)


def test_colours_beside_the_object_do_not_come_into_its_edge():
    """The transparent part of a PNG file often is green or white."""
    rgb = np.full((240, 240, 3), (0, 255, 0), np.uint8)
    alpha = np.zeros((240, 240), np.uint8)
    rgb[20:220, 20:220], alpha[20:220, 20:220] = 60, 255
    rgb[100:140, 100:140], alpha[100:140, 100:140] = (0, 255, 0), 0
    picture, _ = paste(GREY, CutOut.of('box', rgb, alpha), (150.0, 180.0), 60, blur=0.7)
    assert np.ptp(picture.astype(int), axis=2).max() <= 1


@pytest.mark.parametrize('blur', [0.6, 1.0, 2.0])
def test_edges_are_as_soft_as_the_picture(blur):
    """The edge of a box over a grey ground is a step; its width tells the blur."""
    picture, _ = paste(GREY, box((120, 20, 20)), (150.0, 180.0), 120, blur=blur)
    row = picture[120, :150, 1].astype(float)
    row = (120 - row) / (120 - row[-1])
    steps = np.clip(np.diff(row), 0, None)
    where = np.arange(len(steps))
    middle = (steps * where).sum() / steps.sum()
    width = np.sqrt((steps * (where - middle) ** 2).sum() / steps.sum())
    assert width == pytest.approx(blur, abs=0.2)


def test_an_enlarged_object_is_not_blurred_twice():
    small = box(rows=24, columns=16)
    (sharp, _), (soft, _) = (paste(GREY, small, (150.0, 180.0), 120, blur=b) for b in (0.0, 1.0))
    assert (sharp == soft).all()


def test_light_follows_the_ground():
    dark, bright = (np.full_like(GREY, level) for level in (25, 220))
    shown = [paste(ground, box((120, 120, 120)), (150.0, 180.0), 80)[0][140, 150].mean()
             for ground in (dark, GREY, bright)]
    assert shown[0] < 0.75 * shown[1] and shown[2] > 1.2 * shown[1]


def test_shadow_darkens_the_ground_at_the_foot_only():
    picture, mask = paste(GREY, box(), (150.0, 150.0), 80)
    below = picture[150:155, 130:170].astype(int)
    assert 60 <= below.min() < 100
    assert (picture[170:] == 120).all() and (picture[:60] == 120).all()
    assert not mask[151:].any()


@pytest.mark.parametrize('level', [0.0, 3.0])
def test_noise_is_that_of_the_ground(level):
    rng = np.random.default_rng(0)
    ground = (GREY + rng.normal(0, level, GREY.shape[:2])[..., None]).clip(0, 255).astype(np.uint8)
    picture, _ = paste(ground, box((130, 130, 130)), (150.0, 180.0), 100,
                       noise=np.random.default_rng(1))
    assert picture[100:160, 130:170].std() == pytest.approx(level, abs=0.8)


def test_lane_markings_are_no_noise():
    ground = GREY.copy()
    ground[:, 140:150] = 240
    picture, _ = paste(ground, box((130, 130, 130)), (150.0, 180.0), 100,
                       noise=np.random.default_rng(1))
    assert picture[100:160, 130:170].std() < 1


@pytest.mark.parametrize('foot', [(0.0, 100.0), (299.0, 100.0), (150.0, 230.0), (150.0, 20.0)])
def test_what_lies_over_the_border_is_cut_off(foot):
    picture, mask = paste(GREY, box(), foot, 60, noise=np.random.default_rng(0))
    assert 0 < mask.sum() < 60 * 40 and picture.shape == GREY.shape


@pytest.mark.parametrize('foot', [(-200.0, 100.0), (600.0, 100.0), (150.0, -50.0), (150.0, 900.0)])
def test_what_lies_outside_is_not_there(foot):
    picture, mask = paste(GREY, box(), foot, 60, noise=np.random.default_rng(0))
    assert not mask.any() and (picture == GREY).all()


def test_mirror():
    rgb = np.full((100, 100, 3), 20, np.uint8)
    rgb[:, 50:] = 230
    halves = CutOut.of('box', rgb, np.ones((100, 100), bool))
    one, other = (paste(GREY, halves, (150.0, 180.0), 80, mirror=m)[0] for m in (False, True))
    assert one[140, 130].mean() < one[140, 170].mean()
    assert other[140, 130].mean() > other[140, 170].mean()


def test_an_invisible_object_is_refused():
    with pytest.raises(ValueError, match="'ghost' has no opaque pixel"):
        CutOut.of('ghost', np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 100, np.uint8))
