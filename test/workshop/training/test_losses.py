# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Matching and losses against cases worked out by hand (needs torch and scipy)."""

import dataclasses
import math

import pytest

torch = pytest.importorskip('torch')

from vl4ad_workshop.training.drawn.text_stage import contrastive_loss  # noqa: E402
from vl4ad_workshop.training.losses import (  # noqa: E402
    deep_losses, mask_count, match, NAMELESS, proposal_losses, semantic_loss, Targets, Weights)
from vl4ad_workshop.training.point_sampling import RandomPoints, read  # noqa: E402

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


def hide(truth, *classes):
    return dataclasses.replace(truth, hidden=torch.tensor(classes))


def test_a_target_without_a_prompt_is_void_at_full_weight():
    truth = targets([[1.0, 0], [0, 1.0]], [0, 1], [0, 0])
    masks = torch.tensor([[[BIG, -BIG], [-BIG, BIG]]])
    logits = torch.tensor([[[BIG, 0.0, 0], [0, 3.0, 0]]])  # classes 0 and 1, void
    # Class 0 takes no part; query 0 sees logits 0 and 0, query 1 sees 3 and 0.
    got = proposal_losses(logits, masks, hide(truth, True, False), WEIGHTS)['class'].item()
    assert got == pytest.approx(2 * (math.log(2) + math.log(1 + math.exp(-3))) / 2)
    shown = proposal_losses(logits, masks, truth, WEIGHTS)
    assert hide(truth, False, False).hidden.sum() == 0 and shown['class'].item() == pytest.approx(
        proposal_losses(logits, masks, hide(truth, False, False), WEIGHTS)['class'].item())


def test_the_summed_map_may_hold_nothing_where_no_prompt_fits():
    truth = targets([[1.0, 0], [0, 1.0]], [0, 1], [0, 0])
    masks = torch.tensor([[[BIG, BIG]]])  # one query over both pixels: it is class 1
    logits = torch.tensor([[[0.0, BIG, 0.0]]])
    assert semantic_loss(logits, masks, hide(truth, True, False)).item() == pytest.approx(0.5)
    assert semantic_loss(logits, masks, hide(truth, True, True)).item() == pytest.approx(
        0, abs=1e-3)


@pytest.mark.parametrize('hidden', (None, torch.tensor([True, True])))
def test_of_what_has_no_name_only_the_mask_counts(hidden):
    truth = dataclasses.replace(
        targets([[1.0, 0, 0], [0, 1.0, 0]], [0, NAMELESS], [0, 0]), hidden=hidden)
    named = dataclasses.replace(targets([[1.0, 0, 0]], [0], [0]), hidden=hidden)
    masks = torch.tensor([[[BIG, -BIG, -BIG], [-BIG, 0.0, -BIG]]])
    for logits in (torch.zeros(1, 2, 3), torch.tensor([[[0.0, 0, 0], [BIG, 0, 0]]])):
        # Whatever class its query has, even that of the other target.
        assert match(logits, masks, truth, WEIGHTS)[1].tolist() == [0, 1]
        got = proposal_losses(logits, masks, truth, WEIGHTS)
        alone = proposal_losses(logits[:, :1], masks[:, :1], named, WEIGHTS)
        assert got['class'].item() == pytest.approx(alone['class'].item())
        assert got['mask'].item() == pytest.approx(5 * math.log(2) / 3 / 2, rel=1e-4)
        assert got['dice'].item() == pytest.approx(5 * (1 - 2 / 2.5) / 2, rel=1e-4)


def test_the_summed_map_is_free_where_a_thing_has_no_name():
    truth = targets([[1.0, 0, 0], [0, 1.0, 0]], [0, NAMELESS], [0, 0])
    sure = torch.tensor([[[BIG, 0.0, 0], [BIG, 0, 0]]])
    for place, loss in ((1, 0.0), (2, 0.5)):  # the second query's mask: on it, on nothing
        masks = torch.full((1, 2, 3), -BIG)
        masks[0, 0, 0] = masks[0, 1, place] = BIG
        assert semantic_loss(sure, masks, truth).item() == pytest.approx(loss, abs=1e-3)


def test_half_of_the_mask_loss_goes_where_it_is_uncertain_or_wrong():
    truth = targets([[1.0, 0, 0, 0]], [0], [0])
    masks = torch.tensor([[[BIG, -BIG, -BIG, 0.0]]])  # one pixel of four undecided
    for share in (0.0, 0.5):
        weights = dataclasses.replace(WEIGHTS, uncertain=share)
        got = proposal_losses(torch.zeros(1, 1, 2), masks, truth, weights)['mask'].item()
        assert got == pytest.approx(5 * math.log(2) * ((1 - share) / 4 + share), rel=1e-4)
    ignored = targets([[1.0, 0, 0, 0]], [0], [0], [[1.0, 1, 1, 0]])
    assert proposal_losses(torch.zeros(1, 1, 2), masks, ignored, weights)[
        'mask'].item() == pytest.approx(0, abs=1e-4)


def test_heads_can_be_held_to_one_matching():
    truth = targets([[1.0, 0]], [0], [0])
    fits = torch.tensor([[[BIG, -BIG], [-BIG, BIG]]])
    heads = [(torch.zeros(1, 2, 2), m) for m in (fits.flip(1), fits)]
    own = deep_losses(heads, truth, WEIGHTS)
    held = deep_losses(heads, truth, WEIGHTS, pairs=match(*heads[-1], truth, WEIGHTS))
    assert own['mask'].item() == pytest.approx(0, abs=1e-4)
    assert held['mask'].item() == pytest.approx(5 * BIG, rel=1e-4)


def test_points_are_read_between_pixel_centres():
    maps = torch.tensor([[[0.0, 4.0], [8.0, 12.0]]])
    at = torch.tensor([[[0.25, 0.25], [0.5, 0.5], [0.75, 0.5], [0.0, 0.25]]])
    # Centres are at 0.25 and 0.75; the left edge is halfway to the zeros outside.
    assert read(maps, at).tolist() == [[0, 6, 8, 0]]
    assert read(maps + 2, at[:, 3:]).tolist() == [[1]]
    two = torch.cat([maps, maps > 3])
    each = torch.cat([at[:, :1], at[:, 2:3]])
    assert read(two, each).tolist() == [[0], [1]]
    assert read(two, at).tolist() == [[0, 6, 8, 0], [0, 0.75, 1, 0]]
    assert read(maps > 3, None).tolist() == [[0, 1, 1, 1]]


def test_three_of_four_points_are_where_the_mask_is_least_certain():
    candidates = torch.tensor([[[0.125, 0.5], [0.375, 0.5], [0.625, 0.5], [0.875, 0.5],
                                [0.875, 0.5], [0.125, 0.5], [0.875, 0.5], [0.125, 0.5]]])
    rest = torch.tensor([[[0.9, 0.1]]])
    draws = iter([candidates, rest])

    def uniform(*shape, device):
        numbers = next(draws)
        assert numbers.shape == shape
        return numbers

    mask = torch.tensor([[[9.0, -1.0, 0.5, -8.0]]])
    points = RandomPoints(count=4, oversample=2.0, importance=0.75, uniform=uniform)
    got = points.for_loss(mask)[0]
    assert {tuple(p) for p in got[:2].tolist()} == {(0.375, 0.5), (0.625, 0.5)}
    assert got[2].tolist() == [0.875, 0.5]  # |-8| before |9|
    assert got[3:].tolist() == rest[0].tolist()
    assert not list(draws)


def test_losses_and_matching_at_points():
    # Left half of an 8x8 label against 2x2 logits; points at the centres of the four cells.
    truth = Targets(torch.tensor([0]), torch.tensor([0]),
                    (torch.arange(8) < 4).expand(1, 8, 8))
    at = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]])
    points = RandomPoints(4, 1.0, 1.0, lambda *shape, device: at[:, :shape[1]])
    masks = torch.tensor([[[[-BIG, BIG], [-BIG, BIG]], [[0.0, -1.0], [2.0, -3.0]]]])
    logits = torch.zeros(1, 2, 2)
    assert [i.tolist() for i in match(logits, masks, truth, WEIGHTS, points)] == [[0], [1], [0]]
    losses = proposal_losses(logits, masks, truth, WEIGHTS, points)

    def softplus(x):
        return math.log(1 + math.exp(x))

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    bce = (softplus(0) + softplus(-2) + softplus(-1) + softplus(-3)) / 4
    inside, outside = sigmoid(0) + sigmoid(2), sigmoid(-1) + sigmoid(-3)
    dice = 1 - (2 * inside + 1) / (inside + outside + 2 + 1)
    assert losses['mask'].item() == pytest.approx(5 * bce)
    assert losses['dice'].item() == pytest.approx(5 * dice)
    assert losses['class'].item() == pytest.approx(2 * math.log(2))
    # The same numbers from dense masks, which see the same four values.
    dense = Targets(truth.picture, truth.kind, torch.tensor([[1.0, 0, 1, 0]]))
    for name, value in proposal_losses(logits, masks.flatten(2), dense, WEIGHTS).items():
        assert value.item() == pytest.approx(losses[name].item()), name


def test_every_head_is_supervised_and_counts_masks_once():
    truth = targets([[1.0, 0], [0, 1.0], [1.0, 1.0]], [0, 0, 1], [0, 0, 1])
    torch.manual_seed(0)
    heads = [(torch.randn(2, 3, 3), torch.randn(2, 3, 2)) for _ in range(3)]
    total = deep_losses(heads, truth, WEIGHTS)
    each = [proposal_losses(*head, truth, WEIGHTS) for head in heads]
    for name in ('class', 'mask', 'dice'):
        assert total[name].item() == pytest.approx(sum(e[name].item() for e in each))
    assert mask_count(truth) == 3
    nothing = Targets(torch.zeros(0).long(), torch.zeros(0).long(), torch.zeros(0, 2))
    assert mask_count(nothing) == 1
    losses = deep_losses(heads, nothing, WEIGHTS)
    assert losses['mask'].item() == losses['dice'].item() == 0 < losses['class'].item()


def test_more_targets_than_queries_match_as_many_as_there_are():
    truth = targets([[1.0, 0], [0, 1.0], [1.0, 1.0]], [0, 0, 0], [0, 0, 0])
    masks = torch.tensor([[[BIG, -BIG], [BIG, BIG]]])
    _, query, target = match(torch.zeros(1, 2, 2), masks, truth, WEIGHTS)
    assert set(zip(query.tolist(), target.tolist())) == {(0, 0), (1, 2)}
    # Divided by the three targets, not by the two pairs (FC-CLIP).
    assert proposal_losses(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), truth, WEIGHTS)[
        'mask'].item() == pytest.approx(5 * math.log(2) * 2 / 3)


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(FloatingPointError):
        match(torch.zeros(1, 1, 2), torch.full((1, 1, 2), math.nan),
              targets([[1.0, 0]], [0], [0]), WEIGHTS)


def test_contrastive_loss_counts_all_images_of_a_text():
    logits = torch.tensor([[BIG, 0], [BIG, 0], [0, BIG]])
    kind = torch.tensor([0, 0, 1])
    # Images find their text; a text splits its mass between its two images.
    assert contrastive_loss(logits, kind).item() == pytest.approx(0.25 * math.log(2), rel=1e-3)
    assert contrastive_loss(logits.flip(1), kind).item() > 10
