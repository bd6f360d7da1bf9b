# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Places where FC-CLIP's code and what one expects of it part; docs/method.md decides each.

Needs torch and open_clip. Other tests hold the rest: void in test_scores.py, a lost epsilon in
test_network.py, masked attention pooling in test_checkpoint.py.
"""

from dataclasses import replace

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

import torch.nn.functional as F  # noqa: E402

from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad  # noqa: E402

IMAGE = torch.randint(0, 255, (1, 96, 128, 3), generator=torch.Generator().manual_seed(0))


def network_of_empty_masks(config):
    """Return a network whose masks are all empty."""
    torch.manual_seed(0)
    network = Vl4ad(config).eval()
    with torch.no_grad():
        network.sem_seg_head.pixel_decoder.mask_features.bias.fill_(10)
        network.sem_seg_head.predictor.mask_embed.layers[-1].bias.fill_(-10)
    return network


def texts_for(config):
    concepts = torch.randn(6, config.embed_dim, generator=torch.Generator().manual_seed(1))
    return Texts(F.normalize(concepts, dim=-1), torch.tensor([0, 0, 1, 2, 3, -1]), 4,
                 torch.full((4,), 0.4))


@torch.no_grad()
def test_texts_do_not_attend_to_each_other(small_config):
    """FC-CLIP permutes tokens for an older open_clip; with today's, texts would mix."""
    backbone = Vl4ad(small_config).eval().backbone
    tokens = torch.randint(1, 400, (3, 77), generator=torch.Generator().manual_seed(0))
    tokens[:, 40] = 49407  # the end, whose output is the embedding
    together = backbone.encode_text(tokens)
    alone = torch.cat([backbone.encode_text(t[None]) for t in tokens])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize('length', [77, 41])
def test_text_tower_is_open_clips_at_any_length(length, small_config):
    backbone = Vl4ad(small_config).eval().backbone
    tokens = torch.randint(1, 400, (3, 77), generator=torch.Generator().manual_seed(0))
    for row, end in enumerate((40, 5, 20)):
        tokens[row, end] = 49407
        tokens[row, end + 1:] = 0
    theirs = backbone.clip_model.encode_text(tokens, normalize=False)
    assert torch.allclose(backbone.encode_text(tokens[:, :length]), theirs, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize('trunk', ['tiny', 'ConvNeXt', 'ResNet'])
def test_masks_that_are_empty_at_stride_32(trunk, trunks):
    """FC-CLIP asks CLIP about nothing (ConvNeXt) or computes NaN (ResNet, hidden by its guard)."""
    config = trunks[trunk]
    network, texts = network_of_empty_masks(config), texts_for(config)
    unguarded = network(IMAGE, texts, Classification(empty_mask_guard=False))
    assert not (unguarded.mask_logits > 0).any()
    assert unguarded.out_vocabulary.isfinite().all()
    # One answer for all such masks.
    assert torch.allclose(unguarded.out_vocabulary, unguarded.out_vocabulary[:, :1], atol=1e-4)
    guarded = network(IMAGE, texts, Classification(empty_mask_guard=True)).probability
    inside = network(IMAGE, texts, Classification(classifier='in')).probability
    assert torch.allclose(guarded, inside, atol=1e-6)
    assert not torch.allclose(unguarded.probability, inside, atol=1e-3)
    default = network(IMAGE, texts).probability
    expected = guarded if config.ensemble_on_valid_mask else unguarded.probability
    assert torch.equal(default, expected)


@torch.no_grad()
def test_a_resnet_answers_for_an_empty_mask_with_the_whole_image(small_config):
    backbone = Vl4ad(small_config).eval().backbone
    dense = torch.randn(1, 256, 3, 3)
    masks = torch.stack([torch.full((3, 3), -1.0), torch.full((3, 3), 1.0)])[None]
    embedding, pixels = backbone.embed_masks(dense, masks)
    assert pixels.flatten().tolist() == [0, 9]
    # Shutting keys out by -1e4 rounds scores to about 1e-3.
    assert torch.allclose(embedding[:, 0], embedding[:, 1], atol=5e-3)
    assert embedding.abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize('trunk, last', [('tiny', 16), ('ConvNeXt', 32), ('ResNet', 32)])
def test_the_stem_has_stride_4(trunk, last, trunks):
    """FC-CLIP's code declares 2 for it; mask features and masks would be twice the size."""
    network = Vl4ad(replace(trunks[trunk], queries=3)).eval()
    features = network.backbone.features(network.normalise(IMAGE))
    assert [96 // f.shape[2] for f in features] == [4, 8, 16, last]
    assert network(IMAGE, texts_for(network.config)).mask_logits.shape == (1, 3, 24, 32)
