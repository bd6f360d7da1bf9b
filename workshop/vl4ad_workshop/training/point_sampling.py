# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The points at which masks are compared: every pixel, or points drawn as in PointRend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
import torch.nn.functional as F


class PointSampler(Protocol):
    """Chooses points (n, P, 2), x and y in 0..1; None stands for all pixels in order."""

    def for_matching(self, masks: Tensor) -> Tensor | None:
        """Return one set of points, (1, P, 2), at which all of (N, h, w) masks are compared."""

    def for_loss(self, masks: Tensor) -> Tensor | None:
        """Return points, (m, P, 2), for each of (m, h, w) mask logits."""


class EveryPixel:
    """Uses all pixels, for small masks and for masks in which some pixels have no label."""

    def for_matching(self, masks: Tensor) -> None:
        """Return None, which is all pixels."""

    for_loss = for_matching


@dataclass(frozen=True)
class RandomPoints:
    """
    Points as Mask2Former draws them (arXiv 2112.01527, section 3.3).

    Matching uses uniform points, the same for all masks of a picture. The loss uses
    `importance` * `count` points at which the mask is least certain, out of `oversample` times
    `count` uniform ones, and further uniform points (PointRend, arXiv 1912.08193).

    :ivar count: points of each mask.
    :ivar oversample: at least 1.
    :ivar importance: 0..1.
    :ivar uniform: draws numbers in 0..1 like `torch.rand`.
    """

    count: int
    oversample: float
    importance: float
    uniform: Callable[..., Tensor] = torch.rand

    def for_matching(self, masks: Tensor) -> Tensor:
        """Return uniform points, (1, count, 2)."""
        return self.uniform(1, self.count, 2, device=masks.device)

    @torch.no_grad()
    def for_loss(self, masks: Tensor) -> Tensor:
        """Return (m, count, 2): uncertain points of each mask, then uniform ones."""
        uncertain = int(self.importance * self.count)
        candidates = self.uniform(
            len(masks), int(self.oversample * self.count), 2, device=masks.device)
        best = read(masks, candidates).abs().topk(uncertain, 1, largest=False).indices
        chosen = candidates.gather(1, best[..., None].expand(-1, -1, 2))
        rest = self.uniform(len(masks), self.count - uncertain, 2, device=masks.device)
        return torch.cat([chosen, rest], 1)


def read(maps: Tensor, points: Tensor | None) -> Tensor:
    """
    Return the values of maps at points, interpolated bilinearly, as (n, P) floats.

    :param maps: (n, h, w), or (n, P) where `points` is None; zero outside.
    :param points: (n or 1, P, 2), x and y in 0..1 over the map; None reads every pixel.
    """
    maps = maps if maps.is_floating_point() else maps.float()
    if points is None:
        return maps.flatten(1)
    if len(points) == 1:
        # With one set of points for all, the maps are channels of one picture.
        grid = 2 * points[:, :, None] - 1
        return F.grid_sample(maps[None], grid, align_corners=False)[0, :, :, 0]
    grid = 2 * points[:, :, None] - 1
    return F.grid_sample(maps[:, None], grid, align_corners=False)[:, 0, :, 0]
