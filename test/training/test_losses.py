# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matching and losses against cases worked out by hand (needs torch and scipy)."""

import math

import pytest

torch = pytest.importorskip('torch')

from vl4ad_ros.training.drawn.clip_stage import contrastive_loss  # noqa: E402
from vl4ad_ros.training.losses import (  # noqa: E402
    match, proposal_losses, semantic_loss, Targets, Weights)

WEIGHTS = Weights(classes=2.0, mask=5.0, dice=5.0, void=0.1)
BIG = 20.0


def targets(masks, kinds, pictures, valid=None):
    masks = torch.tensor(masks)
    count = max(pictures) + 1
    return Targets(torch.tensor(pictures), torch.tensor(kinds), masks,
                   torch.ones(count, masks.shape[1]) if valid is None else torch.tensor(valid))


def test_matching_follows_masks_and_classes():
    # Two pictures of four pixels; queries 2 and 0 fit, in that order.
    truth = targets([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], [0, 1, 1], [0, 0, 1])
    masks = torch.full((2, 3, 4), -BIG)
    masks[0, 2, :2] = BIG
    masks[0, 0, 2:] = BIG
    masks[1, 1] = BIG
    picture, query, target = match(torch.zeros(2, 3, 3), masks, truth, WEIGHTS)
    pairs = set(zip(picture.tolist(), query.tolist(), target.tolist()))
    assert pairs == {(0, 2, 0), (0, 0, 1), (1, 1, 2)}
    # With equal masks the class decides.
    logits = torch.zeros(1, 2, 3)
    logits[0, 1, 0] = BIG
    one = targets([[1.0, 1, 0, 0]], [0], [0])
    assert match(logits, torch.zeros(1, 2, 4), one, WEIGHTS)[1].tolist() == [1]


def test_losses_of_one_query():
    truth = targets([[1.0, 1, 0, 0]], [0], [0])
    losses = proposal_losses(torch.zeros(1, 1, 2), torch.zeros(1, 1, 4), truth, WEIGHTS)
    assert losses['class'].item() == pytest.approx(2 * math.log(2))
    assert losses['mask'].item() == pytest.approx(5 * math.log(2))
    # probability .5: overlap 2 * (.5 + .5) + 1 = 3 over 2 + 2 + 1 = 5.
    assert losses['dice'].item() == pytest.approx(5 * (1 - 3 / 5))


def test_unmatched_queries_are_void_and_weigh_less():
    truth = targets([[1.0, 0]], [0], [0])
    masks = torch.tensor([[[BIG, -BIG], [-BIG, -BIG]]])
    logits = torch.tensor([[[BIG, 0, 0], [0, 0, 0.0]]])  # classes 0 and 1, void
    got = proposal_losses(logits, masks, truth, WEIGHTS)['class'].item()
    assert got == pytest.approx(2 * (0.1 * math.log(3)) / 1.1, rel=1e-4)


def test_ignored_pixels_do_not_count():
    truth = targets([[1.0, 0, 0, 0]], [0], [0], [[1.0, 1, 0, 0]])
    bad = torch.tensor([[[BIG, -BIG, BIG, BIG]]])
    losses = proposal_losses(torch.tensor([[[BIG, -BIG]]]), bad, truth, WEIGHTS)
    assert sum(v.item() for v in losses.values()) == pytest.approx(0, abs=1e-5)
    assert semantic_loss(torch.tensor([[[BIG, -BIG]]]), bad, targets(
        [[1.0, 0, 0, 0]], [0], [0], [[1.0, 0, 0, 0]])).item() == pytest.approx(0, abs=1e-5)


def test_semantic_loss_is_the_likelihood_of_the_sum_and_its_excess():
    logits = torch.zeros(1, 2, 3)  # each class 1/3, void 1/3
    masks = torch.zeros(1, 2, 1)  # each query half: class mass 2 * .5 / 3
    truth = targets([[1.0]], [1], [0])
    assert semantic_loss(logits, masks, truth).item() == pytest.approx(-math.log(1 / 3))
    three = torch.full((1, 3, 1), BIG)
    sure = torch.tensor([BIG, 0.0, 0.0]).expand(1, 3, 3)
    excess = semantic_loss(sure, three, targets([[1.0]], [0], [0])).item()
    assert excess == pytest.approx(2, rel=1e-3)  # three queries claim the pixel


def test_contrastive_loss_counts_all_images_of_a_text():
    logits = torch.tensor([[BIG, 0], [BIG, 0], [0, BIG]])
    kind = torch.tensor([0, 0, 1])
    # Images find their text; a text splits its mass between its two images.
    assert contrastive_loss(logits, kind).item() == pytest.approx(0.25 * math.log(2), rel=1e-3)
    assert contrastive_loss(logits.flip(1), kind).item() > 10
