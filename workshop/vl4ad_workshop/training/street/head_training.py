# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the street head on features that were computed before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F
from tqdm import tqdm

from vl4ad_workshop.street.classifier import CHANNELS, STRIDES
from vl4ad_workshop.street.street_head import StreetHead
from vl4ad_workshop.street.street_words import OBJECT, WORDS
from vl4ad_workshop.training.street.features import FeatureSet
from vl4ad_workshop.training.street.recipe import StreetRecipe
from vl4ad_workshop.training.street.road_picture import IGNORE

_CELL = STRIDES[-1]
_STATISTICS_PICTURES = 60  # of each labelled part, for the mean and deviation of the channels
_LEAST_DEVIATION = 1e-3
LABELLED = ('streets', 'scenes')
"""The parts whose labels decide how rare a word is; pasted objects are as frequent as we like."""


def train_head(parts: Mapping[str, FeatureSet], recipe: StreetRecipe, seed: int) -> StreetHead:
    """
    Train a head.

    The result depends only on the arguments and the number of PyTorch's threads.

    :param parts: features by the names in `recipe.batch`; at least one part with labels.
    :param recipe: all numbers.
    :param seed: of weights and batches.
    :return: the head in evaluation mode.
    :raises ValueError: if no part has labels.
    """
    parts = {name: parts[name] for name in recipe.batch if len(parts.get(name, ()))}
    labelled = [parts[name] for name in LABELLED if name in parts] or list(parts.values())
    counts = sum((p.label_counts(len(WORDS)) for p in labelled), np.zeros(len(WORDS), int))
    if not counts.sum():
        raise ValueError('no picture has a labelled pixel; the head cannot be trained')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        head = StreetHead(len(WORDS), recipe.head_width, *_statistics(labelled))
        weight = word_weights(counts, recipe.rarest_weight)
        optimiser = torch.optim.AdamW(head.parameters(), recipe.learning_rate,
                                      weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate,
                                                       total_steps=recipe.steps)
        head.train()
        progress = tqdm(range(recipe.steps), 'training the head')
        for step in progress:
            loss = torch.zeros(())
            for name, part in parts.items():
                maps, labels, clean = draw_batch(part, recipe.batch[name], recipe.crop, rng)
                loss = loss + part_loss(head(maps), labels, clean, weight,
                                        recipe.part_weight[name], recipe)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), recipe.clip_norm)
            optimiser.step()
            schedule.step()
            if step % 50 == 0:
                progress.set_postfix(loss=f'{float(loss.detach()):.3f}')
    return head.eval()


def part_loss(logits: Tensor, labels: Tensor, clean: bool, weight: Tensor, part_weight: float,
              recipe: StreetRecipe) -> Tensor:
    """
    Return the loss of the crops of one part.

    It is the weighted cross entropy of the labelled cells, and in clean pictures the penalty
    -log(1 - p(object)) on all cells: bright asphalt looks like an object otherwise.

    :param logits: (B, words, h, w).
    :param labels: int64 (B, h, w).
    :param clean: whether the pictures certainly show no unusual object.
    :param weight: (words,) of the words.
    :param part_weight: factor of the cross entropy.
    :param recipe: weights of the penalty.
    """
    loss = logits.new_zeros(())
    if (labels != IGNORE).any():
        loss = part_weight * F.cross_entropy(logits, labels, weight=weight, ignore_index=IGNORE)
    if clean:
        index = WORDS.index(OBJECT)
        share = logits.softmax(1)[:, index].clamp(max=0.999)
        rarity = weight[index].clamp(max=recipe.clean_most)
        loss = loss - recipe.clean_weight * rarity * torch.log1p(-share).mean()
    return loss


def word_weights(counts: np.ndarray, rarest: float) -> Tensor:
    """
    Return the weight of each word: the root of its rarity, with a mean of 1 over all cells.

    :param counts: number of labelled cells of each word.
    :param rarest: largest weight before the mean is made 1.
    """
    count = torch.from_numpy(counts).float() + 1
    weight = (count.sum() / count).sqrt().clamp(max=rarest)
    return weight / (weight * count).sum() * count.sum()


def draw_batch(part: FeatureSet, size: int, crop: tuple[int, int],
               rng: np.random.Generator) -> tuple[list[Tensor], Tensor, bool]:
    """
    Draw crops of pictures of one size, all of them mirrored half of the time.

    :param part: where they come from.
    :param size: number of crops.
    :param crop: rows and columns in cells of 32 pixels; smaller pictures are taken whole.
    :param rng: draws pictures and places.
    :return: four maps float32 (size, c, h, w), labels int64 (size, h, w) at stride 4, and whether
        all pictures are clean.
    """
    sizes = part.sizes
    first = sizes[rng.integers(len(sizes))]
    same = [i for i, other in enumerate(sizes) if other == first]
    rows, columns = (min(n // _CELL, most) for n, most in zip(first, crop))
    chosen = [same[i] for i in rng.integers(len(same), size=size)]
    maps: list[list[np.ndarray]] = [[] for _ in CHANNELS]
    labels = []
    for index in chosen:
        top, left = (int(rng.integers(n // _CELL - kept + 1))
                     for n, kept in zip(first, (rows, columns)))

        def cut(values: np.ndarray, stride: int) -> np.ndarray:
            cells = _CELL // stride
            return values[..., top * cells:(top + rows) * cells,
                          left * cells:(left + columns) * cells]

        for kept, values, stride in zip(maps, part.maps(index), STRIDES):
            kept.append(cut(values, stride).astype(np.float32))
        labels.append(cut(part.labels(index), STRIDES[0]).astype(np.int64))
    tensors = [torch.from_numpy(np.stack(kept)) for kept in maps]
    truth = torch.from_numpy(np.stack(labels))
    if rng.random() < 0.5:
        tensors, truth = [m.flip(3) for m in tensors], truth.flip(2)
    return tensors, truth, all(part.is_clean(i) for i in chosen)


def _statistics(parts: list[FeatureSet]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the mean and the standard deviation of each channel of each map, over a sample."""
    sample = [part.maps(i) for part in parts
              for i in range(0, len(part), max(1, len(part) // _STATISTICS_PICTURES))]
    means, deviations = [], []
    for level in range(len(CHANNELS)):
        values = np.concatenate([maps[level].reshape(CHANNELS[level], -1).astype(np.float32)
                                 for maps in sample], axis=1)
        means.append(torch.from_numpy(values.mean(axis=1)))
        deviations.append(torch.from_numpy(values.std(axis=1) + _LEAST_DEVIATION))
    return means, deviations
