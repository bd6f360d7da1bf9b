# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From embeddings and texts to the class probabilities of each query."""

from __future__ import annotations

import torch
from torch import Tensor
import torch.nn.functional as F

# Logit of a class without concepts: zero after a softmax, finite in half precision.
ABSENT = -1e4


def class_logits(embedding: Tensor, concepts: Tensor, concept_class: Tensor, classes: int,
                 log_scale: Tensor) -> Tensor:
    """
    Return the logit of each class: the best cosine among its concepts, scaled.

    VL4AD eq. 3 (the maximum comes before the softmax) with FC-CLIP's scale, whose exponential
    is capped at 100. Merging classes is giving their concepts one index.

    :param embedding: (..., D), any length.
    :param concepts: (P, D), rows of unit length; rows of padding are never read.
    :param concept_class: (P,) int64 in 0..classes - 1, -1 for padding.
    :param log_scale: scalar, log of 1 / T.
    :return: (..., classes); `ABSENT` for a class without concepts.
    """
    cosine = torch.matmul(F.normalize(embedding, dim=-1), concepts.t())
    logits = cosine * log_scale.exp().clamp(max=100.0)
    if torch.compiler.is_exporting():
        # Engines have no scatter with a maximum.
        member = concept_class[:, None] == torch.arange(classes, device=concepts.device)
        return torch.where(member, logits[..., None], ABSENT).amax(-2)
    slot = torch.where(concept_class < 0, classes, concept_class).expand_as(logits)
    best = logits.new_full((*logits.shape[:-1], classes + 1), ABSENT)
    return best.scatter_reduce(-1, slot, logits, 'amax')[..., :classes]


def void_logit(embedding: Tensor, void: Tensor, log_scale: Tensor) -> Tensor:
    """Return the logit (..., 1) of "no object" against the learned embedding `void` (1, D)."""
    cosine = torch.matmul(F.normalize(embedding, dim=-1), F.normalize(void, dim=-1).t())
    return cosine * log_scale.exp().clamp(max=100.0)


def class_probability(in_vocabulary: Tensor, out_vocabulary: Tensor, void: Tensor,
                      ensemble_weight: Tensor, keep_void: bool = True) -> Tensor:
    """
    Return c of VL4AD eq. 1 with FC-CLIP's geometric ensemble of both classifiers.

    log p_k = (1 - w_k) log softmax(in)_k + w_k log softmax(out)_k, renormalised.

    :param in_vocabulary, out_vocabulary: (B, N, C) logits without void.
    :param void: (B, N, 1) in-vocabulary logit of "no object".
    :param ensemble_weight: (C,) or (B, N, C) in 0..1; 0 is in-vocabulary alone, 1 out-of-
        vocabulary alone. FC-CLIP: 0.4 for seen classes, 0.8 for others.
    :param keep_void: scale by 1 - p(void), so that a query for nothing adds no mass (FC-CLIP);
        False leaves void out, as eq. 1 is printed.
    :return: (B, N, C) in 0..1.
    """
    log_p = ((1 - ensemble_weight) * in_vocabulary.log_softmax(-1)
             + ensemble_weight * out_vocabulary.log_softmax(-1))
    probability = log_p.softmax(-1)
    if keep_void:
        p_void = torch.cat([in_vocabulary, void], -1).softmax(-1)[..., -1:]
        probability = probability * (1 - p_void)
    return probability
