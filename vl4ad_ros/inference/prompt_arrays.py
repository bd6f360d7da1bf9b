# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Remember which text inputs a device already holds, so that they are not uploaded again."""

from __future__ import annotations

import numpy as np


class PromptArrays:
    """The text inputs of the image network that a backend uploaded last."""

    def __init__(self) -> None:
        """Begin without any uploaded arrays."""
        self._last: tuple[np.ndarray, ...] = ()

    def holds(self, *arrays: np.ndarray) -> bool:
        """
        Tell whether these arrays are on the device already.

        :param arrays: text inputs, always in the same order.
        :returns: True if they are the objects of the last call of `set` and read-only, which
            means that their content cannot have changed since.
        """
        return len(arrays) == len(self._last) and all(
            a is b and not a.flags.writeable for a, b in zip(arrays, self._last))

    def set(self, *arrays: np.ndarray) -> None:
        """
        Remember what the device holds.

        :param arrays: the text inputs that were uploaded; without any, the device holds none.
        """
        self._last = arrays
