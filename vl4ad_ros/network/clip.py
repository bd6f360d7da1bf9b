# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frozen CLIP: multi-scale image features, pooled features to embeddings, texts."""

from __future__ import annotations

import open_clip
from timm.models import register_model
from timm.models.convnext import ConvNeXt
import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_ros.network.config import NetworkConfig


@register_model
def vl4ad_convnext_tiny(pretrained: bool = False, **kwargs) -> ConvNeXt:
    """Build a ConvNeXt of 2 M parameters (timm's blocks, small dimensions) for the tiny CLIP."""
    if pretrained:
        raise ValueError('vl4ad_convnext_tiny has no pretrained weights; train the tiny CLIP')
    for unused in ('pretrained_cfg', 'pretrained_cfg_overlay', 'cache_dir'):
        kwargs.pop(unused, None)
    # Layer scale starts at 0.5: with timm's 1e-6 so small a network hardly learns at first.
    model = ConvNeXt(depths=(2, 2, 4, 2), dims=(32, 64, 128, 256), ls_init_value=0.5, **kwargs)
    model.default_cfg = {}  # open_clip looks for it
    return model


class FrozenClip(nn.Module):
    """
    CLIP with a ConvNeXt trunk, as FC-CLIP uses it (arXiv 2308.02487).

    Its only child is ``clip_model``, as in official state dicts.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.clip_model = open_clip.CLIP(**config.clip)
        self.clip_model.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenClip:
        """Stay in evaluation mode: the weights, and so their statistics, are frozen."""
        return super().train(False)

    def features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Return the trunk's features of a normalised image.

        :param image: (B, 3, H, W) float, H and W multiples of 32.
        :return: (B, C_i, H / s, W / s) for strides s = 4, 8, 16, 32; the last one is FC-CLIP's
            ``clip_vis_dense``.
        """
        trunk = self.clip_model.visual.trunk
        x = trunk.stem(image)
        out = []
        for stage in trunk.stages:
            x = stage(x)
            out.append(x)
        out[-1] = trunk.norm_pre(x)
        return tuple(out)

    def embed_pooled(self, pooled: Tensor) -> Tensor:
        """Map pooled stride-32 features (B, N, C) to un-normalised embeddings (B, N, D)."""
        batch, queries, channels = pooled.shape
        visual = self.clip_model.visual
        x = visual.trunk.head(pooled.reshape(batch * queries, channels, 1, 1))
        return visual.head(x).reshape(batch, queries, -1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, context_length) int64 to un-normalised embeddings (n, D)."""
        return self.clip_model.encode_text(tokens, normalize=False)

    @property
    def logit_scale(self) -> Tensor:
        """Learned log of the inverse temperature, a scalar."""
        return self.clip_model.logit_scale


def concept_embeddings(clip: FrozenClip, tokens: Tensor) -> Tensor:
    """
    Embed concepts: mean over templates of normalised texts, normalised again (FC-CLIP, 2.4).

    :param tokens: (P, templates, context_length) int64.
    :return: (P, D) with rows of unit length.
    """
    concepts, templates, length = tokens.shape
    # FC-CLIP encodes 128 texts at a time; so do we, to bound the memory of large vocabularies.
    parts = [clip.encode_text(t) for t in tokens.reshape(-1, length).split(128)]
    texts = F.normalize(torch.cat(parts), dim=-1).reshape(concepts, templates, -1)
    return F.normalize(texts.mean(1), dim=-1)
