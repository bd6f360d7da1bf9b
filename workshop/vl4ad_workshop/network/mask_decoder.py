# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The masked-attention decoder of Mask2Former with FC-CLIP's class embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.pooling import mask_pool
from vl4ad_workshop.network.position import sine_encoding


@dataclass(frozen=True)
class Proposal:
    """
    The output of one prediction head for every query.

    :ivar mask_logits: (B, N, H / 4, W / 4) float32.
    :ivar class_embedding: (B, N, D) un-normalised, in CLIP's space.
    """

    mask_logits: Tensor
    class_embedding: Tensor


class MaskDecoder(nn.Module):
    """A transformer decoder whose layers attend to one level of features after another."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim, heads, layers = config.hidden_dim, config.attention_heads, config.mask_decoder_layers
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.transformer_self_attention_layers = nn.ModuleList(
            _SelfAttention(dim, heads) for _ in range(layers))
        self.transformer_cross_attention_layers = nn.ModuleList(
            _CrossAttention(dim, heads) for _ in range(layers))
        self.transformer_ffn_layers = nn.ModuleList(
            _FeedForward(dim, config.mask_decoder_ffn) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(dim)
        self.query_feat = nn.Embedding(config.queries, dim)
        self.query_embed = nn.Embedding(config.queries, dim)
        self.level_embed = nn.Embedding(3, dim)
        self.mask_embed = _Mlp(dim, dim, dim)
        self._mask_pooling_proj = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))
        self.class_embed = _Mlp(dim, dim, config.embed_dim)

    def forward(self, mask_features: Tensor, levels: tuple[Tensor, ...]) -> Proposal:
        """Return the proposal of the last head; see `all_proposals` for the arguments."""
        for decoded, embedding in self._layers(mask_features, levels):
            pass
        return self._propose(decoded, embedding, mask_features)

    def all_proposals(self, mask_features: Tensor, levels: tuple[Tensor, ...]) -> list[Proposal]:
        """
        Return the proposals of all heads, which deep supervision needs.

        :param mask_features: (B, dim, H / 4, W / 4).
        :param levels: (B, dim, H / s, W / s) at strides 32, 16, 8.
        :return: the proposal before the first layer, then one after each layer.
        """
        return [self._propose(decoded, embedding, mask_features)
                for decoded, embedding in self._layers(mask_features, levels)]

    def _layers(self, mask_features: Tensor,
                levels: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised queries and mask embeddings, before the first and after each layer."""
        batch, dim = mask_features.shape[:2]
        shapes = [x.shape[2:] for x in levels]
        positions = [sine_encoding(h, w, dim, mask_features.device).to(mask_features.dtype)
                     for h, w in shapes]
        sources = [x.flatten(2).transpose(1, 2) + self.level_embed.weight[i]
                   for i, x in enumerate(levels)]
        # Resizing commutes with the product over channels. Resizing the features once for each
        # level therefore gives the same result as resizing all masks in each layer.
        resized = [F.interpolate(mask_features, size=tuple(shape), mode='bilinear',
                                 align_corners=False).flatten(2) for shape in shapes]
        query_position = self.query_embed.weight
        output = self.query_feat.weight[None].expand(batch, -1, -1)
        for i in range(len(self.transformer_ffn_layers) + 1):
            decoded = self.decoder_norm(output)
            embedding = self.mask_embed(decoded)
            yield decoded, embedding
            if i == len(self.transformer_ffn_layers):
                return
            level = i % 3
            blocked = torch.matmul(embedding, resized[level]).detach() < 0
            # A query with an empty mask attends to all cells instead of none.
            blocked = blocked & ~blocked.all(-1, keepdim=True)
            output = self.transformer_cross_attention_layers[i](
                output, sources[level], query_position, positions[level], blocked)
            output = self.transformer_self_attention_layers[i](output, query_position)
            output = self.transformer_ffn_layers[i](output)

    def _propose(self, decoded: Tensor, embedding: Tensor, mask_features: Tensor) -> Proposal:
        mask_logits = torch.matmul(embedding, mask_features.flatten(2)).unflatten(
            2, mask_features.shape[2:]).float()
        pooled, _ = mask_pool(mask_features, mask_logits)
        return Proposal(mask_logits, self.class_embed(
            self._mask_pooling_proj(pooled.float()) + decoded.float()))


class _Attention(nn.Module):
    """Multi-head attention with the parameters of nn.MultiheadAttention, in exportable form."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor,
                blocked: Tensor | None = None) -> Tensor:
        """Attend from (B, N, dim) to (B, S, dim); `blocked` (B, N, S) bool excludes keys."""
        inputs = (query, key, value)
        q, k, v = (
            F.linear(x, w, b).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for x, w, b in zip(inputs, self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)))
        scores = torch.matmul(q / math.sqrt(q.shape[-1]), k.transpose(2, 3)).float()
        if blocked is not None:
            # -1e4 is zero after the softmax too, but cannot give NaN as -inf can.
            scores = scores.masked_fill_(blocked[:, None], -1e4)
        out = torch.matmul(scores.softmax(-1).to(v.dtype), v)
        return self.out_proj(out.transpose(1, 2).flatten(2))


class _SelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        q = x + position
        return self.norm(x + self.self_attn(q, q, x))


class _CrossAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = _Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, source: Tensor, position: Tensor, source_position: Tensor,
                blocked: Tensor) -> Tensor:
        return self.norm(x + self.multihead_attn(
            x + position, source + source_position, source, blocked))


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(dim)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class _Mlp(nn.Module):
    """Three linear layers with ReLU between them."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        sizes = (inputs, hidden, hidden, outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
