# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the network's text inputs are those of the last frame, which are with the device."""

from __future__ import annotations

import numpy as np


class PromptArrays:
    """The text inputs that a backend has handed over last."""

    def __init__(self) -> None:
        """Start with none."""
        self._last: tuple[np.ndarray, ...] = ()

    def holds(self, *arrays: np.ndarray) -> bool:
        """Tell whether these are the same objects, and read-only, so that they cannot differ."""
        return len(arrays) == len(self._last) and all(
            a is b and not a.flags.writeable for a, b in zip(arrays, self._last))

    def set(self, *arrays: np.ndarray) -> None:
        """Remember arrays that have been handed over; without any, that none have."""
        self._last = arrays
