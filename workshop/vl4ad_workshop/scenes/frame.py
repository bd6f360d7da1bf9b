# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A drawn picture with its exact segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """
    One picture.

    `image` (H, W, 3) uint8 RGB; `segments` (H, W) int32: index into `kinds`, -1 = ignore;
    `kinds`: kind name per segment (surfaces: one segment a kind; things: one an instance).
    """

    image: np.ndarray
    segments: np.ndarray
    kinds: tuple[str, ...]
