# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mask pooling: one vector per mask (FC-CLIP, MaskPooling)."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_pool(features: Tensor, mask_logits: Tensor) -> tuple[Tensor, Tensor]:
    """
    Average features over each binarised mask.

    The divisor is max(count, 1), where FC-CLIP adds 1e-8 to the count. Both give the same result
    to 1e-8, and zero for empty masks, but a constant as small as 1e-8 is lost in half precision
    and by exporters. The mask is divided before the sum, because a sum over 65,536 pixels exceeds
    the range of half precision.

    :param features: (B, C, h, w).
    :param mask_logits: (B, N, h, w); a mask holds the pixels whose logit is above 0.
    :return: pooled (B, N, C), zero where the mask is empty; count (B, N, 1) of pixels.
    """
    mask = (mask_logits.detach() > 0).float().flatten(2)
    count = mask.sum(-1, keepdim=True)
    share = (mask / count.clamp(min=1.0)).to(features.dtype)
    return torch.matmul(share, features.flatten(2).transpose(1, 2)), count
