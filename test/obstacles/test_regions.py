# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Regions of drawn score maps; needs nothing but the package."""

from __future__ import annotations

import numpy as np
import pytest
from vl4ad_ros.obstacles.regions import find_regions, RegionLimits


def score_map(*blocks: tuple[int, int, int, int, float]) -> np.ndarray:
    """Return a 60 x 100 map of 0.1 with blocks (x, y, width, height, score)."""
    score = np.full((60, 100), 0.1, np.float32)
    for x, y, width, height, value in blocks:
        score[y:y + height, x:x + width] = value
    return score


def test_region_has_the_box_area_score_and_centroid_of_its_pixels():
    score = score_map((20, 10, 4, 3, 0.8))
    score[10, 20] = 0.2  # a corner is missing
    region, = find_regions(score, RegionLimits())
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
    assert [r.box for r in find_regions(score_map(*blocks), limits)] == boxes


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
    assert len(find_regions(score_map((*box, 0.9)), RegionLimits(roi=roi))) == counts


def test_score_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r'\(60, 100, 1\)'):
        find_regions(score_map()[..., None], RegionLimits())


@pytest.mark.parametrize('limits, message', [
    ({'threshold': 1.5}, 'threshold must be 0..1, not 1.5'),
    ({'threshold': float('nan')}, 'threshold'),
    ({'min_area': -0.1}, 'min_area must be 0..1'),
    ({'roi': ((0.0, 0.0), (1.0, 1.0))}, '3 or more corners'),
    ({'roi': ((0.0, 0.0), (1.0,), (1.0, 1.0))}, '3 or more corners'),
    ({'roi': ((0.0, 0.0), (1.0, 0.0), (640.0, 360.0))}, 'image fractions'),
    ({'roi': ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0))}, 'no area'),
])
def test_limits_out_of_range_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        RegionLimits(**limits)
