# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""First step: train the image tower to classify kinds, with a free vector for each kind."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.scenes.kinds import kinds_in
from vl4ad_workshop.training.drawn.loop import half, load_finished, optimise
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.drawn.recipe import Recipe
from vl4ad_workshop.training.drawn.segments import cut, SegmentedPictures, SegmentList

# Number of batches, of crops and of pictures each, from which batch norm statistics are taken.
STATISTICS = 40


def train_image_tower(network: Vl4ad, recipe: Recipe, work: Path, device: torch.device) -> None:
    """
    Train ``network.backbone.clip_model.visual``.

    A batch holds crops, which teach whole-image embeddings at one scale, and whole pictures,
    whose last features are pooled under each segment as in the decoder. Words are learned
    afterwards (`text_stage`), because training both towers at once takes twice the time per step
    and changes the targets.

    :param network: changed in place.
    :param recipe: sizes, steps and rates.
    :param work: folder of pictures and checkpoints; a stopped training continues there.
    :param device: where to train.
    """
    stage = recipe.image
    names = [k.name for g in stage.groups for k in kinds_in(g)]
    visual = network.backbone.clip_model.visual
    if load_finished({'visual': visual}, stage, work / 'image.pt'):
        return
    pictures = PictureSet.draw(work / 'pictures-clip', stage.pictures, stage.seed, recipe.size,
                               stage.groups, crowded=stage.crowded)
    segments = SegmentList.of(pictures, names)
    by_kind = [np.flatnonzero(segments.kind == k) for k in range(len(names))]
    drawn = np.array([k for k, r in enumerate(by_kind) if len(r)])
    if len(drawn) < len(names):
        print(f'no segment of {sorted(set(names) - {names[k] for k in drawn})} in '
              f'{len(pictures)} pictures; their words are not learned')
    count = np.bincount(segments.kind, minlength=len(names))
    weight = torch.from_numpy(np.sqrt(count.mean() / np.maximum(count, 1))).float().to(device)
    visual.requires_grad_(True)
    torch.manual_seed(stage.seed)
    prototypes = nn.Linear(network.config.embed_dim, len(names), bias=False).to(device)
    scale = nn.ParameterList([torch.tensor(math.log(10.0), device=device)])
    norms = [m for m in visual.modules() if isinstance(m, nn.BatchNorm2d)]
    frozen_from = round(stage.steps * (1 - recipe.frozen_norms))

    def features(images: np.ndarray) -> Tensor:
        x = network.normalise(torch.from_numpy(images).to(device))
        with half(device):
            # Convolutions in half precision are faster with channels last.
            return network.backbone.features(
                x.contiguous(memory_format=torch.channels_last))[-1].float()

    def crops_at(rng: np.random.Generator) -> tuple[np.ndarray, Tensor]:
        # Every kind once before any kind twice, so that common kinds do not dominate.
        chosen = [rng.choice(by_kind[k])
                  for k in np.resize(rng.permutation(drawn), recipe.clip_crops)]
        crops = np.stack([cut(pictures, segments, r, recipe.crop_size, rng) for r in chosen])
        return crops, torch.from_numpy(segments.kind[chosen]).long().to(device)

    def pictures_at(rng: np.random.Generator) -> SegmentedPictures:
        return SegmentedPictures.of(
            pictures, rng.choice(len(pictures), recipe.clip_pictures, replace=False), names, rng)

    def logits(embedding: Tensor) -> Tensor:
        cosine = F.normalize(embedding, dim=-1) @ F.normalize(prototypes.weight, dim=-1).t()
        return cosine * scale[0].exp().clamp(max=100.0)

    def loss_at(step: int, part: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([stage.seed, step, part])
        crops, kind = crops_at(rng)
        whole = network.backbone.embed_pooled(features(crops).mean((2, 3))[None])[0]
        batch = pictures_at(rng)
        pooled = batch.embed(network, features(batch.images))
        return {'crop': F.cross_entropy(logits(whole), kind),
                'dense': F.cross_entropy(logits(pooled), batch.kind.to(device), weight)}

    def prepare(step: int) -> None:
        # Crops and pictures have different statistics, so running averages fit neither. The
        # statistics are measured once and frozen for the last steps.
        visual.train(step < frozen_from)
        for norm in norms:
            norm.momentum = 0.0
        if step == frozen_from:
            visual.train()
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
            with torch.no_grad():
                for i in range(STATISTICS):
                    rng = np.random.default_rng([stage.seed, i])
                    features(crops_at(rng)[0])
                    features(pictures_at(rng).images)
            visual.eval()

    optimise({'visual': visual, 'prototypes': prototypes, 'scale': scale}, loss_at, stage,
             work / 'image.pt', prepare)
    visual.requires_grad_(False).eval()
