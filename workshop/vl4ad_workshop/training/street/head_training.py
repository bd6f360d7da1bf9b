# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the street head on features that were computed before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
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
_THINGS = tuple(WORDS.index(word) for word in ('person', 'car', 'truck', 'bicycle', OBJECT))
LABELLED = ('streets', 'scenes')
"""The parts whose labels decide how rare a word is; pasted objects are as frequent as we like."""


@dataclass(frozen=True, eq=False)
class Batch:
    """
    Crops of the features and labels of some pictures.

    :ivar maps: four tensors float32 (B, c, h, w).
    :ivar labels: int64 (B, h, w) at stride 4.
    :ivar weight: float32 (B, h, w), of the cells.
    :ivar clean: bool (B,), whether a picture certainly shows no unusual object without a label.
    """

    maps: Sequence[Tensor]
    labels: Tensor
    weight: Tensor
    clean: Tensor


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
    parts = {name: parts[name] for name in recipe.batch
             if len(parts.get(name, ())) and large_enough(parts[name], recipe.crop)}
    labelled = [parts[name] for name in LABELLED if name in parts] or list(parts.values())
    counts = sum((p.label_counts(len(WORDS)) for p in labelled), np.zeros(len(WORDS), int))
    if not counts.sum():
        raise ValueError('no picture has a labelled pixel; the head cannot be trained')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        head = StreetHead(len(WORDS), recipe.head_width, *_statistics(labelled))
        # Twice as fast on a CPU, because PyTorch's separable convolutions are slow otherwise.
        head.to(memory_format=torch.channels_last)
        weight = word_weights(counts, recipe.rarest_weight)
        optimiser = torch.optim.AdamW(head.parameters(), recipe.learning_rate,
                                      weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate,
                                                       total_steps=recipe.steps)
        head.train()
        progress = tqdm(range(recipe.steps), 'training the head')
        for step in progress:
            drawn = {name: draw_batch(part, recipe.batch[name], recipe.crop, rng, recipe)
                     for name, part in parts.items()}
            maps = [torch.cat(levels).contiguous(memory_format=torch.channels_last)
                    for levels in zip(*(batch.maps for batch in drawn.values()))]
            logits = head(maps).split([len(batch.labels) for batch in drawn.values()])
            loss = sum((part_loss(of_part, drawn[name], weight, recipe.part_weight[name], recipe)
                        for name, of_part in zip(drawn, logits)), torch.zeros(()))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), recipe.clip_norm)
            optimiser.step()
            schedule.step()
            if step % 50 == 0:
                progress.set_postfix(loss=f'{float(loss.detach()):.3f}')
    return head.eval()


def part_loss(logits: Tensor, batch: Batch, weight: Tensor, part_weight: float,
              recipe: StreetRecipe) -> Tensor:
    """
    Return the loss of the crops of one part.

    It is the weighted cross entropy of the labelled cells, and in clean pictures the penalty
    -log(1 - p(object)) on all cells but those of labelled objects: bright asphalt and what stands
    beside the road look like objects otherwise.

    :param logits: (B, words, h, w).
    :param batch: the crops.
    :param weight: (words,) of the words.
    :param part_weight: factor of the cross entropy.
    :param recipe: weights of the penalty.
    """
    loss = logits.new_zeros(())
    labels = batch.labels
    if (labels != IGNORE).any():
        entropy = F.cross_entropy(logits, labels, weight=weight, ignore_index=IGNORE,
                                  reduction='none')
        share = weight[labels.clamp(min=0)] * (labels != IGNORE) * batch.weight
        loss = part_weight * (entropy * batch.weight).sum() / share.sum()
    index = WORDS.index(OBJECT)
    is_normal = batch.clean[:, None, None] & (labels != index)
    if is_normal.any():
        is_object = logits.softmax(1)[:, index].clamp(max=0.999)
        rarity = weight[index].clamp(max=recipe.clean_most)
        penalty = torch.log1p(-is_object[is_normal]).mean()
        loss = loss - recipe.clean_weight * rarity * penalty * batch.clean.float().mean()
    return loss


def small_object_weight(labels: np.ndarray, recipe: StreetRecipe) -> np.ndarray:
    """
    Return a weight for each cell, above 1 in small things: an error there is a missed object.

    :param labels: int8 (h, w), indices into the street words.
    :param recipe: from which area on, and how much.
    :return: float32 (h, w): the root of `small_area` over the area of the connected cells of the
        same word, 1 to `small_weight`; 1 in cells of words that are not things.
    """
    weight = np.ones(labels.shape, np.float32)
    for index in _THINGS:
        count, parts, sizes, _ = cv2.connectedComponentsWithStats(
            (labels == index).astype(np.uint8), connectivity=8)
        for part in range(1, count):
            area = sizes[part, cv2.CC_STAT_AREA]
            weight[parts == part] = np.clip(np.sqrt(recipe.small_area / area), 1,
                                            recipe.small_weight)
    return weight


def word_weights(counts: np.ndarray, rarest: float) -> Tensor:
    """
    Return the weight of each word: the root of its rarity, with a mean of 1 over all cells.

    :param counts: number of labelled cells of each word.
    :param rarest: largest weight before the mean is made 1.
    """
    count = torch.from_numpy(counts).float() + 1
    weight = (count.sum() / count).sqrt().clamp(max=rarest)
    return weight / (weight * count).sum() * count.sum()


def large_enough(part: FeatureSet, crop: tuple[int, int]) -> list[int]:
    """Return the numbers of the pictures of a part that are at least as large as a crop."""
    return [i for i, size in enumerate(part.sizes)
            if all(n // _CELL >= kept for n, kept in zip(size, crop))]


def draw_batch(part: FeatureSet, size: int, crop: tuple[int, int], rng: np.random.Generator,
               recipe: StreetRecipe) -> Batch:
    """
    Draw crops, all of them mirrored half of the time.

    :param part: where they come from; at least one picture is large enough.
    :param size: number of crops.
    :param crop: rows and columns in cells of 32 pixels.
    :param rng: draws pictures and places.
    :param recipe: weight of small objects.
    """
    usable = large_enough(part, crop)
    chosen = [usable[i] for i in rng.integers(len(usable), size=size)]
    maps: list[list[np.ndarray]] = [[] for _ in CHANNELS]
    labels, weights = [], []
    for index in chosen:
        top, left = (int(rng.integers(n // _CELL - kept + 1))
                     for n, kept in zip(part.sizes[index], crop))

        def cut(values: np.ndarray, stride: int) -> np.ndarray:
            cells = _CELL // stride
            return values[..., top * cells:(top + crop[0]) * cells,
                          left * cells:(left + crop[1]) * cells]

        for kept, values, stride in zip(maps, part.maps(index), STRIDES):
            kept.append(cut(values, stride).astype(np.float32))
        whole = part.labels(index)
        labels.append(cut(whole, STRIDES[0]).astype(np.int64))
        weights.append(cut(small_object_weight(whole, recipe), STRIDES[0]))
    tensors = [torch.from_numpy(np.stack(kept)) for kept in maps]
    truth, weight = torch.from_numpy(np.stack(labels)), torch.from_numpy(np.stack(weights))
    if rng.random() < 0.5:
        tensors = [m.flip(3) for m in tensors]
        truth, weight = truth.flip(2), weight.flip(2)
    return Batch(tensors, truth, weight, torch.tensor([part.is_clean(i) for i in chosen]))


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
