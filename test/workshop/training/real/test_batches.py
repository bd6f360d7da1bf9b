# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches are a function of seed and iteration, however many processes share them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from vl4ad_workshop.training.real.batches import batches, Samples  # noqa: E402
from vl4ad_workshop.training.real.config import (  # noqa: E402
    AugmentationConfig, OptimiserConfig, RunConfig, TrainingConfig)
from vl4ad_workshop.training.real.distribution import Processes  # noqa: E402
from vl4ad_workshop.training.real.labelled import Labelled  # noqa: E402

CPU = torch.device('cpu')
CONFIG = TrainingConfig(
    augmentation=AugmentationConfig(size=(32, 32)), run=RunConfig(workers=0),
    optimiser=OptimiserConfig(batch=4, iterations=5))


class Greys:
    """Five pictures of one grey each: a segment, a crowd, and a segment outside the crop."""

    def __len__(self):
        return 5

    def name(self, index):
        return str(Path('pictures') / f'{index}.jpg')

    def __getitem__(self, index):
        segments = np.full((8, 8), -1, np.int16)
        segments[:4], segments[4:, :4] = 0, 1
        return Labelled(np.full((8, 8, 3), index, np.uint8), segments, (index, 9, 3),
                        (False, True, False))


def test_a_restart_goes_on_where_it_would_have():
    whole = list(batches(Greys(), CONFIG, Processes(0, 1, CPU), 0))
    rest = list(batches(Greys(), CONFIG, Processes(0, 1, CPU), 3))
    assert len(whole) == 5 and len(rest) == 2
    for a, b in zip(whole[3:], rest):
        assert a.names == b.names
        assert torch.equal(a.images, b.images) and torch.equal(a.segments, b.segments)


def test_processes_share_each_batch():
    whole = list(batches(Greys(), CONFIG, Processes(0, 1, CPU), 0))
    parts = [list(batches(Greys(), CONFIG, Processes(r, 2, CPU), 0)) for r in range(2)]
    for a, b, c in zip(whole, *parts):
        assert a.names == b.names + c.names
        assert torch.equal(a.images, torch.cat([b.images, c.images]))
        assert a.kind.tolist() == b.kind.tolist() + c.kind.tolist()
    with pytest.raises(ValueError, match='optimiser.batch is 4 for 3 processes'):
        batches(Greys(), CONFIG, Processes(0, 3, CPU), 0)


def test_every_picture_comes_once_in_a_shuffle_and_seeds_differ():
    samples = Samples(Greys(), CONFIG)
    order = [samples.picture(n) for n in range(15)]
    shuffles = [order[:5], order[5:10], order[10:]]
    assert all(sorted(s) == list(range(5)) for s in shuffles)
    assert len({tuple(s) for s in shuffles}) > 1
    other = Samples(Greys(), replace(CONFIG, seed=1))
    assert order != [other.picture(n) for n in range(15)]


def test_crowds_are_no_targets_and_lost_segments_are_empty_ones():
    batch = next(batches(Greys(), CONFIG, Processes(0, 1, CPU), 0))
    images, targets = batch.to(CPU)
    assert images.shape == (4, 32, 32, 3) and images.dtype == torch.uint8
    assert targets.picture.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert batch.segment.tolist() == [0, 2] * 4
    shown = [int(Path(n).stem) for n in batch.names]
    assert targets.kind.tolist() == [k for i in shown for k in (i, 3)]
    assert targets.masks.shape == (8, 32, 32) and targets.masks.dtype == torch.bool
    assert targets.masks[::2].flatten(1).any(1).all() and not targets.masks[1::2].any()
    assert targets.valid is None


def test_workers_read_the_same(tmp_path):
    alone = next(batches(Greys(), CONFIG, Processes(0, 1, CPU), 2))
    helped = next(batches(Greys(), replace(CONFIG, run=RunConfig(workers=1)),
                          Processes(0, 1, CPU), 2))
    assert alone.names == helped.names and torch.equal(alone.images, helped.images)
