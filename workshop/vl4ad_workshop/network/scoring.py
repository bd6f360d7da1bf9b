# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Anomaly scores of the known classes' maps; higher means more anomalous.

A network of masks has no pixel logits, so each score says which map takes their part:
`semantic` (K, h, w) >= 0 of `semantic_map`, or `logits` (K, h, w) of `logit_map`; K known classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Less mass than this is as good as none.
EPSILON = 1e-6


def semantic_map(mask_probability: Tensor, probability: Tensor) -> Tensor:
    """
    Return the inner sum of VL4AD eq. 2, FC-CLIP's semantic inference.

    :param mask_probability: s (N, h, w) in 0..1.
    :param probability: c (N, C) in 0..1.
    :return: (C, h, w): for each class the sum over queries of s x c; may exceed 1.
    """
    height, width = mask_probability.shape[1:]
    return torch.matmul(probability.t(), mask_probability.flatten(1)).unflatten(
        1, (height, width))


def logit_map(mask_probability: Tensor, logits: Tensor) -> Tensor:
    """
    Return the mean over queries of their class logits, weighed by their masks.

    Our stand-in for pixel logits: z_k = sum_i s_i l_ik / sum_i s_i. It does not grow with the
    number of masks at a pixel, and is near zero where there is none.

    :param mask_probability: s (N, h, w) in 0..1.
    :param logits: l (N, C), scaled cosines before any softmax (VL4AD eq. 3), without void.
    :return: (C, h, w).
    """
    return semantic_map(mask_probability, logits) / mask_probability.sum(0).clamp(min=EPSILON)


def vl4ad(semantic: Tensor) -> Tensor:
    """Return u of VL4AD eq. 2, minus the largest known class: at most 0."""
    return -semantic.amax(0)


def rba(semantic: Tensor) -> Tensor:
    """Return RbA (arXiv 2211.14293), minus the sum over classes of tanh: -K..0."""
    return -semantic.tanh().sum(0)


def max_softmax(semantic: Tensor) -> Tensor:
    """Return 1 - the largest share of the map's mass at a pixel (arXiv 1610.02136): 0..1."""
    return 1 - _shares(semantic).amax(0)


def entropy(semantic: Tensor) -> Tensor:
    """
    Return the entropy of the classes' shares of the map's mass (arXiv 2012.06575).

    In units of log K: 0 where one class has all, 1 where all have the same or none has any.
    """
    share, mass = _shares(semantic), semantic.sum(0)
    spread = torch.special.entr(share).sum(0) / math.log(max(len(semantic), 2))
    return torch.where(mass < EPSILON, 1.0, spread)


def max_logit(logits: Tensor) -> Tensor:
    """Return minus the largest logit (arXiv 1911.11132), of `logit_map`."""
    return -logits.amax(0)


def energy(logits: Tensor) -> Tensor:
    """Return the free energy -log sum exp (arXiv 2010.03759, temperature 1) of `logit_map`."""
    return -logits.logsumexp(0)


def _shares(semantic: Tensor) -> Tensor:
    return semantic / semantic.sum(0).clamp(min=EPSILON)
