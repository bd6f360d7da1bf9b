# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification and scores against cases worked out by hand (needs torch)."""

import math

import pytest

torch = pytest.importorskip('torch')

from vl4ad_ros.network import scoring  # noqa: E402
from vl4ad_ros.network.classification import (  # noqa: E402
    ABSENT, class_logits, class_probability, void_logit)
from vl4ad_ros.network.pooling import mask_pool  # noqa: E402

CONCEPTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 0.0]])


def test_a_class_is_its_best_concept_before_the_softmax():
    embedding = torch.tensor([[3.0, 4.0]])  # cosines .6, .8, 1; length must not matter
    scale = torch.tensor(math.log(10))
    apart = class_logits(embedding, CONCEPTS, torch.tensor([0, 1, 2, -1]), 4, scale)
    assert apart[0].tolist() == pytest.approx([6, 8, 10, ABSENT])
    merged = class_logits(embedding, CONCEPTS, torch.tensor([0, 0, 1, -1]), 2, scale)
    assert merged[0].tolist() == pytest.approx([8, 10])


def test_the_scale_is_capped_at_100():
    logits = class_logits(torch.tensor([[1.0, 0.0]]), CONCEPTS, torch.tensor([0, 1, 2, -1]), 3,
                          torch.tensor(9.0))
    assert logits[0, 0].item() == pytest.approx(100)
    assert void_logit(torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0]]),
                      torch.tensor(9.0)).item() == pytest.approx(100)


def test_absent_classes_and_void_take_their_share():
    inside = torch.tensor([[[math.log(3), 0.0, ABSENT]]])
    void = torch.tensor([[[math.log(4)]]])
    dropped = class_probability(inside, inside, void, torch.zeros(3), keep_void=False)
    assert dropped[0, 0].tolist() == pytest.approx([0.75, 0.25, 0])
    kept = class_probability(inside, inside, void, torch.zeros(3))
    assert kept[0, 0].tolist() == pytest.approx([3 / 8, 1 / 8, 0])  # p(void) = 4 / 8


def test_geometric_ensemble_weighs_each_class():
    inside = torch.log(torch.tensor([[[0.8, 0.2]]]))
    outside = torch.log(torch.tensor([[[0.5, 0.5]]]))
    void = torch.tensor([[[-1e4]]])
    p = class_probability(inside, outside, void, torch.tensor([0.0, 1.0]))[0, 0]
    assert p.tolist() == pytest.approx([0.8 / 1.3, 0.5 / 1.3])


def test_anomaly_prompts_only_take_mass_away():
    embedding = torch.tensor([[[0.6, 0.8]]])
    scale, void = torch.tensor(math.log(10)), torch.tensor([[[-1e4]]])

    def known_mass(classes):
        logits = class_logits(embedding, CONCEPTS, torch.tensor(classes), 3, scale)
        p = class_probability(logits, logits, void, torch.zeros(3))[0, 0]
        return p[:2]

    without, with_third = known_mass([0, 1, -1, -1]), known_mass([0, 1, 2, -1])
    assert (with_third < without).all()


def test_scores_of_a_map():
    # Two queries, two classes, one row of three pixels.
    s = torch.tensor([[[1.0, 0.5, 0.0]], [[0.0, 0.5, 0.0]]])
    c = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    semantic = scoring.semantic_map(s, c)
    assert semantic[:, 0].t().flatten().tolist() == pytest.approx(
        [0.9, 0.1, 0.55, 0.45, 0.0, 0.0])
    assert scoring.vl4ad(semantic)[0].tolist() == pytest.approx([-0.9, -0.55, 0.0])
    assert scoring.rba(semantic)[0].tolist() == pytest.approx(
        [-math.tanh(0.9) - math.tanh(0.1), -math.tanh(0.55) - math.tanh(0.45), 0])
    assert scoring.max_softmax(semantic)[0].tolist() == pytest.approx([0.1, 0.45, 1.0])


def test_mask_pooling_of_full_part_and_empty_masks():
    features = torch.arange(8.0).view(1, 2, 2, 2)
    masks = torch.tensor([[[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]],
                           [[-1.0, -1.0], [-1.0, 0.0]]]])
    pooled, count = mask_pool(features, masks)
    assert pooled[0].tolist() == [[1.5, 5.5], [1.5, 5.5], [0.0, 0.0]]
    assert count.flatten().tolist() == [4, 2, 0]
