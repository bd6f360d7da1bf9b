# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Communication between the processes that `torchrun` started."""

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
    This process and the number of all processes.

    :ivar rank: number of this process, from 0; process 0 writes files and prints.
    :ivar count: number of processes on all machines together.
    :ivar device: device of this process.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
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
        """Wait until all processes have arrived here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """
    Join the other processes if `torchrun` started several, and leave them at the end.

    :param device: ``cpu`` or ``cuda``; each of several processes takes the GPU of its local rank.
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
