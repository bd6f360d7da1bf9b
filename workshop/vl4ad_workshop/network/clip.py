# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frozen CLIP: multi-scale image features, embeddings of masks, embeddings of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
import math
from typing import Any

import open_clip
from timm.models import register_model
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.pooling import mask_pool


class TinyResNet(ByobNet):
    """
    The trunk of the tiny CLIP: basic blocks at strides 4, 8, 16 and 16, 2.8 M parameters.

    On a CPU, 3x3 convolutions and batch norms are faster than the depthwise convolutions of a
    ConvNeXt, above all in training. The last stage stays at stride 16, because at 192x320 pixels
    a cell of stride 32 is larger than most obstacles.
    """

    def __init__(self, **kwargs: Any) -> None:
        blocks = tuple(ByoBlockCfg(type='basic', d=2, c=c, s=s, gs=0, br=1.0)
                       for c, s in ((32, 2), (64, 2), (128, 2), (256, 1)))
        super().__init__(ByoModelCfg(blocks=blocks, stem_chs=16, stem_pool='', downsample='avg'),
                         **kwargs)
        self.norm_pre = nn.Identity()
        # The length of a mean depends on the number of cells, so it is normalised.
        self.norm = nn.LayerNorm(self.num_features)
        self.default_cfg = {}  # open_clip reads it

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Average (B, C, h, w) and normalise: (B, C)."""
        return self.norm(self.head(x))


@register_model
def vl4ad_resnet_tiny(pretrained: bool = False, **kwargs: Any) -> TinyResNet:
    """Build the trunk of the tiny CLIP."""
    if pretrained:
        raise ValueError('vl4ad_resnet_tiny has no pretrained weights; train the tiny CLIP')
    for unused in ('pretrained_cfg', 'pretrained_cfg_overlay', 'cache_dir'):
        kwargs.pop(unused, None)
    return TinyResNet(**kwargs)


class FrozenClip(nn.Module, ABC):
    """
    A CLIP that is not trained, as FC-CLIP uses it (arXiv 2308.02487).

    Its only child is ``clip_model``, as in official state dicts.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.clip_model = open_clip.CLIP(**config.clip)
        self.clip_model.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenClip:
        """Stay in evaluation mode, because weights and batch norm statistics are frozen."""
        return super().train(False)

    @abstractmethod
    def features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Return the trunk's features of a normalised image.

        :param image: (B, 3, H, W) float, H and W multiples of 32.
        :return: (B, C_i, H / s, W / s) of `dtype` for strides s = 4, 8, 16, 32 (the tiny trunk's
            last is 16 again); the last one is FC-CLIP's ``clip_vis_dense``.
        """

    @abstractmethod
    def embed_masks(self, dense: Tensor, mask_logits: Tensor) -> tuple[Tensor, Tensor]:
        """
        Embed the pixels of each mask as CLIP embeds an image.

        :param dense: (B, C, h, w), the last features.
        :param mask_logits: (B, N, h, w); a mask holds the pixels whose logit is above 0.
        :return: un-normalised embeddings (B, N, D), which are finite but have no meaning for an
            empty mask; number of pixels of each mask (B, N, 1).
        """

    @property
    def dtype(self) -> torch.dtype:
        """The floating type in which the trunk computes; see `precision.set_precision`."""
        return next(self.clip_model.visual.parameters()).dtype

    def encode_text(self, tokens: Tensor) -> Tensor:
        """
        Map tokens (n, length) int64 to un-normalised embeddings (n, D).

        A token does not attend to later ones, so rows need not be longer than the longest text,
        which saves most of the computation. The result equals that of open_clip for rows padded
        to the context length.
        """
        clip, length = self.clip_model, tokens.shape[1]
        x = clip.token_embedding(tokens) + clip.positional_embedding[:length]
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        # The end-of-text token has the highest id of a row.
        end = tokens.argmax(1)[:, None, None].expand(-1, 1, x.shape[2])
        return clip.ln_final(x).gather(1, end)[:, 0] @ clip.text_projection

    @property
    def logit_scale(self) -> Tensor:
        """Learned log of the inverse temperature, a scalar."""
        return self.clip_model.logit_scale


class ConvNextClip(FrozenClip):
    """CLIP with a ConvNeXt trunk: the features of a mask are averaged, then projected."""

    def features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the stages' outputs; see `FrozenClip.features`."""
        trunk = self.clip_model.visual.trunk
        x = trunk.stem(image.to(self.dtype))
        out = []
        for stage in trunk.stages:
            x = stage(x)
            out.append(x)
        out[-1] = trunk.norm_pre(x)
        return tuple(out)

    def embed_masks(self, dense: Tensor, mask_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Average and project; see `FrozenClip.embed_masks`."""
        pooled, count = mask_pool(dense, mask_logits)
        return self.embed_pooled(pooled), count

    def embed_pooled(self, pooled: Tensor) -> Tensor:
        """Map pooled last features (B, N, C) to un-normalised embeddings (B, N, D)."""
        batch, queries, channels = pooled.shape
        visual = self.clip_model.visual
        x = visual.trunk.forward_head(pooled.float().reshape(batch * queries, channels, 1, 1))
        return visual.head(x).reshape(batch, queries, -1)


class ResNetClip(FrozenClip):
    """CLIP with OpenAI's modified ResNet: attention pooling is restricted to each mask."""

    def features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the layers' outputs; see `FrozenClip.features`."""
        visual = self.clip_model.visual
        x = visual.stem(image.to(self.dtype))
        out = []
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
            out.append(x)
        return tuple(out)

    def embed_masks(self, dense: Tensor, mask_logits: Tensor) -> tuple[Tensor, Tensor]:
        """
        Pool by attention; see `FrozenClip.embed_masks`.

        The query is the same for every mask, the mean of the whole image. Keys outside of the
        mask are excluded (FC-CLIP).
        """
        pool = self.clip_model.visual.attnpool
        height, width = dense.shape[2:]
        whole, cells = pool.positional_embedding[:1], pool.positional_embedding[1:]
        side = math.isqrt(len(cells))
        cells = F.interpolate(cells.t().unflatten(1, (side, side))[None], size=(height, width),
                              mode='bilinear', align_corners=False)
        keys = (dense + cells.to(dense.dtype)).flatten(2).transpose(1, 2)
        query = (dense.float().mean((2, 3)) + whole).to(dense.dtype)
        q, k, v = (
            projection(x).unflatten(2, (pool.num_heads, -1)).transpose(1, 2)
            for projection, x in ((pool.q_proj, query[:, None]), (pool.k_proj, keys),
                                  (pool.v_proj, keys)))
        scores = torch.matmul(q.float(), k.float().transpose(2, 3)) / math.sqrt(q.shape[-1])
        inside = (mask_logits.detach() > 0).float().flatten(2)
        # With -1e4 instead of -inf an empty mask gives a finite value instead of NaN.
        weights = (scores + (1 - inside[:, None]) * -1e4).softmax(-1)
        out = torch.matmul(weights.to(v.dtype), v).transpose(1, 2).flatten(2)
        return pool.c_proj(out), inside.sum(-1, keepdim=True)


def build_clip(config: NetworkConfig) -> FrozenClip:
    """Return the CLIP of a configuration with random weights."""
    trunk = config.clip['vision_cfg'].get('timm_model_name')
    return (ConvNextClip if trunk else ResNetClip)(config)


def concept_embeddings(clip: FrozenClip, tokens: Tensor) -> Tensor:
    """
    Embed concepts by averaging over templates.

    The embeddings of a concept's texts are normalised, averaged, and normalised again (FC-CLIP,
    section 2.4).

    :param clip: the text tower.
    :param tokens: (P, templates, length) int64; tokens after the highest of a row are padding.
    :return: (P, D) float32 with rows of unit length.
    """
    tokens = tokens[..., :int(tokens.argmax(-1).max()) + 1]
    concepts, templates, length = tokens.shape
    # 128 texts at a time, as in FC-CLIP, limit the memory that a large vocabulary needs.
    parts = [clip.encode_text(t) for t in tokens.reshape(-1, length).split(128)]
    texts = F.normalize(torch.cat(parts), dim=-1).reshape(concepts, templates, -1)
    return F.normalize(texts.mean(1), dim=-1)
