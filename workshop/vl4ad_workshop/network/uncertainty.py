# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""VL4AD's anomaly score (eq. 2); other methods' scores are in `comparator_scores`."""

from __future__ import annotations

import torch
from torch import Tensor


def semantic_map(mask_probability: Tensor, probability: Tensor) -> Tensor:
    """
    Return the inner sum of VL4AD eq. 2, which is FC-CLIP's semantic inference.

    :param mask_probability: s of N queries, (N, h, w) in 0..1.
    :param probability: c of C classes, (N, C) in 0..1.
    :return: (C, h, w): for each class the sum over queries of s x c; may exceed 1.
    """
    height, width = mask_probability.shape[1:]
    return torch.matmul(probability.t(), mask_probability.flatten(1)).unflatten(
        1, (height, width))


def uncertainty(semantic: Tensor) -> Tensor:
    """
    Return u of VL4AD eq. 2: minus the largest value of a known class at each pixel.

    :param semantic: (K, h, w) of `semantic_map`, at least 0, of the K known classes.
    :return: (h, w), at most 0; higher is more anomalous.
    """
    return -semantic.amax(0)
