# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Geometry between image, network and map; needs only the package."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
from vl4ad_ros.inference.letterbox import Letterbox

NETWORK = (96, 160)
PADDING = (123, 117, 104)
SIZES = [(96, 160), (360, 640), (359, 641), (97, 161), (95, 159), (50, 80), (37, 53), (640, 360),
         (1080, 1920), (1, 1), (1, 500), (500, 1), (2, 3), (3000, 7), (7, 3000)]


def sample(cells: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return bilinear samples of a map on a grid of coordinates, edge values beyond the edge."""
    for axis, at in ((0, rows), (1, columns)):
        last = cells.shape[axis] - 1
        at = np.clip(at, 0, last)
        below = np.minimum(np.floor(at).astype(int), last)
        share = np.expand_dims(at - below, 1 - axis)
        cells = (np.take(cells, below, axis) * (1 - share)
                 + np.take(cells, np.minimum(below + 1, last), axis) * share)
    return cells


@functools.cache
def picture(size: tuple[int, int]) -> np.ndarray:
    """Return polygons of random colours on a coarse texture, resized: (H, W, 3)."""
    rng = np.random.default_rng(0)
    texture = rng.integers(60, 190, (96, 160, 3)).astype(np.uint8)
    frames = cv2.resize(texture, (640, 384), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        corners = rng.integers(0, (640, 384), 2) + rng.integers(-60, 60, (4, 2))
        colour = rng.integers(0, 256, 3).tolist()
        cv2.fillConvexPoly(frames, cv2.convexHull(corners.astype(np.int32)), colour)
    return cv2.resize(frames, size[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize('size, content', [
    ((96, 160), (96, 160)), ((360, 640), (90, 160)), ((640, 360), (96, 54)),
    ((48, 80), (96, 160)), ((1, 1), (96, 96)), ((1, 500), (1, 160)), ((3000, 7), (96, 1)),
    ((97, 161), (96, 159))])
def test_image_keeps_its_aspect(size, content):
    assert Letterbox(size, NETWORK, 4).content_size == content


@pytest.mark.parametrize('size', SIZES)
def test_image_is_top_left_and_the_rest_padding(size):
    box = Letterbox(size, NETWORK, 4)
    image = np.full((*size, 3), (200, 50, 10), np.uint8)
    network = box.to_network(image, PADDING)
    height, width = box.content_size
    assert network.shape == (*NETWORK, 3) and network.dtype == np.uint8
    assert network.flags.c_contiguous
    assert (network[:height, :width] == (200, 50, 10)).all()
    assert (network[height:] == PADDING).all() and (network[:, width:] == PADDING).all()


@pytest.mark.parametrize('size', SIZES)
def test_map_comes_back_at_pixel_centres(size):
    box = Letterbox(size, NETWORK, 4)
    cells = box.crop(np.random.default_rng(0).random((24, 40), np.float32))
    rows, columns = ((np.arange(image) + 0.5) * content / image / 4 - 0.5
                     for image, content in zip(size, box.content_size))
    image = box.to_image(cells)
    assert image.shape == size and image.dtype == np.float32
    np.testing.assert_allclose(image, sample(cells, rows, columns), atol=1e-4)


@pytest.mark.parametrize('size', [(360, 640), (359, 641), (97, 161), (640, 360), (431, 577)])
def test_ramp_survives_the_way_there_and_back(size):
    box = Letterbox(size, NETWORK, 4)
    y, x = np.indices(size)
    image = np.stack([255 * y / size[0], 255 * x / size[1], 0 * x], axis=-1).astype(np.uint8)
    network = box.to_network(image, PADDING).astype(np.float32)
    cells = network.reshape(24, 4, 40, 4, 3).mean((1, 3))
    inside = tuple(slice(round(0.08 * n), round(0.92 * n)) for n in size)
    for channel in (0, 1):
        back = box.to_image(box.crop(cells[..., channel]))
        error = back[inside] - image[..., channel][inside]
        assert np.abs(error).max() < 1.5
        # Half a cell of shift would be 2 or more; blocks of 2 x 2 round halves up.
        assert abs(error.mean()) < 0.8


def test_cells_outside_the_image_are_cropped():
    cells = np.arange(24 * 40).reshape(24, 40)
    assert Letterbox((360, 640), NETWORK, 4).crop(cells).shape == (23, 40)
    assert Letterbox((640, 360), NETWORK, 4).crop(cells).shape == (24, 14)
    assert Letterbox((1, 500), NETWORK, 4).crop(cells).shape == (1, 40)


@pytest.mark.parametrize('box, rows, columns', [
    ((0, 0, 640, 360), (0, 23), (0, 40)),
    ((0, 0, 16, 16), (0, 1), (0, 1)),
    ((15, 15, 2, 2), (0, 2), (0, 2)),
    ((320, 160, 32, 16), (10, 11), (20, 22)),
    ((630, 350, 50, 50), (21, 23), (39, 40)),  # reaches beyond the image
    ((700, 400, 5, 5), (22, 23), (39, 40)),
    ((-9, -9, 5, 5), (0, 1), (0, 1)),
    ((100, 100, 0, 0), (6, 7), (6, 7)),
])
def test_cells_of_a_box(box, rows, columns):
    cells = Letterbox((360, 640), NETWORK, 4).to_cells(box)
    assert cells == (slice(*rows), slice(*columns))


@pytest.mark.parametrize('size', [
    (360, 640), (720, 1280), (1080, 1920), (480, 854), (540, 960), (1079, 1919), (101, 163)])
@pytest.mark.parametrize('network', [(96, 160), (192, 320), (512, 1024), (1024, 2048)])
def test_fast_resize_is_close_to_means_over_fractions_of_pixels(size, network):
    box = Letterbox(size, network, 4)
    height, width = box.content_size
    image = picture(size)
    fast = box.to_network(image, PADDING)[:height, :width].astype(float)
    shrinks = height < size[0]
    slow = cv2.resize(image, (width, height), interpolation=(
        cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)).astype(float)
    assert np.abs(fast - slow).mean() < 2.5
    assert abs((fast - slow).mean()) < 0.5  # blocks of 2 x 2 round halves up
    if size[0] % height == 0 and size[1] % width == 0:
        assert np.abs(fast - slow).max() <= 2  # rounded thrice


@pytest.mark.parametrize('side', [3, 5])
def test_means_of_small_odd_blocks_are_those_of_opencv(side):
    size = (side * 100, side * 160)
    image = np.random.default_rng(side).integers(0, 256, (*size, 3), np.uint8)
    shrunk = Letterbox(size, (100, 160), 4).to_network(image, PADDING)
    assert np.array_equal(shrunk, cv2.resize(image, (160, 100), interpolation=cv2.INTER_AREA))


def test_image_of_the_right_size_is_not_copied():
    image = np.zeros((*NETWORK, 3), np.uint8)
    assert Letterbox(NETWORK, NETWORK, 4).to_network(image, PADDING) is image
