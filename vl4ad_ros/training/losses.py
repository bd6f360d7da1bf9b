# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hungarian matching and the losses of Mask2Former (arXiv 2112.01527, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
import torch
from torch import Tensor
import torch.nn.functional as F


@dataclass(frozen=True)
class Targets:
    """
    The segments of a batch of pictures, one row each.

    :ivar picture: (t,) int64, sorted. :ivar kind: (t,) int64 class index.
    :ivar masks: (t, h * w) float in 0..1, share of the cell that the segment covers.
    :ivar valid: (B, h * w) float, 0 where the picture has no label.
    """

    picture: Tensor
    kind: Tensor
    masks: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Weights:
    """Weights of the class, mask and dice terms, in the loss and in the matching cost."""

    classes: float
    mask: float
    dice: float
    void: float


def match(logits: Tensor, masks: Tensor, targets: Targets, weights: Weights
          ) -> tuple[Tensor, Tensor, Tensor]:
    """
    Assign each target the query that costs least, one query a target at most.

    :param logits: (B, N, C + 1), void last. :param masks: (B, N, h * w) logits.
    :return: picture, query and target index of each pair, (m,) int64 each.
    """
    pairs = []
    with torch.no_grad():
        for b in range(len(logits)):
            rows = torch.nonzero(targets.picture == b).flatten()
            if not len(rows):
                continue
            truth, valid = targets.masks[rows] * targets.valid[b], targets.valid[b]
            x = masks[b] * valid
            probability = x.sigmoid() * valid
            pixels = valid.sum().clamp(min=1)
            # sum of BCE over pixels = sum of softplus(x) - x * truth.
            bce = ((F.softplus(x) * valid).sum(-1, keepdim=True) - x @ truth.t()) / pixels
            dice = 1 - (2 * probability @ truth.t() + 1) / (
                probability.sum(-1, keepdim=True) + truth.sum(-1) + 1)
            p_class = logits[b].softmax(-1)[:, targets.kind[rows]]
            cost = weights.mask * bce + weights.dice * dice - weights.classes * p_class
            query, target = linear_sum_assignment(cost.cpu().numpy())
            pairs.append(np.stack([np.full(len(query), b), query, rows.cpu().numpy()[target]]))
    found = np.concatenate(pairs, 1) if pairs else np.zeros((3, 0))
    return tuple(torch.from_numpy(found).long().to(logits.device))


def proposal_losses(logits: Tensor, masks: Tensor, targets: Targets, weights: Weights
                    ) -> dict[str, Tensor]:
    """
    Return the weighted class, mask and dice losses of one prediction head.

    :param logits: (B, N, C + 1), void last. :param masks: (B, N, h * w) logits.
    """
    picture, query, target = match(logits, masks, targets, weights)
    void = logits.shape[-1] - 1
    wanted = torch.full(logits.shape[:2], void, device=logits.device)
    wanted[picture, query] = targets.kind[target]
    class_weight = logits.new_ones(void + 1)
    class_weight[void] = weights.void
    classes = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), class_weight)
    # One gather for the whole batch: indexing picture by picture makes the backward pass fill
    # the full tensor once for each.
    x, truth, valid = masks[picture, query], targets.masks[target], targets.valid[picture]
    count = max(len(query), 1)
    bce = F.binary_cross_entropy_with_logits(x, truth, reduction='none') * valid
    mask = (bce.sum(-1) / valid.sum(-1).clamp(min=1)).sum() / count
    probability = x.sigmoid() * valid
    overlap = 2 * (probability * truth).sum(-1) + 1
    dice = (1 - overlap / (probability.sum(-1) + (truth * valid).sum(-1) + 1)).sum() / count
    return {'class': weights.classes * classes, 'mask': weights.mask * mask,
            'dice': weights.dice * dice}


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
