# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pixel decoder of Mask2Former (arXiv 2112.01527): deformable encoder and one FPN step."""

from __future__ import annotations

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.deformable_attention import DeformableAttention
from vl4ad_workshop.network.position import cell_centres, sine_encoding


class PixelDecoder(nn.Module):
    """A transformer over the features at strides 8, 16 and 32, then one FPN step to stride 4."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim, groups = config.hidden_dim, config.norm_groups
        c4, c8, c16, c32 = config.feature_channels
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, dim, 1), nn.GroupNorm(groups, dim))
            for c in (c32, c16, c8))
        self.transformer = _Transformer(config)
        self.adapter_1 = _ConvNorm(c4, dim, 1, groups)
        self.layer_1 = _ConvNorm(dim, dim, 3, groups)
        self.mask_features = nn.Conv2d(dim, dim, 1)
        nn.init.kaiming_uniform_(self.mask_features.weight, a=1)
        nn.init.zeros_(self.mask_features.bias)
        for projection in self.input_proj:
            nn.init.xavier_uniform_(projection[0].weight)
            nn.init.zeros_(projection[0].bias)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """
        Compute mask features, and the levels that the mask decoder attends to.

        :param features: (B, C, H / s, W / s) at strides 4, 8, 16, 32.
        :return: mask features (B, dim, H / 4, W / 4); levels (B, dim, H / s, W / s) at strides
            32, 16, 8.
        """
        stride4, *rest = features
        levels = [normalise(norm, project(f))
                  for (project, norm), f in zip(self.input_proj, reversed(rest))]
        shapes = tuple((x.shape[2], x.shape[3]) for x in levels)
        mixed = self.transformer([x.flatten(2).transpose(1, 2) for x in levels], shapes)
        levels = tuple(
            x.transpose(1, 2).unflatten(2, shape)
            for x, shape in zip(mixed.split([h * w for h, w in shapes], 1), shapes))
        top = F.interpolate(levels[-1], size=stride4.shape[2:], mode='bilinear',
                            align_corners=False)
        fused = F.relu(self.layer_1(self.adapter_1(stride4) + top))
        return self.mask_features(fused), levels


class _ConvNorm(nn.Conv2d):
    """A convolution with its norm as a child, as in the official parameter names."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(groups, outputs)
        nn.init.kaiming_uniform_(self.weight, a=1)

    def forward(self, x: Tensor) -> Tensor:
        return normalise(self.norm, super().forward(x))


def normalise(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Apply the norm in float32, because sums over whole maps exceed half precision."""
    return norm(x.float()).to(x.dtype)


class _Transformer(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.level_embed = nn.Parameter(torch.randn(3, config.hidden_dim))
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(
            _EncoderLayer(config) for _ in range(config.pixel_decoder_layers))

    def forward(self, levels: list[Tensor], shapes: tuple[tuple[int, int], ...]) -> Tensor:
        x = torch.cat(levels, 1)
        position = torch.cat([
            sine_encoding(h, w, x.shape[2], x.device) + embed
            for (h, w), embed in zip(shapes, self.level_embed)]).to(x.dtype)
        reference = cell_centres(shapes, x.device)
        for layer in self.encoder.layers:
            x = layer(x, position, reference, shapes)
        return x


class _EncoderLayer(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.self_attn = DeformableAttention(
            dim, config.attention_heads, 3, config.sampling_points)
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, config.pixel_decoder_ffn)
        self.linear2 = nn.Linear(config.pixel_decoder_ffn, dim)
        self.norm2 = nn.LayerNorm(dim)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor, position: Tensor, reference: Tensor,
                shapes: tuple[tuple[int, int], ...]) -> Tensor:
        x = self.norm1(x + self.self_attn(x + position, reference, x, shapes))
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))
