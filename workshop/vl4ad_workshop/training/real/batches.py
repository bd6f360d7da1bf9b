# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches of pictures, which depend on the seed and the iteration only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import signal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vl4ad_workshop.training.losses import Targets
from vl4ad_workshop.training.real.config import TrainingConfig
from vl4ad_workshop.training.real.distribution import Processes
from vl4ad_workshop.training.real.jitter import jitter
from vl4ad_workshop.training.real.labelled import Dataset, Labelled


@dataclass(frozen=True)
class Batch:
    """
    Augmented pictures and their segments.

    :ivar images: (B, H, W, 3) uint8 RGB.
    :ivar segments: (B, H, W) int16, number of the segment of each pixel, -1 without a label.
    :ivar picture: (t,) int64, index of the picture of each target.
    :ivar segment: (t,) int64, its value in `segments`.
    :ivar kind: (t,) int64, its class.
    :ivar names: paths of the pictures.
    """

    images: Tensor
    segments: Tensor
    picture: Tensor
    segment: Tensor
    kind: Tensor
    names: tuple[str, ...]

    def to(self, device: torch.device) -> tuple[Tensor, Targets]:
        """Return the pictures and their targets on a device, masks (t, H, W) bool."""
        images, segments, picture, segment, kind = (
            x.to(device, non_blocking=True)
            for x in (self.images, self.segments, self.picture, self.segment, self.kind))
        return images, Targets(picture, kind, segments[picture] == segment[:, None, None])


class Samples:
    """
    An endless sequence of augmented samples; each epoch has its own random order.

    Crowds and unlabelled pixels produce no target. A segment outside of the crop keeps its target
    with an empty mask, as in FC-CLIP's mapper for COCO panoptic.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig) -> None:
        self._dataset, self._config = dataset, config
        self._epoch, self._order = -1, np.zeros(0, int)

    def picture(self, number: int) -> int:
        """Return the index of a sample's picture in the data set."""
        epoch, place = divmod(number, len(self._dataset))
        if epoch != self._epoch:
            rng = np.random.default_rng([self._config.seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self._dataset))
        return int(self._order[place])

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Labelled, str]:
        """Read and augment sample `number`."""
        index = self.picture(number)
        picture = self._dataset[index]
        rng = np.random.default_rng([self._config.seed, 1, number])
        image, segments = jitter(picture.image, picture.segments, self._config.augmentation, rng)
        return image, segments, picture, self._dataset.name(index)


def batches(dataset: Dataset, config: TrainingConfig, processes: Processes,
            start: int) -> Iterator[Batch]:
    """
    Return this process's share of the batches from iteration `start` on.

    :raises ValueError: if the batch cannot be divided equally among the processes.
    """
    batch = config.optimiser.batch
    if batch % processes.count:
        raise ValueError(f'optimiser.batch is {batch} for {processes.count} processes; set it to '
                         'a multiple of their number')
    share = batch // processes.count
    numbers = [range(first, first + share) for first in range(
        start * batch + processes.rank * share, config.optimiser.iterations * batch, batch)]
    return iter(DataLoader(
        Samples(dataset, config), batch_sampler=numbers, collate_fn=_collate,
        num_workers=config.run.workers, worker_init_fn=_start_worker))


def _start_worker(number: int) -> None:
    # Workers ignore signals, because the training process still has to finish and save its
    # iteration, and stops them afterwards.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.SIG_IGN)
    # There is already one worker for each core in use.
    cv2.setNumThreads(0)


def _collate(samples: list[tuple[Tensor, Tensor, Labelled, str]]) -> Batch:
    rows = [(b, s, kind) for b, (_, _, picture, _) in enumerate(samples)
            for s, (kind, crowd) in enumerate(zip(picture.kinds, picture.crowd)) if not crowd]
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    return Batch(torch.stack([s[0] for s in samples]), torch.stack([s[1] for s in samples]),
                 table[:, 0], table[:, 1], table[:, 2], tuple(s[3] for s in samples))
