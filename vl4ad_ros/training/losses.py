# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hungarian matching and the losses of Mask2Former (arXiv 2112.01527, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
import torch
from torch import distributed, Tensor
import torch.nn.functional as F

from vl4ad_ros.training.sampling import EveryPixel, read, Sampler

EVERY_PIXEL = EveryPixel()


@dataclass(frozen=True)
class Targets:
    """
    The segments of a batch of pictures, one row each.

    :ivar picture: (t,) int64, sorted. :ivar kind: (t,) int64 class index.
    :ivar masks: (t, H, W) bool or float in 0..1, share of the cell that the segment covers. The
        size is free where points are sampled; else it is the predicted masks', flat or not.
    :ivar valid: (B, H, W) float, 0 where the picture has no label; None: every pixel counts, and
        one without a label is outside of every mask (FC-CLIP).
    """

    picture: Tensor
    kind: Tensor
    masks: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """Weights of the class, mask and dice terms, in the loss and in the matching cost."""

    classes: float
    mask: float
    dice: float
    void: float


def match(logits: Tensor, masks: Tensor, targets: Targets, weights: Weights,
          sampler: Sampler = EVERY_PIXEL) -> tuple[Tensor, Tensor, Tensor]:
    """
    Assign each target the query that costs least, one query a target at most.

    :param logits: (B, N, C + 1), void last. :param masks: (B, N, h, w) logits.
    :return: picture, query and target index of each pair, (m,) int64 each.
    :raises FloatingPointError: if a cost is not finite.
    """
    pairs = []
    with torch.no_grad():
        for b in range(len(logits)):
            rows = torch.nonzero(targets.picture == b).flatten()
            if not len(rows):
                continue
            points = sampler.for_matching(masks[b])
            x = read(masks[b], points)
            valid = _valid(targets, torch.tensor([b]), points, x[:1])
            x, truth = x * valid, read(targets.masks[rows], points) * valid
            probability = x.sigmoid() * valid
            # sum of BCE over pixels = sum of softplus(x) - x * truth.
            bce = ((F.softplus(x) * valid).sum(-1, keepdim=True) - x @ truth.t()
                   ) / valid.sum().clamp(min=1)
            dice = _dice(probability @ truth.t(), probability.sum(-1, keepdim=True),
                         truth.sum(-1))
            p_class = logits[b].softmax(-1)[:, targets.kind[rows]]
            cost = weights.mask * bce + weights.dice * dice - weights.classes * p_class
            cost = cost.cpu().numpy()
            if not np.isfinite(cost).all():
                raise FloatingPointError('the network predicts numbers that are not finite')
            query, target = linear_sum_assignment(cost)
            pairs.append(np.stack([np.full(len(query), b), query, rows.cpu().numpy()[target]]))
    found = np.concatenate(pairs, 1) if pairs else np.zeros((3, 0))
    return tuple(torch.from_numpy(found).long().to(logits.device))


def proposal_losses(logits: Tensor, masks: Tensor, targets: Targets, weights: Weights,
                    sampler: Sampler = EVERY_PIXEL, count: float | None = None
                    ) -> dict[str, Tensor]:
    """
    Return the weighted class, mask and dice losses of one prediction head.

    :param logits: (B, N, C + 1), void last. :param masks: (B, N, h, w) logits.
    :param count: what mask and dice losses are divided by; `mask_count` of the targets if None.
    """
    picture, query, target = match(logits, masks, targets, weights, sampler)
    void = logits.shape[-1] - 1
    wanted = torch.full(logits.shape[:2], void, device=logits.device)
    wanted[picture, query] = targets.kind[target]
    class_weight = logits.new_ones(void + 1)
    class_weight[void] = weights.void
    classes = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), class_weight)
    # One gather for the whole batch: indexing picture by picture makes the backward pass fill
    # the full tensor once for each.
    matched = masks[picture, query]
    points = sampler.for_loss(matched)
    x, truth = read(matched, points), read(targets.masks[target], points)
    valid = _valid(targets, picture, points, x)
    count = mask_count(targets) if count is None else count
    bce = F.binary_cross_entropy_with_logits(x, truth, reduction='none') * valid
    mask = (bce.sum(-1) / valid.sum(-1).clamp(min=1)).sum() / count
    probability, truth = x.sigmoid() * valid, truth * valid
    dice = _dice((probability * truth).sum(-1), probability.sum(-1), truth.sum(-1)).sum() / count
    return {'class': weights.classes * classes, 'mask': weights.mask * mask,
            'dice': weights.dice * dice}


def deep_losses(heads: Iterable[tuple[Tensor, Tensor]], targets: Targets, weights: Weights,
                sampler: Sampler = EVERY_PIXEL) -> dict[str, Tensor]:
    """Sum `proposal_losses` over the (logits, masks) of every head: deep supervision."""
    count = mask_count(targets)
    terms: dict[str, Tensor] = {}
    for logits, masks in heads:
        losses = proposal_losses(logits, masks, targets, weights, sampler, count)
        for name, loss in losses.items():
            terms[name] = terms.get(name, 0) + loss
    return terms


def mask_count(targets: Targets) -> float:
    """Return the number of targets, at least 1; the mean over processes where there are many."""
    count = torch.tensor(float(len(targets.kind)), device=targets.kind.device)
    processes = 1
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(count)
        processes = distributed.get_world_size()
    return max(count.item() / processes, 1.0)


def _valid(targets: Targets, pictures: Tensor, points: Tensor | None, x: Tensor) -> Tensor:
    if targets.valid is None:
        return torch.ones_like(x)
    return read(targets.valid[pictures.to(targets.valid.device)], points)


def _dice(overlap: Tensor, predicted: Tensor, wanted: Tensor) -> Tensor:
    return 1 - (2 * overlap + 1) / (predicted + wanted + 1)


def semantic_loss(logits: Tensor, masks: Tensor, targets: Targets) -> Tensor:
    """
    Return how unlikely the summed map makes the true kind of each pixel.

    The score sums mask x class probability over queries (VL4AD eq. 2), which matching alone
    leaves unbounded: loose masks of unmatched queries pile up on things. So the map itself is
    trained: -log of the true kind's mass, plus the mass above one. Not part of FC-CLIP.

    :param logits: (B, N, C + 1), void last. :param masks: (B, N, h * w) logits.
    """
    batch, _, pixels = masks.shape
    classes = logits.shape[-1] - 1
    truth = masks.new_zeros(batch * classes, pixels)
    truth.index_add_(0, targets.picture * classes + targets.kind, targets.masks)
    probability = logits.softmax(-1)[..., :-1]
    semantic = torch.matmul(probability.transpose(1, 2), masks.sigmoid())
    true_mass = (semantic * truth.view(batch, classes, pixels)).sum(1)
    loss = -true_mass.clamp(1e-3, 1.0).log() + (semantic.sum(1) - 1).clamp(min=0)
    return (loss * targets.valid).sum() / targets.valid.sum().clamp(min=1)
