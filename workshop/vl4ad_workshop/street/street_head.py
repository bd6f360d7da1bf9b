# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The street head: from the classifier's frozen maps to logits of the street words at stride 4.

A feature pyramid (Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017) of
separable convolutions, with about 0.1 M parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn, Tensor
import torch.nn.functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vl4ad_workshop.street.classifier import CHANNELS
from vl4ad_workshop.street.street_words import WORDS

WIDTH = 96
"""Channels inside the head."""


class StreetHead(nn.Module):
    """
    The trained part of the street model.

    A head that is trained standardises its maps and has batch norms. One that is `folded` has
    both in the weights of its convolutions.
    """

    def __init__(self, words: int = len(WORDS), width: int = WIDTH,
                 mean: Sequence[Tensor] | None = None, std: Sequence[Tensor] | None = None,
                 folded: bool = False) -> None:
        """
        Draw random weights.

        :param words: number of classes.
        :param width: channels inside.
        :param mean: of each channel of each map, (c,) for c of `CHANNELS`; None for 0.
        :param std: standard deviations likewise, above 0; None for 1.
        :param folded: without standardisation and batch norms; then `mean` and `std` are None.
        """
        super().__init__()
        half = width // 2
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in CHANNELS)
        self.mix_16 = _mix(width, folded)
        self.mix_8 = nn.ModuleList(_mix(width, folded) for _ in range(2))
        self.coarse = nn.Conv2d(width, half, 1)
        self.fine = nn.Conv2d(CHANNELS[0], half, 1)
        self.out = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1, groups=half), nn.Conv2d(half, width, 1),
            nn.ReLU(), nn.Conv2d(width, words, 1))
        self.is_folded = folded
        if not folded:
            for i, c in enumerate(CHANNELS):
                self.register_buffer(f'mean{i}', (torch.zeros(c) if mean is None else mean[i])
                                     .view(1, c, 1, 1))
                self.register_buffer(f'std{i}', (torch.ones(c) if std is None else std[i])
                                     .view(1, c, 1, 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """
        Return logits of the words.

        :param maps: the four maps of `Classifier.features`.
        :return: (B, words, H / 4, W / 4).
        """
        if not self.is_folded:
            maps = [(x - getattr(self, f'mean{i}')) / getattr(self, f'std{i}')
                    for i, x in enumerate(maps)]
        at_4, at_8, at_16, at_32 = maps
        first, second, third, fourth = self.lateral
        hidden = F.relu(third(at_16) + _enlarge(fourth(at_32), at_16.shape[-2:]))
        hidden = hidden + self.mix_16(hidden)
        hidden = F.relu(_enlarge(hidden, at_8.shape[-2:]) + second(at_8)
                        + first(F.avg_pool2d(at_4, 2)))
        for block in self.mix_8:
            hidden = hidden + block(hidden)
        hidden = F.relu(_enlarge(self.coarse(hidden), at_4.shape[-2:]) + self.fine(at_4))
        return self.out[-1](self.out[:-1](hidden).to(self.out[-1].weight.dtype))

    @torch.no_grad()
    def folded(self) -> StreetHead:
        """Return an equal head in evaluation mode with everything linear merged."""
        head = StreetHead(self.out[-1].out_channels, self.coarse.in_channels, folded=True)
        state = {name: value for name, value in self.state_dict().items()
                 if name in head.state_dict()}
        for name, level in (('fine', 0), *((f'lateral.{i}', i) for i in range(len(CHANNELS)))):
            mean, std = (getattr(self, f'{kind}{level}').double() for kind in ('mean', 'std'))
            weight = state[f'{name}.weight'].double() / std
            state[f'{name}.weight'] = weight.float()
            state[f'{name}.bias'] = (state[f'{name}.bias'].double()
                                     - (weight * mean).sum((1, 2, 3))).float()
        for name, block in (('mix_16', self.mix_16),
                            *((f'mix_8.{i}', block) for i, block in enumerate(self.mix_8))):
            convolution = fuse_conv_bn_eval(block[0].eval(), block[1].eval())
            state[f'{name}.0.weight'] = convolution.weight
            state[f'{name}.0.bias'] = convolution.bias
        head.load_state_dict(state)
        return head.requires_grad_(False).eval()


def _mix(width: int, folded: bool) -> nn.Sequential:
    """Return a separable convolution."""
    return nn.Sequential(
        nn.Conv2d(width, width, 5, padding=2, groups=width),
        nn.Identity() if folded else nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 1))


def _enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=False)
