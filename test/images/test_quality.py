# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exposure, contrast and sharpness of pictures, measured without knowing what they show."""

from __future__ import annotations

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from vl4ad_ros.images.quality import blur_of, Quality, reduce


def road(height: int = 540, width: int = 960) -> np.ndarray:
    """Return a picture with a sky, a textured ground, a lane marking, a tree and a car."""
    rng = np.random.default_rng(0)
    image = np.full((540, 960, 3), (150, 185, 225), np.uint8)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (300, 960)), (0, 0), 2)
    image[240:] = np.clip(95 + texture, 0, 255).astype(np.uint8)[..., None]
    cv2.line(image, (480, 240), (300, 539), (230, 230, 230), 9)
    cv2.circle(image, (800, 170), 110, (45, 80, 40), -1)
    cv2.rectangle(image, (560, 230), (680, 310), (25, 25, 30), -1)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def exposed(image: np.ndarray, factor: float) -> np.ndarray:
    """Return what a camera records of `factor` times the light, with a gamma of 2.2."""
    return np.clip(255 * ((image / 255) ** 2.2 * factor) ** (1 / 2.2), 0, 255).astype(np.uint8)


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def quality(image: np.ndarray) -> Quality:
    return Quality.of(reduce(image))


@pytest.mark.parametrize('change, problem', [
    (lambda image: image, ''),
    (noisy, ''),
    (lambda image: exposed(image, 1 / 8), ''),
    (lambda image: exposed(image, 1 / 512), 'too dark: its mean brightness is '),
    (np.zeros_like, 'too dark: its mean brightness is 0 of 255, below 16, and 100% of its '),
    (lambda image: exposed(image, 2), ''),
    (lambda image: exposed(image, 30), 'overexposed: '),
    (lambda image: np.full_like(image, 255), 'overexposed: 100% of its pixels are saturated'),
    (lambda image: noisy(np.full_like(image, 90)), 'uniform: the standard deviation of its'),
    (lambda image: cv2.GaussianBlur(image, (0, 0), 1.5), ''),
    (lambda image: cv2.GaussianBlur(image, (0, 0), 15), 'blurred: its blur is 0.'),
    (lambda image: noisy(cv2.GaussianBlur(image, (0, 0), 15)), 'blurred: its blur is 0.'),
    (lambda image: cv2.blur(image, (90, 1)), 'blurred: its blur is 0.'),
    (lambda image: cv2.blur(image, (1, 90)), 'blurred: its blur is 0.')])
def test_the_problem_of_a_picture_is_named_with_its_value(change, problem):
    found = quality(change(road())).problem
    assert problem in found if problem else not found


def test_the_size_of_the_image_hardly_matters():
    small, large = quality(road(270, 480)), quality(road(1080, 1920))
    assert astuple(small) == pytest.approx(astuple(large), abs=0.05, rel=0.03)
    assert astuple(quality(road().transpose(1, 0, 2))) == pytest.approx(
        astuple(quality(road())), abs=0.05, rel=0.03)


@pytest.mark.parametrize('shape, small', [
    ((1, 1), (1, 1)), ((1, 5), (1, 5)), ((3000, 1), (160, 1)), ((2, 999), (1, 160)),
    ((90, 160), (90, 160)), ((100, 161), (99, 160)), ((1080, 1920), (90, 160))])
def test_every_size_has_a_quality(shape, small):
    image = np.full((*shape, 3), 70, np.uint8)
    assert reduce(image).shape == small
    assert 'standard deviation of its brightness is 0.0 of' in quality(image).problem
    assert quality(image).brightness == pytest.approx(70, abs=1e-3)


def test_the_memory_layout_does_not_matter():
    image = road()
    assert np.array_equal(reduce(image[:, ::-1]), reduce(np.ascontiguousarray(image[:, ::-1])))
    assert np.array_equal(reduce(np.asfortranarray(image)), reduce(image))


def test_blur_is_0_for_alternating_columns_and_grows_to_1_for_a_ramp():
    assert blur_of(np.tile(np.float32([0, 200]), (20, 40))) < 0.25
    assert blur_of(np.tile(np.arange(200, dtype=np.float32), (20, 1))) > 0.95


def test_the_mean_is_that_of_each_value():
    assert Quality.mean([Quality(1, 0, .2, 30, .5), Quality(3, 1, .4, 10, .1)]) == Quality(
        2, .5, pytest.approx(.3), 20, pytest.approx(.3))
