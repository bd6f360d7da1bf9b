# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification and scores against cases worked out by hand (needs torch)."""

import math

import pytest

torch = pytest.importorskip('torch')

from vl4ad_workshop.network import comparator_scores  # noqa: E402
from vl4ad_workshop.network.classification import (  # noqa: E402
    class_logits, class_probability, Classification, EMPTY_CLASS_LOGIT, void_logit)
from vl4ad_workshop.network.pooling import mask_pool  # noqa: E402
from vl4ad_workshop.network.uncertainty import semantic_map, uncertainty  # noqa: E402

CONCEPTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 0.0]])


def test_a_class_is_its_best_concept_before_the_softmax():
    embedding = torch.tensor([[3.0, 4.0]])  # cosines .6, .8, 1; length must not matter
    scale = torch.tensor(math.log(10))
    apart = class_logits(embedding, CONCEPTS, torch.tensor([0, 1, 2, -1]), 4, scale)
    assert apart[0].tolist() == pytest.approx([6, 8, 10, EMPTY_CLASS_LOGIT])
    merged = class_logits(embedding, CONCEPTS, torch.tensor([0, 0, 1, -1]), 2, scale)
    assert merged[0].tolist() == pytest.approx([8, 10])


def test_the_scale_is_capped_at_100():
    logits = class_logits(torch.tensor([[1.0, 0.0]]), CONCEPTS, torch.tensor([0, 1, 2, -1]), 3,
                          torch.tensor(9.0))
    assert logits[0, 0].item() == pytest.approx(100)
    assert void_logit(torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0]]),
                      torch.tensor(9.0)).item() == pytest.approx(100)


def test_absent_classes_and_void_take_their_share():
    inside = torch.tensor([[[math.log(3), 0.0, EMPTY_CLASS_LOGIT]]])
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
    semantic = semantic_map(s, c)
    assert semantic[:, 0].t().flatten().tolist() == pytest.approx(
        [0.9, 0.1, 0.55, 0.45, 0.0, 0.0])
    assert uncertainty(semantic)[0].tolist() == pytest.approx([-0.9, -0.55, 0.0])
    assert comparator_scores.rba(semantic)[0].tolist() == pytest.approx(
        [-math.tanh(0.9) - math.tanh(0.1), -math.tanh(0.55) - math.tanh(0.45), 0])
    assert comparator_scores.max_softmax(semantic)[0].tolist() == pytest.approx([0.1, 0.45, 1.0])
    assert comparator_scores.entropy(semantic)[0].tolist() == pytest.approx(
        [-0.9 * math.log2(0.9) - 0.1 * math.log2(0.1),
         -0.55 * math.log2(0.55) - 0.45 * math.log2(0.45), 1])


def test_scores_of_logits():
    # The same masks; the third pixel has a hint of the second query alone.
    s = torch.tensor([[[1.0, 0.5, 0.0]], [[0.0, 0.5, 0.01]]])
    logits = torch.tensor([[4.0, 1.0], [2.0, 3.0]])
    mean = comparator_scores.logit_map(s, logits)
    assert mean[:, 0].t().tolist() == [pytest.approx(row) for row in ([4, 1], [3, 2], [2, 3])]
    assert comparator_scores.max_logit(mean)[0].tolist() == pytest.approx([-4, -3, -3])
    assert comparator_scores.energy(mean)[0].tolist() == pytest.approx(
        [-math.log(math.exp(a) + math.exp(b)) for a, b in ((4, 1), (3, 2), (2, 3))])
    assert not comparator_scores.logit_map(torch.zeros(2, 1, 1), logits).any()


@pytest.mark.parametrize('score', [
    uncertainty, comparator_scores.rba, comparator_scores.max_softmax, comparator_scores.entropy])
def test_what_no_class_claims_is_most_anomalous(score):
    semantic = torch.tensor([[[0.9, 0.4, 0.0]], [[0.05, 0.4, 0.0]]])
    sure, unsure, nothing = score(semantic)[0].tolist()
    assert sure < nothing and unsure <= nothing
    if score is not comparator_scores.rba:  # which adds both classes up
        assert sure < unsure


def test_mask_pooling_of_full_part_and_empty_masks():
    features = torch.arange(8.0).view(1, 2, 2, 2)
    masks = torch.tensor([[[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]],
                           [[-1.0, -1.0], [-1.0, 0.0]]]])
    pooled, count = mask_pool(features, masks)
    assert pooled[0].tolist() == [[1.5, 5.5], [1.5, 5.5], [0.0, 0.0]]
    assert count.flatten().tolist() == [4, 2, 0]


INSIDE = torch.log(torch.tensor([[[0.8, 0.2], [0.6, 0.4]]]))
OUTSIDE = torch.log(torch.tensor([[[0.5, 0.5], [0.1, 0.9]]]))
NO_VOID = torch.full((1, 2, 1), -1e4)


def probability(options, pixels=((3.0,), (0.0,)), guard=False):
    weight = options.out_weight(torch.tensor([0.5, 0.5]), torch.tensor([pixels]), guard)
    return class_probability(INSIDE, OUTSIDE, NO_VOID, weight, options.keep_void)[0]


def test_out_of_vocabulary_alone():
    p = probability(Classification(classifier='out'))
    assert p.flatten().tolist() == pytest.approx([0.5, 0.5, 0.1, 0.9])


def test_guard_leaves_empty_masks_to_the_decoder():
    a, b = math.sqrt(0.6 * 0.1), math.sqrt(0.4 * 0.9)
    unguarded = pytest.approx([a / (a + b), b / (a + b)])
    assert probability(Classification())[1].tolist() == unguarded
    assert probability(Classification(), guard=True)[1].tolist() == pytest.approx([0.6, 0.4])
    assert probability(Classification(empty_mask_guard=False), guard=True)[1].tolist() == unguarded
    guarded = probability(Classification(empty_mask_guard=True))
    assert guarded[1].tolist() == pytest.approx([0.6, 0.4])
    assert guarded[0].tolist() == pytest.approx([2 / 3, 1 / 3])  # not empty: sqrt(.8 .5) : ...
    out = probability(Classification(classifier='out', empty_mask_guard=True))
    assert out.flatten().tolist() == pytest.approx([0.5, 0.5, 0.6, 0.4])


def test_a_given_temperature_replaces_the_learned_and_its_cap():
    embedding, classes = torch.tensor([[3.0, 4.0]]), torch.tensor([0, 1, 2, -1])
    learned = torch.tensor(9.0)  # beyond the cap
    for temperature, best in ((None, 100), (0.1, 10), (0.005, 200)):
        logits = class_logits(embedding, CONCEPTS, classes, 3, learned, temperature)
        assert logits[0, 2].item() == pytest.approx(best)
        void = void_logit(embedding, embedding, learned, temperature)
        assert void.item() == pytest.approx(best)


@pytest.mark.parametrize('wrong, says', [
    ({'classifier': 'both'}, "'ensemble', 'in', 'out'"), ({'temperature': 0.0}, '0.001..1000'),
    ({'temperature': math.nan}, '0.001..1000')])
def test_wrong_options_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Classification(**wrong)


@pytest.fixture(scope='module')
def tiny():
    pytest.importorskip('open_clip')
    from vl4ad_workshop.network.config import TINY
    from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
    torch.manual_seed(0)
    concepts = torch.nn.functional.normalize(torch.randn(6, TINY.embed_dim), dim=-1)
    return (Vl4ad(TINY).eval(), torch.randint(0, 255, (1, 64, 96, 3), dtype=torch.uint8),
            Texts(concepts, torch.tensor([0, 0, 1, 2, 3, -1]), 4, torch.full((4,), 0.3)))


@torch.no_grad()
def test_the_network_takes_every_option(tiny, monkeypatch):
    network, image, texts = tiny
    default = network(image, texts)
    p_void = torch.cat([default.in_vocabulary, default.void], -1).softmax(-1)[..., -1:]

    def agrees(options, expected):
        assert torch.allclose(network(image, texts, options).probability, expected, atol=1e-6)

    ensemble = (0.7 * default.in_vocabulary.log_softmax(-1)
                + 0.3 * default.out_vocabulary.log_softmax(-1)).softmax(-1)
    agrees(Classification(), ensemble * (1 - p_void))
    agrees(Classification(keep_void=False), ensemble)
    agrees(Classification(classifier='out'), default.out_vocabulary.softmax(-1) * (1 - p_void))
    cooled = network(image, texts, Classification(temperature=0.02))
    for name, learned in (('in_vocabulary', network.sem_seg_head.predictor.logit_scale),
                          ('void', network.sem_seg_head.predictor.logit_scale),
                          ('out_vocabulary', network.backbone.logit_scale)):
        assert torch.allclose(getattr(cooled, name),
                              getattr(default, name) / learned.exp() / 0.02, atol=1e-4)
    # In-vocabulary alone never asks CLIP about the masks, so no graph can hold a trace of it.
    monkeypatch.setattr(network.backbone, 'embed_masks', None)
    agrees(Classification(classifier='in'), default.in_vocabulary.softmax(-1) * (1 - p_void))
    assert network(image, texts, Classification(classifier='in')).out_vocabulary is None


def neighbourhood(mask_logits, most):
    """Return each cell's largest (1) or smallest (-1) mask probability among its neighbours."""
    return most * torch.nn.functional.max_pool2d(most * mask_logits.sigmoid(), 3, 1, 1)


def test_scoring_before_enlarging_is_bounded_by_the_masks_own_slopes():
    """
    Both orders lie between the scores of the largest and the smallest neighbouring masks.

    So they are equal where the masks are flat, and differ at edges only.
    """
    benchmark = pytest.importorskip('benchmarks.official_order')
    generator = torch.Generator().manual_seed(0)
    masks = 3 * torch.randn(20, 6, 8, generator=generator)
    masks[:, :, :4] = masks[:, :1, :1]  # flat in the left half
    c = torch.rand(20, 5, generator=generator)
    theirs, ours = (score(masks, c, (24, 32)) for score in benchmark.SCORES.values())
    low, high = (uncertainty(semantic_map(neighbourhood(masks, most), c))
                 .repeat_interleave(4, 0).repeat_interleave(4, 1) for most in (1, -1))
    for score in (theirs, ours):
        assert (low - 1e-5 <= score).all() and (score <= high + 1e-5).all()
    assert torch.allclose(theirs[:, :14], ours[:, :14], atol=1e-5)
    assert (theirs - ours)[:, 16:].abs().max() > 0.01
    assert torch.equal(*(score(masks, c, (6, 8)) for score in benchmark.SCORES.values()))


@torch.no_grad()
def test_the_official_order_of_operations_gives_the_same_network(tiny):
    """What benchmarks/official_order.py has to be timed against ours computes the same."""
    benchmark = pytest.importorskip('benchmarks.official_order')
    network, image, texts = tiny
    queries = network(image, texts)
    expected = benchmark.official_score(
        queries.mask_logits[0], queries.probability[0], tuple(image.shape[1:3]))
    assert torch.allclose(
        benchmark.official_network(network, image, texts), expected, rtol=1e-3)
