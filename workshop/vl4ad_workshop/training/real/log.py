# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorBoard log of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from vl4ad_workshop.training.real.labelled import Labelled

# Number of validation pictures that are shown, and the largest height in pixels.
SHOWN, HEIGHT = 4, 512
# The last colour, black, stands for pixels without a label.
COLOURS = np.random.default_rng(0).integers(60, 256, (1000, 3), np.uint8)
COLOURS[-1] = 0


class Log:
    """Writes TensorBoard files in the first process, and nothing in the others."""

    def __init__(self, folder: Path, start: int, first: bool) -> None:
        """Discard entries that an earlier run wrote for iteration `start` and later."""
        self._writer = SummaryWriter(folder, purge_step=start) if first else None

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)

    def prediction(self, iteration: int, number: int, picture: Labelled,
                   predicted: np.ndarray) -> None:
        """Add a picture, its predicted classes and its labels side by side."""
        if self._writer and number < SHOWN:
            row = np.concatenate(
                [picture.image, COLOURS[predicted], COLOURS[picture.class_map()]], 1)
            step = -(-row.shape[0] // HEIGHT)
            row = row[::step, ::step]
            self._writer.add_image(f'validation/{number}', row, iteration, dataformats='HWC')

    def close(self) -> None:
        """Write pending entries."""
        if self._writer:
            self._writer.close()
