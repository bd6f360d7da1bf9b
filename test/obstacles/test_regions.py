# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Regions of drawn score maps; needs nothing but the package."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from vl4ad_ros.obstacles.regions import find_regions, Region, RegionLimits


def score_map(*blocks: tuple[int, int, int, int, float]) -> np.ndarray:
    """Return a 60 x 100 map of 0.1 with blocks (x, y, width, height, score)."""
    score = np.full((60, 100), 0.1, np.float32)
    for x, y, width, height, value in blocks:
        score[y:y + height, x:x + width] = value
    return score


def test_region_has_the_box_area_score_and_centroid_of_its_pixels():
    score = score_map((20, 10, 4, 3, 0.8))
    score[10, 20] = 0.2  # a corner is missing
    region, = find_regions(score, RegionLimits()).kept
    assert region.box == (20, 10, 4, 3)
    assert region.area == 11
    assert region.score == pytest.approx(0.8)
    assert region.centroid[0] == pytest.approx((2 * 20.5 + 3 * (21.5 + 22.5 + 23.5)) / 11)
    assert region.centroid[1] == pytest.approx((3 * 10.5 + 4 * 11.5 + 4 * 12.5) / 11)


@pytest.mark.parametrize('blocks, limits, boxes', [
    ((), RegionLimits(), []),
    (((0, 0, 100, 60, 0.9),), RegionLimits(), [(0, 0, 100, 60)]),
    (((5, 5, 2, 2, 0.5),), RegionLimits(threshold=0.5), []),  # above, not at, the threshold
    (((5, 5, 2, 2, 0.6),), RegionLimits(threshold=0.5), [(5, 5, 2, 2)]),
    (((5, 5, 2, 3, 0.9),), RegionLimits(min_area=6 / 6000), [(5, 5, 2, 3)]),
    (((5, 5, 2, 3, 0.9),), RegionLimits(min_area=7 / 6000), []),
    (((5, 5, 1, 1, 0.9),), RegionLimits(min_area=0.0), [(5, 5, 1, 1)]),
    (((5, 5, 5, 5, 0.9), (10, 10, 5, 5, 0.9)), RegionLimits(), [(5, 5, 10, 10)]),  # diagonal
    (((5, 5, 5, 5, 0.9), (11, 5, 9, 5, 0.9)), RegionLimits(), [(11, 5, 9, 5), (5, 5, 5, 5)]),
])
def test_regions_found(blocks, limits, boxes):
    assert [r.box for r in find_regions(score_map(*blocks), limits).kept] == boxes


LOWER_HALF = ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))
TRIANGLE = ((0.5, 0.0), (1.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize('roi, box, counts', [
    (LOWER_HALF, (40, 10, 10, 30), True),  # stands in the lower half though most is above
    (LOWER_HALF, (40, 0, 10, 30), False),
    (LOWER_HALF, (90, 50, 10, 10), True),  # touches the corner of the frame
    (TRIANGLE, (0, 20, 10, 10), False),
    (TRIANGLE, (45, 20, 10, 10), True),
    ((), (0, 0, 10, 10), True),
])
def test_region_counts_if_its_foot_point_is_in_the_polygon(roi, box, counts):
    found = find_regions(score_map((*box, 0.9)), RegionLimits(roi=roi))
    assert len(found.kept) == counts and not found.left_over


def test_score_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r'shape \(H, W\), not \(60, 100, 1\)'):
        find_regions(score_map()[..., None], RegionLimits())


@pytest.mark.parametrize('limits, message', [
    ({'threshold': 1.5}, 'threshold must be from 0 to 1, not 1.5'),
    ({'threshold': float('nan')}, 'threshold'),
    ({'min_area': -0.1}, 'min_area must be from 0 to 1, not -0.1'),
    ({'roi': ((0.0, 0.0), (1.0, 1.0))}, '3 or more corners'),
    ({'roi': ((0.0, 0.0), (1.0,), (1.0, 1.0))}, '3 or more corners'),
    ({'roi': ((0.0, 0.0), (1.0, 0.0), (640.0, 360.0))}, 'image fractions'),
    ({'roi': ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0))}, 'no area'),
])
def test_limits_out_of_range_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        RegionLimits(**limits)


def every_pixel_labelled(score: np.ndarray, limits: RegionLimits) -> list[Region]:
    """Return the regions as OpenCV's statistics of the whole map have them."""
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(
        (score > limits.threshold).astype(np.uint8), connectivity=8)
    return sorted((
        Region(tuple(map(float, stats[n, :4])), int(stats[n, 4]), float(score[labels == n].mean()),
               tuple(map(float, centroids[n] + 0.5)))
        for n in range(1, len(stats)) if stats[n, 4] >= limits.min_area * score.size),
        key=lambda r: (-r.area, r.box))


def rings(size: tuple[int, int]) -> np.ndarray:
    """Return frames within frames, whose boxes all overlap."""
    y, x = np.indices(size)
    edge = np.minimum.reduce([x, y, size[1] - 1 - x, size[0] - 1 - y])
    return (edge // 20 % 2 == 0).astype(np.float32)


def smooth(seed: int, size: tuple[int, int], cell: int) -> np.ndarray:
    """Return hills of about a cell's size, 0..1."""
    noise = np.random.default_rng(seed).random((size[0] // cell + 2, size[1] // cell + 2))
    return cv2.resize(noise.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize('score', [
    *(smooth(seed, size, cell) for seed, size, cell in (
        (0, (180, 320), 20), (1, (181, 323), 7), (2, (359, 641), 40), (3, (50, 9), 4))),
    np.random.default_rng(0).random((123, 257)), rings((200, 330)), np.ones((33, 65), np.float32),
    np.zeros((5, 3), np.float32), np.ones((1, 1), np.float32), np.eye(100, dtype=np.float32)],
    ids=['hills', 'odd hills', 'wide hills', 'narrow', 'noise', 'rings', 'full', 'empty', 'pixel',
         'diagonal'])
@pytest.mark.parametrize('limits', [
    RegionLimits(0.5, 0.0, max_count=10000), RegionLimits(0.6, 0.001), RegionLimits(0.3, 0.01)],
    ids=str)
def test_blocks_lose_and_join_nothing(score, limits):
    found, expected = find_regions(score, limits).kept, every_pixel_labelled(score, limits)
    assert [(r.box, r.area) for r in found] == [(r.box, r.area) for r in expected]
    for seen, right in zip(found, expected):
        assert seen.score == pytest.approx(right.score, rel=1e-5)
        assert seen.centroid == pytest.approx(right.centroid, rel=1e-9)


def test_the_largest_are_kept_and_the_rest_counted_in_the_order_of_all():
    score = np.random.default_rng(1).random((123, 257))
    every = find_regions(score, RegionLimits(0.5, 0.0, max_count=10000))
    some = find_regions(score, RegionLimits(0.5, 0.0, max_count=20))
    assert some.kept == every.kept[:20] and every.left_over == 0
    assert some.left_over == len(every.kept) - 20 > 100
