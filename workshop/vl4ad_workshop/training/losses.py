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

from vl4ad_workshop.network.classification import EMPTY_CLASS_LOGIT
from vl4ad_workshop.training.point_sampling import EveryPixel, PointSampler, read

EVERY_PIXEL = EveryPixel()
NAMELESS = -1
"""Kind of a target without a class."""
Pairs = tuple[Tensor, Tensor, Tensor]
"""Picture, query and target index of each pair, (m,) int64 each."""


@dataclass(frozen=True)
class Targets:
    """
    The segments of a batch of pictures, one row each.

    :ivar picture: (t,) int64, index of the picture, sorted.
    :ivar kind: (t,) int64 class index. `NAMELESS` stands for a segment without a class, of which
        only the mask counts. Not part of FC-CLIP.
    :ivar masks: (t, H, W) bool or float in 0..1, share of the cell that the segment covers. The
        size is free if points are sampled. Else it is that of the predicted masks, which may be
        flattened.
    :ivar valid: (B, H, W) float, 0 where the picture has no label. With None every pixel counts,
        and a pixel without a label is outside of every mask (FC-CLIP).
    :ivar hidden: (C,) bool, classes that are treated as not prompted: they take no probability,
        and their segments are to be void. With None no class is hidden. Not part of FC-CLIP.
    """

    picture: Tensor
    kind: Tensor
    masks: Tensor
    valid: Tensor | None = None
    hidden: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """
    Weights of the class, mask and dice terms, in the loss and in the matching cost.

    :ivar classes: weight of the class term.
    :ivar mask: weight of the mask term.
    :ivar dice: weight of the dice term.
    :ivar void: weight of a query without a target in the class term.
    :ivar uncertain: share 0..1 of the mask term that is distributed over pixels in proportion to
        how uncertain or wrong they are. The rest is distributed evenly. Like the points of
        PointRend (`point_sampling.RandomPoints`), it gives weight to edges and small objects,
        but it uses every pixel.
    """

    classes: float
    mask: float
    dice: float
    void: float
    uncertain: float = 0.0


def match(logits: Tensor, masks: Tensor, targets: Targets, weights: Weights,
          sampler: PointSampler = EVERY_PIXEL) -> Pairs:
    """
    Assign a query to each target so that the total cost is lowest; no query is assigned twice.

    :param logits: (B, N, C + 1) class logits, void last.
    :param masks: (B, N, h, w) logits.
    :param targets: the segments of the batch.
    :param weights: of the terms of the cost.
    :param sampler: chooses the points at which masks are compared.
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
            kind = targets.kind[rows]
            p_class = logits[b].softmax(-1)[:, kind] * (kind != NAMELESS)
            cost = weights.mask * bce + weights.dice * dice - weights.classes * p_class
            cost = cost.cpu().numpy()
            if not np.isfinite(cost).all():
                raise FloatingPointError('the network predicts numbers that are not finite')
            query, target = linear_sum_assignment(cost)
            pairs.append(np.stack([np.full(len(query), b), query, rows.cpu().numpy()[target]]))
    found = np.concatenate(pairs, 1) if pairs else np.zeros((3, 0))
    return tuple(torch.from_numpy(found).long().to(logits.device))


def proposal_losses(logits: Tensor, masks: Tensor, targets: Targets, weights: Weights,
                    sampler: PointSampler = EVERY_PIXEL, count: float | None = None,
                    pairs: Pairs | None = None) -> dict[str, Tensor]:
    """
    Return the weighted class, mask and dice losses of one prediction head.

    :param logits: (B, N, C + 1) class logits, void last.
    :param masks: (B, N, h, w) logits.
    :param targets: the segments of the batch.
    :param weights: of the terms.
    :param sampler: chooses the points at which masks are compared.
    :param count: divisor of the mask and dice losses; None takes `mask_count` of the targets.
    :param pairs: result of `match`; None matches here.
    :return: scalars under 'class', 'mask' and 'dice'.
    """
    picture, query, target = pairs or match(logits, masks, targets, weights, sampler)
    void = logits.shape[-1] - 1
    kind = targets.kind[target]
    named = kind != NAMELESS
    prompted = named if targets.hidden is None else named & ~targets.hidden[kind]
    wanted = torch.full(logits.shape[:2], void, device=logits.device)
    wanted[picture, query] = kind.where(prompted, void)
    weight = torch.full(wanted.shape, weights.void, device=logits.device)
    weight[picture, query] = named.to(weight)
    classes = (F.cross_entropy(_prompted(logits, targets).transpose(1, 2), wanted,
                               reduction='none') * weight).sum() / weight.sum()
    # One gather for the whole batch. With one per picture, the backward pass would fill a full
    # tensor for each of them.
    matched = masks[picture, query]
    points = sampler.for_loss(matched)
    x, truth = read(matched, points), read(targets.masks[target], points)
    valid = _valid(targets, picture, points, x)
    count = mask_count(targets) if count is None else count
    bce = F.binary_cross_entropy_with_logits(x, truth, reduction='none')
    mask = (bce * _shares(x, truth, valid, weights.uncertain)).sum() / count
    probability, truth = x.sigmoid() * valid, truth * valid
    dice = _dice((probability * truth).sum(-1), probability.sum(-1), truth.sum(-1)).sum() / count
    return {'class': weights.classes * classes, 'mask': weights.mask * mask,
            'dice': weights.dice * dice}


def deep_losses(heads: Iterable[tuple[Tensor, Tensor]], targets: Targets, weights: Weights,
                sampler: PointSampler = EVERY_PIXEL, pairs: Pairs | None = None,
                ) -> dict[str, Tensor]:
    """
    Sum `proposal_losses` over the (logits, masks) of every head, for deep supervision.

    :param heads: class logits and mask logits of each head, see `proposal_losses`.
    :param targets: the segments of the batch.
    :param weights: of the terms.
    :param sampler: chooses the points at which masks are compared.
    :param pairs: the matching of all heads; None matches each head separately (FC-CLIP).
    :return: scalars under 'class', 'mask' and 'dice'.
    """
    count = mask_count(targets)
    terms: dict[str, Tensor] = {}
    for logits, masks in heads:
        losses = proposal_losses(logits, masks, targets, weights, sampler, count, pairs)
        for name, loss in losses.items():
            terms[name] = terms.get(name, 0) + loss
    return terms


def mask_count(targets: Targets) -> float:
    """Return the number of targets, at least 1; with several processes, their mean."""
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


def _prompted(logits: Tensor, targets: Targets) -> Tensor:
    """Return (B, N, C + 1) logits in which hidden classes have no probability."""
    if targets.hidden is None:
        return logits
    return logits.masked_fill(F.pad(targets.hidden, (0, 1)), EMPTY_CLASS_LOGIT)


@torch.no_grad()
def _shares(x: Tensor, truth: Tensor, valid: Tensor, uncertain: float) -> Tensor:
    """Return the weight of each pixel in the mean over its mask, (m, P): `Weights.uncertain`."""
    share = valid / valid.sum(-1, keepdim=True).clamp(min=1)
    if uncertain:
        p = x.sigmoid()
        doubt = (p * (1 - p) + (p - truth).abs()) * valid
        share = torch.lerp(share, doubt / doubt.sum(-1, keepdim=True).clamp(min=1e-3), uncertain)
    return share


def _dice(overlap: Tensor, predicted: Tensor, wanted: Tensor) -> Tensor:
    return 1 - (2 * overlap + 1) / (predicted + wanted + 1)


def semantic_loss(logits: Tensor, masks: Tensor, targets: Targets) -> Tensor:
    """
    Return the negative log-likelihood of the true classes under the summed map.

    The anomaly score sums mask x class probability over queries (VL4AD eq. 2). Matching alone
    does not bound this sum, because masks of unmatched queries can add up. The sum is therefore
    trained itself: the loss is -log of the value of the true class, plus the amount by which all
    classes together exceed one, or zero where the true class is hidden. Segments without a class
    do not count. Not part of FC-CLIP.

    :param logits: (B, N, C + 1) class logits, void last.
    :param masks: (B, N, h * w) logits.
    :param targets: the segments of the batch, with masks (t, h * w) and `valid` (B, h * w).
    :return: a scalar, the mean over labelled pixels.
    """
    batch, _, pixels = masks.shape
    classes = logits.shape[-1] - 1
    named = targets.kind != NAMELESS
    nameless = masks.new_zeros(batch, pixels)
    nameless.index_add_(0, targets.picture[~named], targets.masks[~named])
    valid = (targets.valid - nameless).clamp(min=0)
    truth = masks.new_zeros(batch * classes, pixels)
    truth.index_add_(0, (targets.picture * classes + targets.kind)[named], targets.masks[named])
    truth = truth.view(batch, classes, pixels)
    if targets.hidden is not None:
        truth = truth * ~targets.hidden[:, None]
    prompted = truth.sum(1)
    probability = _prompted(logits, targets).softmax(-1)[..., :-1]
    semantic = torch.matmul(probability.transpose(1, 2), masks.sigmoid())
    true_mass = (semantic * truth).sum(1) / prompted.clamp(min=1e-3)
    loss = (semantic.sum(1) - prompted).clamp(min=0) - prompted * true_mass.clamp(1e-3, 1.0).log()
    return (loss * valid).sum() / valid.sum().clamp(min=1)
