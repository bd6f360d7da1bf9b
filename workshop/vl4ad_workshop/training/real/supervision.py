# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network together with its losses, as one module for data-parallel training."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
from vl4ad_workshop.training.losses import deep_losses, Targets, Weights
from vl4ad_workshop.training.point_sampling import PointSampler


class Supervision(nn.Module):
    """Maps pictures and targets to the weighted loss terms of all prediction heads."""

    def __init__(self, network: Vl4ad, texts: Texts, weights: Weights, sampler: PointSampler,
                 half: torch.dtype | None) -> None:
        """Compute in the 16-bit type `half`, or in float32 if it is None."""
        super().__init__()
        self.network = network
        self._texts, self._weights, self._sampler, self._half = texts, weights, sampler, half

    def forward(self, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Return the terms for (B, H, W, 3) uint8 pictures."""
        network = self.network
        with self._autocast(images), torch.no_grad():
            features = network.backbone.features(network.normalise(images))
        # As in FC-CLIP the pixel decoder, matching and losses stay in float32.
        mask_features, levels = network.decode(tuple(f.float() for f in features))
        with self._autocast(images):
            proposals = network.sem_seg_head.predictor.all_proposals(mask_features, levels)
        heads = ((torch.cat(network.classify(p.class_embedding.float(), self._texts), -1),
                  p.mask_logits.float()) for p in proposals)
        return deep_losses(heads, targets, self._weights, self._sampler)

    def _autocast(self, images: Tensor) -> torch.autocast:
        return torch.autocast(images.device.type, self._half or torch.bfloat16,
                              enabled=self._half is not None)
