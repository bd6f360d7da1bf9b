# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bilinear enlargement of maps whose channels come last, as products with two matrices."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def enlarge(maps: Tensor, height: int, width: int) -> Tensor:
    """
    Enlarge maps as `torch.nn.functional.interpolate` does, bilinear with align_corners=False.

    On a CPU, two products take a fraction of the time of the operator Resize, which would also
    need the channels first.

    :param maps: (h, w, C).
    :param height: rows of the result.
    :param width: columns of the result.
    :return: (height, width, C).
    """
    rows, columns, channels = maps.shape
    down, across = (torch.from_numpy(weights(*sizes)).to(maps.device)
                    for sizes in ((rows, height), (columns, width)))
    tall = (down @ maps.reshape(rows, columns * channels)).reshape(height, columns, channels)
    return across @ tall


def weights(size: int, new: int) -> np.ndarray:
    """
    Return the share of each old cell in each new one along an axis.

    :param size: number of old cells.
    :param new: number of new cells.
    :return: float32 [new, size]; rows sum to 1.
    """
    position = np.clip((np.arange(new) + 0.5) * size / new - 0.5, 0, size - 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(size)), 0).astype(np.float32)
