# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard shows of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from vl4ad_workshop.training.real.labelled import Labelled

# Pictures of the validation split that are shown, and the pixels that their height is kept to.
SHOWN, HEIGHT = 4, 512
# The last colour, black, is for what has no label.
COLOURS = np.random.default_rng(0).integers(60, 256, (1000, 3), np.uint8)
COLOURS[-1] = 0


class Log:
    """TensorBoard's files of the first process; the others' logs write nothing."""

    def __init__(self, folder: Path, start: int, first: bool) -> None:
        """Drop what an earlier run wrote of iteration `start` and later."""
        self._writer = SummaryWriter(folder, purge_step=start) if first else None

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)

    def prediction(self, iteration: int, number: int, picture: Labelled,
                   predicted: np.ndarray) -> None:
        """Add a picture, the predicted classes and the labels in equal colours, in a row."""
        if self._writer and number < SHOWN:
            row = np.concatenate(
                [picture.image, COLOURS[predicted], COLOURS[picture.class_map()]], 1)
            step = -(-row.shape[0] // HEIGHT)
            row = row[::step, ::step]
            self._writer.add_image(f'validation/{number}', row, iteration, dataformats='HWC')

    def close(self) -> None:
        """Write what is pending."""
        if self._writer:
            self._writer.close()
