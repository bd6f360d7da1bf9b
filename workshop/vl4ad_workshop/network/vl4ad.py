# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole network: image and text embeddings in, masks and class probabilities out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.classification import (
    class_logits, class_probability, Classification, void_logit)
from vl4ad_workshop.network.clip import build_clip
from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.mask_decoder import MaskDecoder
from vl4ad_workshop.network.pixel_decoder import PixelDecoder


@dataclass(frozen=True)
class Texts:
    """
    Text as an input of the network: changing it changes no weight.

    :ivar concepts: (P, D) unit rows. :ivar concept_class: (P,) int64, -1 for padding.
    :ivar classes: number of class slots C. :ivar ensemble_weight: (C,) in 0..1.
    """

    concepts: Tensor
    concept_class: Tensor
    classes: int
    ensemble_weight: Tensor


@dataclass(frozen=True)
class QueryPredictions:
    """
    What the network says of N queries.

    :ivar mask_logits: (B, N, H / 4, W / 4) of the padded image.
    :ivar in_vocabulary: (B, N, C) logits. :ivar void: (B, N, 1) logit.
    :ivar out_vocabulary: (B, N, C) logits; None where the options leave them out.
    :ivar probability: (B, N, C), see `class_probability`.
    """

    mask_logits: Tensor
    in_vocabulary: Tensor
    void: Tensor
    out_vocabulary: Tensor | None
    probability: Tensor


class Vl4ad(nn.Module):
    """
    VL4AD on FC-CLIP's network; parameter names follow FC-CLIP's official state dict.

    Sources: VL4AD (arXiv 2409.17330), FC-CLIP (arXiv 2308.02487).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_clip(config)
        self.sem_seg_head = nn.Module()
        self.sem_seg_head.pixel_decoder = PixelDecoder(config)
        self.sem_seg_head.predictor = MaskDecoder(config)
        self.void_embedding = nn.Embedding(1, config.embed_dim)
        self.register_buffer('pixel_mean', torch.tensor(config.mean), persistent=False)
        self.register_buffer('pixel_std', torch.tensor(config.std), persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """
        Turn RGB pixels into the trunk's input.

        :param image: (B, H, W, 3), 0..255, uint8 or float.
        :return: (B, 3, H', W') float32, zero-padded right and below to `size_divisibility`.
        """
        mean, std = self.pixel_mean[:, None, None], self.pixel_std[:, None, None]
        # Channels first: whole planes against one number each are faster on a CPU.
        x = (image.float().permute(0, 3, 1, 2) - mean) / std
        multiple = self.config.size_divisibility
        right, below = -x.shape[3] % multiple, -x.shape[2] % multiple
        return F.pad(x, (0, right, 0, below)) if right or below else x

    def decode(self, features: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return mask features (B, dim, H / 4, W / 4) and levels at strides 32, 16, 8."""
        return self.sem_seg_head.pixel_decoder(features)

    def forward(self, image: Tensor, texts: Texts,
                options: Classification = Classification()) -> QueryPredictions:
        """Run the network on (B, H, W, 3) RGB pixels, 0..255."""
        features = self.backbone.features(self.normalise(image))
        predictor = self.sem_seg_head.predictor
        proposal = predictor(*self.decode(features))
        in_vocabulary, void = self.classify(
            proposal.class_embedding, texts, options.temperature)
        out_vocabulary, weight = None, None
        if options.classifier != 'in':
            out_vocabulary, pixels = self._out_of_vocabulary(
                features[-1], proposal.mask_logits, texts, options.temperature)
            weight = options.out_weight(
                texts.ensemble_weight, pixels, self.config.ensemble_on_valid_mask)
        return QueryPredictions(
            proposal.mask_logits, in_vocabulary, void, out_vocabulary,
            class_probability(in_vocabulary, out_vocabulary, void, weight, options.keep_void))

    def classify(self, embedding: Tensor, texts: Texts,
                 temperature: float | None = None) -> tuple[Tensor, Tensor]:
        """Return in-vocabulary logits (B, N, C) and void's (B, N, 1) of class embeddings."""
        scale = self.sem_seg_head.predictor.logit_scale
        return (class_logits(embedding, texts.concepts, texts.concept_class, texts.classes, scale,
                             temperature),
                void_logit(embedding, self.void_embedding.weight, scale, temperature))

    def _out_of_vocabulary(self, dense: Tensor, mask_logits: Tensor, texts: Texts,
                           temperature: float | None) -> tuple[Tensor, Tensor]:
        """Classify masks by CLIP's own frozen features (FC-CLIP); with each mask's pixels."""
        masks = F.interpolate(mask_logits, size=dense.shape[2:], mode='bilinear',
                              align_corners=False)
        embedding, pixels = self.backbone.embed_masks(dense, masks)
        logits = class_logits(embedding, texts.concepts, texts.concept_class, texts.classes,
                              self.backbone.logit_scale, temperature)
        return logits, pixels
