# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Anomaly scores of a semantic map; higher means more anomalous.

Each takes `semantic` (K, h, w) >= 0: for every known class the sum over queries of mask
probability x class probability (`semantic_map`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def semantic_map(mask_probability: Tensor, probability: Tensor) -> Tensor:
    """
    Return the inner sum of VL4AD eq. 2, FC-CLIP's semantic inference.

    :param mask_probability: s (N, h, w) in 0..1.
    :param probability: c (N, C) in 0..1.
    :return: (C, h, w).
    """
    height, width = mask_probability.shape[1:]
    return torch.matmul(probability.t(), mask_probability.flatten(1)).unflatten(
        1, (height, width))


def vl4ad(semantic: Tensor) -> Tensor:
    """Return u of VL4AD eq. 2: minus the largest known class."""
    return -semantic.amax(0)


def rba(semantic: Tensor) -> Tensor:
    """Return RbA (arXiv 2211.14293): minus the sum over classes of tanh."""
    return -semantic.tanh().sum(0)


def max_softmax(semantic: Tensor) -> Tensor:
    """Return one minus the largest share of a class in the map's mass at the pixel."""
    return 1 - semantic.amax(0) / semantic.sum(0).clamp(min=1e-6)
