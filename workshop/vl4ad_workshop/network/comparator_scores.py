# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Anomaly scores of other methods, which the studies in benchmarks/ compare VL4AD's with.

No bundle contains them. Each takes the maps of the K known classes and returns (h, w), where
higher means more anomalous. A network of masks has no logits for pixels, so each score says which
map takes their place: `semantic`, (K, h, w) of `uncertainty.semantic_map`, at least 0; or
`logits`, (K, h, w) of `logit_map`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vl4ad_workshop.network.uncertainty import semantic_map

# A pixel whose masks add up to less than this counts as one without any mask.
EPSILON = 1e-6


def logit_map(mask_probability: Tensor, logits: Tensor) -> Tensor:
    """
    Return the mean over queries of their class logits, weighted by their masks.

    This takes the place of pixel logits: z_k = sum_i s_i l_ik / sum_i s_i. It does not grow with
    the number of masks at a pixel, and is near zero where there is none.

    :param mask_probability: s of N queries, (N, h, w) in 0..1.
    :param logits: l, (N, K), scaled cosines before any softmax (VL4AD eq. 3), without void.
    :return: (K, h, w).
    """
    return semantic_map(mask_probability, logits) / mask_probability.sum(0).clamp(min=EPSILON)


def rba(semantic: Tensor) -> Tensor:
    """Return RbA (arXiv 2211.14293), minus the sum over classes of tanh: -K..0."""
    return -semantic.tanh().sum(0)


def max_softmax(semantic: Tensor) -> Tensor:
    """Return 1 - the largest class's share of a pixel's sum (arXiv 1610.02136): 0..1."""
    return 1 - _shares(semantic).amax(0)


def entropy(semantic: Tensor) -> Tensor:
    """
    Return the entropy of the classes' shares of a pixel's sum (arXiv 2012.06575), over log K.

    It is 0 where one class has the whole sum, and 1 where all classes have the same share or no
    class has any.
    """
    share, mass = _shares(semantic), semantic.sum(0)
    spread = torch.special.entr(share).sum(0) / math.log(max(len(semantic), 2))
    return torch.where(mass < EPSILON, 1.0, spread)


def max_logit(logits: Tensor) -> Tensor:
    """Return minus the largest logit (arXiv 1911.11132)."""
    return -logits.amax(0)


def energy(logits: Tensor) -> Tensor:
    """Return the free energy -log sum exp (arXiv 2010.03759, temperature 1)."""
    return -logits.logsumexp(0)


def _shares(semantic: Tensor) -> Tensor:
    return semantic / semantic.sum(0).clamp(min=EPSILON)
