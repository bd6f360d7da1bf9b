# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One process or many: what `torchrun` started, and what they tell each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os

import torch
from torch import distributed, Tensor


@dataclass(frozen=True)
class Processes:
    """
    This process among all.

    :ivar rank: 0 writes files and talks. :ivar count: of all machines together.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and talks for all."""
        return self.rank == 0

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean of a tensor over processes."""
        return self.sum(x) / self.count

    def sum(self, x: Tensor) -> Tensor:
        """Return the sum of a tensor over processes."""
        if self.count > 1:
            x = x.clone()
            distributed.all_reduce(x)
        return x

    def wait(self) -> None:
        """Wait for all."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """
    Join the other processes where `torchrun` started several; alone otherwise.

    :param device: ``cuda``: each process takes the one of its local rank; or ``cpu``.
    """
    count, local = int(os.environ.get('WORLD_SIZE', 1)), int(os.environ.get('LOCAL_RANK', 0))
    where = torch.device(device, local) if device == 'cuda' and count > 1 else torch.device(device)
    if where.type == 'cuda':
        torch.cuda.set_device(where)
    if count == 1:
        yield Processes(0, 1, where)
        return
    distributed.init_process_group('nccl' if where.type == 'cuda' else 'gloo')
    try:
        yield Processes(distributed.get_rank(), count, where)
    finally:
        distributed.destroy_process_group()
