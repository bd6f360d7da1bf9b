# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Position encodings and centres of the cells of feature maps."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_encoding(height: int, width: int, dim: int,
                  device: torch.device | None = None) -> Tensor:
    """
    Return DETR's sine position encoding, normalised to 2 pi, as (height * width, dim) float32.

    The first half of the channels encodes y, the second x (FC-CLIP, PositionEmbeddingSine).

    :param height: rows of cells.
    :param width: columns of cells.
    :param dim: number of channels, even.
    :param device: device of the result; None is the CPU.
    """
    half = dim // 2
    y = torch.arange(1, height + 1, dtype=torch.float32, device=device)
    x = torch.arange(1, width + 1, dtype=torch.float32, device=device)
    y, x = y / (height + 1e-6) * 2 * math.pi, x / (width + 1e-6) * 2 * math.pi
    exponent = torch.arange(half, device=device).div(2, rounding_mode='floor') * 2 / half
    period = 10000 ** exponent

    def encode(position: Tensor) -> Tensor:
        angle = position[:, None] / period
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], -1).flatten(1)

    rows = encode(y)[:, None].expand(-1, width, -1)
    columns = encode(x)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def cell_centres(shapes: tuple[tuple[int, int], ...],
                 device: torch.device | None = None) -> Tensor:
    """Return x, y in 0..1 of the centres of the cells of all levels, (S, 2) float32."""
    levels = []
    for height, width in shapes:
        y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height
        x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width
        grid_y, grid_x = torch.meshgrid(y, x, indexing='ij')
        levels.append(torch.stack([grid_x, grid_y], -1).flatten(0, 1))
    return torch.cat(levels)
