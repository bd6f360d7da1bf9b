# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Multi-scale deformable sampling in three forms with equal results.

A function of `FORMS` returns, for every query, each head's weighted sum of bilinear samples:

:param value: (B, S, heads, d), the cells of all levels, one level after another.
:param shapes: (height, width) of each level; their areas add up to S.
:param locations: (B, Q, heads, levels, points, 2) float32 x, y; 0..1 spans a level from edge to
    edge. Values outside of the level are zero.
:param weights: (B, Q, heads, levels, points) float32.
:return: (B, Q, heads * d) of value's dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import itertools

import torch
from torch import nn, Tensor
import torch.nn.functional as F

Shapes = Sequence[tuple[int, int]]

# Version 1 of the plugin is in every TensorRT from 8.6 to 11 (github.com/NVIDIA/TensorRT,
# plugin/multiscaleDeformableAttnPlugin). Version 2 differs in its C++ interface only and came with
# TensorRT 10.11; JetPack 6 has 10.3.
PLUGIN, PLUGIN_VERSION = 'MultiscaleDeformableAttnPlugin_TRT', '1'


def grid_sample(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Sample with grid_sample, in float32 because half precision would move the points."""
    batch, _, heads, channels = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    sampled = []
    for level, (part, (height, width)) in enumerate(
            zip(value.float().split([h * w for h, w in shapes], 1), shapes)):
        # With points before queries, the sum over points runs along contiguous queries.
        grid = (2 * locations[:, :, :, level] - 1).permute(0, 2, 3, 1, 4).flatten(0, 1)
        plane = part.permute(0, 2, 3, 1).reshape(batch * heads, channels, height, width)
        values = F.grid_sample(plane, grid, 'bilinear', 'zeros', align_corners=False)
        weight = weights[:, :, :, level].permute(0, 2, 3, 1).reshape(
            batch * heads, 1, points, queries)
        sampled.append((values * weight).sum(2))
    out = sum(sampled).view(batch, heads * channels, queries).transpose(1, 2)
    return out.to(value.dtype)


def gather(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """
    Sample with one Gather of all corners and one product with their weights.

    This form is for engines, because TensorRT was reported to miscompile GridSample
    (github.com/NVIDIA/TensorRT issues 4813 and 4646).
    """
    batch, cells, heads, channels = value.shape
    queries, device = locations.shape[1], value.device
    sizes = level_sizes(shapes, device)
    column, share_x = _corners(locations[..., 0:1], sizes[:, None, 0:1])
    row, share_y = _corners(locations[..., 1:2], sizes[:, None, 1:2])
    # A table in the order of `value` needs no transposition. int32 is large enough for its row
    # numbers at any supported input size.
    level = torch.cat([torch.full((1,), start * heads, dtype=torch.int32, device=device)
                       for start in _starts(shapes)])
    frame = torch.arange(batch, dtype=torch.int32, device=device) * (cells * heads)
    head = torch.arange(heads, dtype=torch.int32, device=device)
    first = frame[:, None, None, None] + head[:, None] + level
    stride = sizes[:, 0].int() * heads
    index = ((row * stride[:, None, None] + first[..., None, None])[..., :, None]
             + (column * heads)[..., None, :])
    share = share_y[..., :, None] * share_x[..., None, :] * weights[..., None, None]
    table = value.reshape(batch * cells * heads, channels)
    # index_select would be exported with a cast of all indices to int64.
    samples = F.embedding(index.view(batch * queries * heads, -1), table)
    share = share.to(value.dtype).view(batch * queries * heads, 1, -1)
    return torch.matmul(share, samples).view(batch, queries, heads * channels)


def plugin(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """
    Sample with TensorRT's own plugin in an exported graph, and with `grid_sample` elsewhere.

    Everything is float32: in half precision the plugin would compute positions in half precision
    too, and it does not support bfloat16.
    """
    if not torch.compiler.is_exporting():
        return grid_sample(value, shapes, locations, weights)
    batch, _, heads, channels = value.shape
    out = torch.onnx.ops.symbolic(
        f'trt::{PLUGIN}',
        (value.float(), torch.tensor(shapes, dtype=torch.int32),
         torch.tensor(_starts(shapes), dtype=torch.int32), locations, weights),
        {'plugin_version': PLUGIN_VERSION, 'plugin_namespace': ''}, dtype=torch.float32,
        shape=(batch, locations.shape[1], heads, channels), version=1)
    return out.flatten(2).to(value.dtype)


FORMS: Mapping[str, Callable[[Tensor, Shapes, Tensor, Tensor], Tensor]] = {
    'grid-sample': grid_sample, 'gather': gather, 'plugin': plugin}


class DeformableSampler(nn.Module):
    """Deformable sampling in the form that `set_sampling` chose; the default is grid-sample."""

    form = 'grid-sample'

    def forward(self, value: Tensor, shapes: Shapes, locations: Tensor,
                weights: Tensor) -> Tensor:
        """Sample; see the module for arguments and result."""
        return FORMS[self.form](value, shapes, locations, weights)


def set_sampling(network: nn.Module, form: str) -> None:
    """
    Choose the form of sampling of every deformable attention in a network.

    :param network: changed in place.
    :param form: one of `FORMS`.
    :raises ValueError: for a form that is not known.
    """
    if form not in FORMS:
        raise ValueError(f'sampling is {form!r}; choose one of ' + ', '.join(map(repr, FORMS)))
    for module in network.modules():
        if isinstance(module, DeformableSampler):
            module.form = form


def level_sizes(shapes: Shapes, device: torch.device) -> Tensor:
    """
    Return x, y in cells of each level, (levels, 2) float32.

    The values are filled in on the device, because a copy from the host would prevent capturing a
    CUDA graph.
    """
    return torch.cat([torch.full((1,), float(side), device=device)
                      for height, width in shapes for side in (width, height)]).view(-1, 2)


def _starts(shapes: Shapes) -> list[int]:
    """Return the index of the first cell of each level."""
    return [0, *itertools.accumulate(h * w for h, w in shapes)][:-1]


def _corners(location: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the two cells around each location on one axis.

    :param location: (..., levels, points, 1) float32, 0..1 over the level.
    :param size: (levels, 1, 1) float32, number of cells.
    :return: indices of the cells (..., levels, points, 2) int32, within the level; their shares
        of the sample, which are zero for a cell outside of the level.
    """
    position = location * size - 0.5
    cell = position.floor() + torch.arange(2, device=size.device)
    inside = cell.clamp(min=0).minimum(size - 1)
    return inside.int(), torch.where(cell == inside, 1 - (position - cell).abs(), 0.0)
