# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Large-scale jitter: the augmentation of FC-CLIP's recipe."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from vl4ad_workshop.training.real.config import AugmentationConfig

# The value with which FC-CLIP fills the rest of a crop around a smaller picture.
GREY = 128


def jitter(image: np.ndarray, segments: np.ndarray, config: AugmentationConfig,
           rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """
    Flip, resize and crop or pad a picture and its segments in the same way.

    One random number positions the crop in both directions, and padding is added at the right and
    the bottom (detectron2's fixed-size crop).

    :param image: (H, W, 3) uint8 RGB.
    :param segments: (H, W) int16, -1 without a label.
    :param config: ranges of the augmentation.
    :param rng: source of the random numbers.
    :return: (h, w, 3) uint8 and (h, w) int16 of the configured size.
    """
    flip = rng.random() < config.flip
    scale = rng.uniform(*config.scale)
    place = rng.random()
    size, given = np.array(config.size), np.array(segments.shape)
    resized = np.maximum(np.round(given * (size * scale / given).min()), 1).astype(int)
    offset = np.round(np.maximum(resized - size, 0) * place).astype(int)
    missing = np.maximum(size - resized, 0)

    def apply(x: Tensor, how: InterpolationMode, fill: int) -> Tensor:
        x = functional.horizontal_flip(x) if flip else x
        x = functional.resize(x, resized.tolist(), how, antialias=True)
        x = functional.crop(x, *offset.tolist(), *np.minimum(resized, size).tolist())
        return functional.pad(x, [0, 0, int(missing[1]), int(missing[0])], fill)

    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    ids = torch.from_numpy(segments.astype(np.int32))[None]
    # "Nearest exact" uses cell centres like PIL, with which FC-CLIP resizes labels.
    return (apply(pixels, InterpolationMode.BILINEAR, GREY).permute(1, 2, 0).contiguous(),
            apply(ids, InterpolationMode.NEAREST_EXACT, -1)[0].short())
