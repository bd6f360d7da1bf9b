# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
FC-CLIP's order of operations and ours, on the same modules, to be timed against each other.

test/workshop/network/test_scores.py checks that both compute the same up to the scoring.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.classification import class_logits, class_probability
from vl4ad_workshop.network.deformable_attention import DeformableAttention
from vl4ad_workshop.network.position import cell_centres, sine_encoding
from vl4ad_workshop.network.uncertainty import semantic_map, uncertainty
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad


def official_score(mask_logits: Tensor, probability: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge all masks, then sigmoid, sum over queries and maximum at full size: (H, W)."""
    masks = F.interpolate(mask_logits[None], size=size, mode='bilinear', align_corners=False)[0]
    return -torch.einsum('qc,qhw->chw', probability, masks.sigmoid()).amax(0)


def our_score(mask_logits: Tensor, probability: Tensor, size: tuple[int, int]) -> Tensor:
    """Score at stride 4, then enlarge one channel: (H, W)."""
    score = uncertainty(semantic_map(mask_logits.sigmoid(), probability))
    return F.interpolate(score[None, None], size=size, mode='bilinear', align_corners=False)[0, 0]


SCORES = {'official order': official_score, 'ours': our_score}


def official_network(network: Vl4ad, image: Tensor, texts: Texts,
                     known: int | None = None) -> Tensor:
    """
    Run FC-CLIP's order of operations (bytedance/fc-clip at 2b0bbe2) on the same modules.

    Its image is contiguous by channel; every one of ten heads classifies its queries and resizes
    all masks; attention is torch's own, sequence first, with a mask for each head; sampled
    points of all levels are stacked before they are weighed; scores are formed at full size.

    :param network: float32, on any device.
    :param image: (1, H, W, 3) uint8 RGB, both sides multiples of 32, on the same device.
    :param texts: the embedded prompts, on the same device.
    :param known: number of known classes, which come first; None scores all classes as known.
    :return: u of VL4AD eq. 2, (H, W) float32, at most 0.
    """
    features = network.backbone.features(network.normalise(image).contiguous())
    mask_features, levels = _official_pixel_decoder(network.sem_seg_head.pixel_decoder, features)
    mask_logits, in_vocabulary, void = _official_mask_decoder(
        network, mask_features, levels, texts)
    masks = F.interpolate(mask_logits, size=features[-1].shape[2:], mode='bilinear',
                          align_corners=False)
    embedding, _ = network.backbone.embed_masks(features[-1], masks)
    out_vocabulary = class_logits(embedding, texts.concepts, texts.concept_class, texts.classes,
                                  network.backbone.logit_scale)
    probability = class_probability(in_vocabulary, out_vocabulary, void, texts.ensemble_weight)
    return official_score(mask_logits[0], probability[0][:, :known], tuple(image.shape[1:3]))


def our_network(network: Vl4ad, image: Tensor, texts: Texts,
                known: int | None = None) -> Tensor:
    """Run the network as the package has it; see `official_network` for arguments and result."""
    queries = network(image, texts)
    return our_score(queries.mask_logits[0], queries.probability[0][:, :known],
                     tuple(image.shape[1:3]))


NETWORKS = {'official order': official_network, 'ours': our_network}


def _official_pixel_decoder(decoder: nn.Module, features: tuple[Tensor, ...]
                            ) -> tuple[Tensor, list[Tensor]]:
    stride4, *rest = features
    levels = [p(f) for p, f in zip(decoder.input_proj, reversed(rest))]
    shapes = tuple(tuple(x.shape[2:]) for x in levels)
    x = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
    position = torch.cat([sine_encoding(*shape, x.shape[2], x.device) + embed
                          for shape, embed in zip(shapes, decoder.transformer.level_embed)])
    reference = cell_centres(shapes, x.device)
    for layer in decoder.transformer.encoder.layers:
        x = layer.norm1(x + _official_deformable(
            layer.self_attn, x + position, reference, x, shapes))
        x = layer.norm2(x + layer.linear2(F.relu(layer.linear1(x))))
    levels = [part.transpose(1, 2).reshape(1, -1, *shape) for part, shape in zip(
        x.split([h * w for h, w in shapes], 1), shapes)]
    top = F.interpolate(levels[-1], size=stride4.shape[2:], mode='bilinear', align_corners=False)
    fused = F.relu(decoder.layer_1(decoder.adapter_1(stride4) + top))
    return decoder.mask_features(fused), levels


def _official_deformable(attention: DeformableAttention, query: Tensor, reference: Tensor,
                         value: Tensor, shapes: tuple[tuple[int, int], ...]) -> Tensor:
    batch, length, dim = query.shape
    heads, levels, points = attention.heads, attention.levels, attention.points
    value = attention.value_proj(value).view(batch, length, heads, dim // heads)
    offsets = attention.sampling_offsets(query).view(batch, length, heads, levels, points, 2)
    weights = attention.attention_weights(query).view(batch, length, heads, levels * points)
    weights = weights.softmax(-1).transpose(1, 2).reshape(batch * heads, 1, length, -1)
    sizes = query.new_tensor([(w, h) for h, w in shapes])
    grids = 2 * (reference[None, :, None, None, None]
                 + offsets / sizes[None, None, None, :, None]) - 1
    sampled = []
    for level, (part, shape) in enumerate(zip(value.split([h * w for h, w in shapes], 1), shapes)):
        plane = part.flatten(2).transpose(1, 2).reshape(batch * heads, dim // heads, *shape)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)
        sampled.append(F.grid_sample(plane, grid, align_corners=False))
    out = (torch.stack(sampled, -2).flatten(-2) * weights).sum(-1).view(batch, dim, length)
    return attention.output_proj(out.transpose(1, 2).contiguous())


def _official_mask_decoder(network: Vl4ad, mask_features: Tensor, levels: list[Tensor],
                           texts: Texts) -> tuple[Tensor, Tensor, Tensor]:
    """Return mask logits, in-vocabulary logits and void's of the last of ten heads."""
    predictor = network.sem_seg_head.predictor
    shapes = [tuple(x.shape[2:]) for x in levels]
    dim = mask_features.shape[1]
    positions = [sine_encoding(*shape, dim, mask_features.device)[:, None] for shape in shapes]
    sources = [x.flatten(2).permute(2, 0, 1) + predictor.level_embed.weight[i]
               for i, x in enumerate(levels)]
    query_position = predictor.query_embed.weight[:, None]
    output = predictor.query_feat.weight[:, None]

    def head(size: tuple[int, int]) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        decoded = predictor.decoder_norm(output).transpose(0, 1)
        masks = torch.einsum('bqc,bchw->bqhw', predictor.mask_embed(decoded), mask_features)
        inside = (masks > 0).to(masks.dtype)
        pooled = torch.einsum('bchw,bqhw->bqc', mask_features,
                              inside / (inside.sum((-1, -2), keepdim=True) + 1e-8))
        classes = network.classify(
            predictor.class_embed(predictor._mask_pooling_proj(pooled) + decoded), texts)
        small = F.interpolate(masks, size=size, mode='bilinear', align_corners=False)
        blocked = small.sigmoid().flatten(2).unsqueeze(1).repeat(
            1, network.config.attention_heads, 1, 1).flatten(0, 1) < 0.5
        blocked[torch.where(blocked.sum(-1) == blocked.shape[-1])] = False
        return masks, classes, blocked

    masks, classes, blocked = head(shapes[0])
    for i, ffn in enumerate(predictor.transformer_ffn_layers):
        cross = predictor.transformer_cross_attention_layers[i]
        source, position = sources[i % 3], positions[i % 3]
        output = cross.norm(output + _official_attention(
            cross.multihead_attn, output + query_position, source + position, source, blocked))
        own = predictor.transformer_self_attention_layers[i]
        query = output + query_position
        output = own.norm(output + _official_attention(own.self_attn, query, query, output))
        output = ffn.norm(output + ffn.linear2(F.relu(ffn.linear1(output))))
        masks, classes, blocked = head(shapes[(i + 1) % 3])
    return masks, *classes


def _official_attention(attention: nn.Module, query: Tensor, key: Tensor, value: Tensor,
                        blocked: Tensor | None = None) -> Tensor:
    return F.multi_head_attention_forward(
        query, key, value, query.shape[2], attention.heads, attention.in_proj_weight,
        attention.in_proj_bias, None, None, False, 0.0, attention.out_proj.weight,
        attention.out_proj.bias, training=False, need_weights=True, attn_mask=blocked)[0]


def difference(a: Tensor, b: Tensor) -> dict[str, float]:
    """Return the largest and mean absolute difference of two scores, and the first's range."""
    gap = (a - b).abs()
    return {'max': gap.max().item(), 'mean': gap.mean().item(),
            'lowest': a.min().item(), 'highest': a.max().item()}
