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
    The text inputs of the network. Other prompts need no other weights.

    :ivar concepts: (P, D) float32, one unit vector for each concept.
    :ivar concept_class: (P,) int64, index of the class of each concept, -1 for padding.
    :ivar classes: number of classes C, unused ones included.
    :ivar ensemble_weight: (C,) float32 in 0..1, weight of CLIP's own classifier.
    """

    concepts: Tensor
    concept_class: Tensor
    classes: int
    ensemble_weight: Tensor


@dataclass(frozen=True)
class QueryPredictions:
    """
    The predictions of the network for N queries.

    :ivar mask_logits: (B, N, H / 4, W / 4) of the padded image.
    :ivar in_vocabulary: (B, N, C) class logits of the decoder.
    :ivar void: (B, N, 1) logit of the no-object class.
    :ivar out_vocabulary: (B, N, C) class logits of CLIP's own classifier; None if the options do
        not use it.
    :ivar probability: (B, N, C) class probabilities in 0..1, see `class_probability`.
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
        """
        Run the pixel decoder.

        :param features: the trunk's features at strides 4, 8, 16, 32.
        :return: mask features (B, dim, H / 4, W / 4), and levels (B, dim, H / s, W / s) at
            strides 32, 16, 8.
        """
        return self.sem_seg_head.pixel_decoder(features)

    def forward(self, image: Tensor, texts: Texts,
                options: Classification = Classification()) -> QueryPredictions:
        """
        Run the network.

        :param image: (B, H, W, 3) RGB, 0..255, uint8 or float.
        :param texts: the embedded prompts.
        :param options: how embeddings become class probabilities.
        """
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
        """
        Classify embeddings with the decoder's classifier.

        :param embedding: (B, N, D) class embeddings, of any length.
        :param texts: the embedded prompts.
        :param temperature: see `classification.inverse_temperature`.
        :return: class logits (B, N, C), and the logit of the no-object class (B, N, 1).
        """
        scale = self.sem_seg_head.predictor.logit_scale
        return (class_logits(embedding, texts.concepts, texts.concept_class, texts.classes, scale,
                             temperature),
                void_logit(embedding, self.void_embedding.weight, scale, temperature))

    def _out_of_vocabulary(self, dense: Tensor, mask_logits: Tensor, texts: Texts,
                           temperature: float | None) -> tuple[Tensor, Tensor]:
        """Return class logits from CLIP's frozen features (FC-CLIP), and pixels of each mask."""
        masks = F.interpolate(mask_logits, size=dense.shape[2:], mode='bilinear',
                              align_corners=False)
        embedding, pixels = self.backbone.embed_masks(dense, masks)
        logits = class_logits(embedding, texts.concepts, texts.concept_class, texts.classes,
                              self.backbone.logit_scale, temperature)
        return logits, pixels
