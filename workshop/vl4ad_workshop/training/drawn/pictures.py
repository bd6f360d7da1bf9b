# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A fixed set of drawn pictures on disk, with the kind of every segment."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
import json
import multiprocessing
import os
from pathlib import Path
import shutil

import numpy as np
from tqdm import tqdm

from vl4ad_workshop.scenes.still import draw_still


@dataclass(frozen=True)
class PictureSet:
    """
    Pictures and their segments.

    :ivar images: (n, H, W, 3) uint8 RGB.
    :ivar segments: (n, H, W) int16, segment id per pixel, -1 = ignore.
    :ivar kinds: for each picture the kind name of each segment id.
    """

    images: np.ndarray
    segments: np.ndarray
    kinds: list[list[str]]

    @staticmethod
    def draw(directory: Path, count: int, seed: int, size: tuple[int, int],
             groups: Sequence[str], split: str = 'train',
             crowded: float = 0.0, made_up: float = 0.0) -> PictureSet:
        """
        Open the set in `directory`, which is drawn first if it is not there.

        :param directory: folder of the set.
        :param count: number of pictures.
        :param seed: the same seed gives the same pictures.
        :param size: (height, width) in pixels.
        :param groups: groups of kinds that are drawn.
        :param split: 'train', 'validation' or 'test'.
        :param crowded: share 0..1 of pictures that are yards full of objects.
        :param made_up: share 0..1 of objects that belong to no kind.
        """
        recipe = {'count': count, 'seed': seed, 'size': list(size), 'groups': list(groups),
                  'split': split, 'crowded': crowded, 'made_up': made_up}
        marker = directory / 'pictures.json'
        if not marker.exists() or json.loads(marker.read_text())['recipe'] != recipe:
            _draw_all(directory, recipe)
        return PictureSet(
            np.load(directory / 'images.npy', mmap_mode='r'),
            np.load(directory / 'segments.npy', mmap_mode='r'),
            json.loads(marker.read_text())['kinds'])

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.images)


def cell_cover(segments: np.ndarray, count: int, stride: int) -> np.ndarray:
    """
    Return the share of each cell that each segment covers.

    :param segments: (H, W) int16 ids, -1 = ignore; H and W multiples of `stride`.
    :param count: number of segments.
    :param stride: side of a cell in pixels.
    :return: (count + 1, H / stride * W / stride) float32; the last row is the ignored area.
    """
    height, width = segments.shape
    columns = width // stride
    cells = height // stride * columns
    cell = np.arange(height)[:, None] // stride * columns + np.arange(width) // stride
    ids = segments.astype(np.int64)
    ids[ids < 0] = count
    # This needs one pass over the pixels; a mask for each segment would need `count` passes.
    pixels = np.bincount((ids * cells + cell).ravel(), minlength=(count + 1) * cells)
    return (pixels.reshape(count + 1, cells) / stride ** 2).astype(np.float32)


def _draw_one(index: int, recipe: dict) -> tuple[np.ndarray, np.ndarray, list[str]]:
    # A picture depends on its index only, so the set does not depend on the number of processes.
    frame = draw_still(np.random.default_rng([recipe['seed'], index]), tuple(recipe['size']),
                       groups=tuple(recipe['groups']), split=recipe['split'],
                       crowded=recipe['crowded'], made_up=recipe['made_up'])
    return frame.image, frame.segments.astype(np.int16), list(frame.kinds)


def _draw_all(directory: Path, recipe: dict) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    count, (height, width) = recipe['count'], recipe['size']
    images = np.lib.format.open_memmap(
        directory / 'images.npy', 'w+', np.uint8, (count, height, width, 3))
    segments = np.lib.format.open_memmap(
        directory / 'segments.npy', 'w+', np.int16, (count, height, width))
    kinds = []
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context('spawn')) as pool:
        drawn = pool.map(partial(_draw_one, recipe=recipe), range(count), chunksize=16)
        for i, (image, segment, names) in enumerate(tqdm(drawn, f'draw {directory.name}', count)):
            images[i], segments[i] = image, segment
            kinds.append(names)
    images.flush()
    segments.flush()
    # Written last: a set without this file is incomplete and is drawn again.
    (directory / 'pictures.json').write_text(json.dumps({'recipe': recipe, 'kinds': kinds}))
