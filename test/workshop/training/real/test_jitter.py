# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Large-scale jitter of a picture with its segments. Needs torch."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('torch')

from vl4ad_workshop.training.real.config import AugmentationConfig  # noqa: E402
from vl4ad_workshop.training.real.jitter import jitter  # noqa: E402

# Each segment has its own grey, so the picture says which segment a pixel should have.
SEGMENTS = np.kron(np.arange(6).reshape(2, 3), np.ones((32, 32), int)).astype(np.int16)
IMAGE = np.repeat((SEGMENTS[..., None] * 20).astype(np.uint8), 3, -1)


def drawn(flip, scale, place):
    numbers = iter([flip, place])
    return SimpleNamespace(random=lambda: next(numbers), uniform=lambda low, high: scale)


def test_enlarged_pictures_are_cut_where_the_draw_says():
    config = AugmentationConfig(size=(64, 96), scale=(2, 2), flip=0.5)
    for place, first in ((0.0, 0), (1.0, 4)):
        image, segments = jitter(IMAGE, SEGMENTS, config, drawn(0.9, 2.0, place))
        assert image.shape == (64, 96, 3) and segments.shape == (64, 96)
        # A window of half the picture, at one end in both directions.
        assert set(segments.unique().tolist()) == {first, first + 1}
    _, middle = jitter(IMAGE, SEGMENTS, config, drawn(0.9, 2.0, 0.5))
    assert set(middle.unique().tolist()) == set(range(6))


def test_reduced_pictures_are_filled_right_and_below():
    config = AugmentationConfig(size=(64, 96), scale=(0.5, 0.5))
    image, segments = jitter(IMAGE, SEGMENTS, config, drawn(0.9, 0.5, 0.7))
    assert (segments[:32, :48] >= 0).all()
    assert (segments[32:] == -1).all() and (segments[:, 48:] == -1).all()
    assert (image[32:] == 128).all() and (image[:, 48:] == 128).all()


@pytest.mark.parametrize('flip', [0.1, 0.9])
def test_picture_and_segments_stay_together(flip):
    config = AugmentationConfig(size=(64, 64), scale=(1.3, 1.3))
    image, segments = jitter(IMAGE, SEGMENTS, config, drawn(flip, 1.3, 0.3))
    # Away from edges, which the picture blends.
    labelled = segments >= 0
    agree = image[..., 0][labelled].int() == segments[labelled] * 20
    assert agree.float().mean() > 0.9
    order = segments[5].unique_consecutive().tolist()
    assert order == sorted(order, reverse=flip < 0.5) and len(order) > 1


def test_the_picture_that_fits_is_scale_one():
    config = AugmentationConfig(size=(64, 192), scale=(1, 1))
    image, segments = jitter(IMAGE, SEGMENTS, config, drawn(0.9, 1.0, 0.0))
    assert np.array_equal(image[:, :96], IMAGE) and np.array_equal(segments[:, :96], SEGMENTS)


def test_draws_follow_the_configured_shares():
    config = AugmentationConfig(size=(32, 32), scale=(0.1, 2.0), flip=0.25)
    rng = np.random.default_rng(0)
    shares, flips = [], []
    for _ in range(300):
        _, segments = jitter(IMAGE[:, :64], SEGMENTS[:, :64], config, rng)
        shares.append((segments >= 0).float().mean().item())
        seen = segments[0][segments[0] >= 0].tolist()
        if len(set(seen)) == 2:
            flips.append(seen[0] > seen[-1])
    assert np.mean(np.array(shares) == 1) == pytest.approx(1 / 1.9, abs=0.1)
    assert np.mean(flips) == pytest.approx(0.25, abs=0.1)
