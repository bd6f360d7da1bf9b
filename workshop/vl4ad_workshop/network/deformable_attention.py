# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Multi-scale deformable attention (Deformable DETR, arXiv 2010.04159, eq. 3)."""

from __future__ import annotations

import math

import torch
from torch import nn, Tensor

from vl4ad_workshop.network.deformable_sampling import DeformableSampler, level_sizes


class DeformableAttention(nn.Module):
    """Each query samples a few learned points on every level around its reference point."""

    def __init__(self, dim: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self.sampler = DeformableSampler()
        self._initialise()

    def _initialise(self) -> None:
        nn.init.zeros_(self.sampling_offsets.weight)
        angles = torch.arange(self.heads) * (2.0 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        radii = torch.arange(1, self.points + 1).view(1, 1, -1, 1)
        grid = directions.view(self.heads, 1, 1, 2) * radii
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(grid.expand(-1, self.levels, -1, -1).reshape(-1))
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, query: Tensor, reference: Tensor, value: Tensor,
                shapes: tuple[tuple[int, int], ...]) -> Tensor:
        """
        Attend from every cell to sampled points of all levels.

        :param query: (B, S, dim), content plus position encoding.
        :param reference: (S, 2) x, y in 0..1, the centre of each query's cell.
        :param value: (B, S, dim), the cells of all levels, one level after another.
        :param shapes: (height, width) of each level; their areas add up to S.
        :return: (B, S, dim).
        """
        batch, length, dim = query.shape
        heads, levels, points = self.heads, self.levels, self.points
        value = self.value_proj(value).view(batch, length, heads, dim // heads)
        # From here on in float32, because half precision would move the points. Dividing along
        # a longer row is faster on a CPU.
        sizes = level_sizes(shapes, query.device)[:, None].expand(-1, points, -1).flatten()
        offsets = (self.sampling_offsets(query).float().view(batch, length, heads, -1)
                   / sizes).view(batch, length, heads, levels, points, 2)
        weights = self.attention_weights(query).float().view(
            batch, length, heads, levels * points)
        weights = weights.softmax(-1).view(batch, length, heads, levels, points)
        locations = reference[None, :, None, None, None] + offsets
        return self.output_proj(self.sampler(value, shapes, locations, weights))
