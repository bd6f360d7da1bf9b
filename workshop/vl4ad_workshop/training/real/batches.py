# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches: which pictures an iteration sees depends on seed and iteration alone."""

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
    Augmented pictures and the segments that are learnt from.

    :ivar images: (B, H, W, 3) uint8. :ivar segments: (B, H, W) int16.
    :ivar picture, segment, kind: (t,) int64: a target's picture, its value in `segments` and
        its class.
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
    Endless augmented samples by number, in the order of one shuffle of the data after another.

    Crowds and unlabelled pixels make no target. A segment that the crop has lost keeps its
    target, with an empty mask: FC-CLIP's mapper for COCO panoptic does so.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig) -> None:
        self._dataset, self._config = dataset, config
        self._epoch, self._order = -1, np.zeros(0, int)

    def picture(self, number: int) -> int:
        """Return the data set's index of a sample."""
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
    Return this process' share of the batches of iterations `start` and on.

    :raises ValueError: if the batch cannot be shared equally.
    """
    batch = config.optimiser.batch
    if batch % processes.count:
        raise ValueError(f'optimiser.batch is {batch} for {processes.count} processes; set it to '
                         'a multiple of these')
    share = batch // processes.count
    numbers = [range(first, first + share) for first in range(
        start * batch + processes.rank * share, config.optimiser.iterations * batch, batch)]
    return iter(DataLoader(
        Samples(dataset, config), batch_sampler=numbers, collate_fn=_collate,
        num_workers=config.run.workers, worker_init_fn=_start_worker))


def _start_worker(number: int) -> None:
    # A signal to all processes must leave the reading ones to the training one, which still has
    # an iteration to finish and to save.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.SIG_IGN)
    # Workers are as many as there are cores to use already.
    cv2.setNumThreads(0)


def _collate(samples: list[tuple[Tensor, Tensor, Labelled, str]]) -> Batch:
    rows = [(b, s, kind) for b, (_, _, picture, _) in enumerate(samples)
            for s, (kind, crowd) in enumerate(zip(picture.kinds, picture.crowd)) if not crowd]
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    return Batch(torch.stack([s[0] for s in samples]), torch.stack([s[1] for s in samples]),
                 table[:, 0], table[:, 1], table[:, 2], tuple(s[3] for s in samples))
