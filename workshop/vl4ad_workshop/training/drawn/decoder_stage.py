# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Third step: with CLIP frozen, train the pixel and mask decoders on masks named by text."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
import json
from pathlib import Path
import zlib

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F
from tqdm import tqdm

from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in
from vl4ad_workshop.scenes.made_up import MADE_UP
from vl4ad_workshop.training.drawn.loop import load_finished, optimise
from vl4ad_workshop.training.drawn.pictures import cell_cover, PictureSet
from vl4ad_workshop.training.drawn.recipe import Recipe
from vl4ad_workshop.training.losses import (
    deep_losses, match, NAMELESS, semantic_loss, Targets, Weights)
from vl4ad_workshop.training.texts import class_texts

STRIDE = 4
# Of the tiny trunk's stages.
STRIDES = (4, 8, 16, 16)


def train_decoder(network: Vl4ad, tokenizer: Tokenizer, recipe: Recipe, work: Path,
                  device: torch.device) -> None:
    """
    Train everything but the frozen CLIP on the masks of known and everyday kinds.

    :param network: changed in place.
    :param tokenizer: of the bundle.
    :param recipe: sizes, steps and rates.
    :param work: folder of pictures, features and checkpoints; a stopped training continues there.
    :param device: where to train.
    """
    stage = recipe.decoder
    modules = {'head': network.sem_seg_head, 'void': network.void_embedding}
    if load_finished(modules, stage, work / 'decoder.pt'):
        return
    names = [k.name for g in stage.groups for k in kinds_in(g)]
    pictures = PictureSet.draw(work / 'pictures-decoder', stage.pictures, stage.seed, recipe.size,
                               stage.groups, crowded=stage.crowded, made_up=stage.made_up)
    features = FeatureSet.compute(network, pictures, work / 'features', device)
    texts = kind_texts(network, tokenizer, names, device)
    weights = Weights(recipe.class_loss, recipe.mask_loss, recipe.dice_loss, recipe.void_weight,
                      recipe.uncertain)
    predictor = network.sem_seg_head.predictor

    def loss_at(step: int, part: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([stage.seed, step, part])
        batch = np.sort(rng.choice(len(pictures), recipe.decoder_pictures, replace=False))
        targets = segment_targets(pictures, batch, names, network.config.queries, device,
                                  recipe.one_mask)
        hidden = torch.from_numpy(rng.random(len(names)) < recipe.hidden_kinds).to(device)
        targets = replace(targets, hidden=hidden)
        levels = features.batch(batch, device)
        proposals = predictor.all_proposals(*network.decode(levels))
        heads = [(torch.cat(network.classify(p.class_embedding, texts), -1),
                  p.mask_logits.flatten(2)) for p in proposals]
        # All heads use the matching of the last one, which converges earlier than one per head.
        pairs = picture, query, target = match(*heads[-1], targets, weights)
        terms = deep_losses(heads, targets, weights, pairs=pairs)
        terms['semantic'] = recipe.semantic_loss * semantic_loss(*heads[-1], targets)
        terms['likeness'] = recipe.likeness_loss * likeness_loss(
            proposals[-1].class_embedding[picture, query],
            embed_targets(network, levels, targets)[target])
        return terms

    optimise(modules, loss_at, stage, work / 'decoder.pt')


@torch.no_grad()
def embed_targets(network: Vl4ad, levels: tuple[Tensor, ...], targets: Targets) -> Tensor:
    """Return CLIP's embeddings (t, D) of the true masks, (t, h * w) at stride 4."""
    dense = levels[-1]
    height, width = levels[0].shape[2:]
    share = F.adaptive_avg_pool2d(
        targets.masks.unflatten(1, (height, width)), dense.shape[2:]).flatten(1)
    share = share / share.sum(1, keepdim=True)
    # Pooling over all pictures and then selecting is faster than copying features per target.
    pooled = torch.matmul(share, dense.flatten(2).transpose(1, 2))[
        targets.picture, torch.arange(len(share), device=share.device)]
    return network.backbone.embed_pooled(pooled[None])[0]


def likeness_loss(embedding: Tensor, clip: Tensor) -> Tensor:
    """
    Return 1 - cosine of the class embeddings (m, D) of matched queries and CLIP's own.

    The texts of the training kinds alone would leave the embeddings of all other kinds
    undetermined, and CLIP knows more words than have masks. Not part of FC-CLIP.
    """
    return 1 - F.cosine_similarity(embedding, clip, dim=-1).mean()


def kind_texts(network: Vl4ad, tokenizer: Tokenizer, names: Sequence[str],
               device: torch.device) -> Texts:
    """Embed all words of the kinds, with one class for each kind."""
    return class_texts(network, [KINDS[n].words for n in names], tokenizer, device)


def segment_targets(pictures: PictureSet, batch: np.ndarray, names: Sequence[str], most: int,
                    device: torch.device, one_mask: Container[str] = ()) -> Targets:
    """
    Return targets at stride 4 for the `most` largest segments of each picture.

    :param one_mask: see `Recipe.one_mask`.
    """
    index = {MADE_UP: NAMELESS, **{name: i for i, name in enumerate(names)}}
    owners, kinds, masks, valid = [], [], [], []
    for b, i in enumerate(batch):
        *cover, ignored = torch.from_numpy(
            cell_cover(pictures.segments[i], len(pictures.kinds[i]), STRIDE))
        valid.append(1 - ignored)
        found: dict[str | int, tuple[str, Tensor]] = {}
        for s, (kind, mask) in enumerate(zip(pictures.kinds[i], cover)):
            key = kind if kind in one_mask else s
            found[key] = kind, found[key][1] + mask if key in found else mask
        largest = sorted(found.values(), key=lambda segment: -segment[1].sum())[:most]
        for kind, mask in largest:
            owners.append(b)
            kinds.append(index[kind])
            masks.append(mask)
    return Targets(torch.tensor(owners, device=device), torch.tensor(kinds, device=device),
                   torch.stack(masks).to(device), torch.stack(valid).to(device))


@dataclass(frozen=True)
class FeatureSet:
    """The frozen CLIP's features of a picture set, computed once: four (n, C, h, w) float16."""

    levels: tuple[np.ndarray, ...]

    @staticmethod
    @torch.no_grad()
    def compute(network: Vl4ad, pictures: PictureSet, directory: Path,
                device: torch.device) -> FeatureSet:
        """Open the features in `directory`, computing them first unless they are complete."""
        directory.mkdir(parents=True, exist_ok=True)
        marker = directory / 'features.json'
        # These sums identify pictures and CLIP weights: features of others must not be used.
        key = {'pictures': zlib.crc32(json.dumps(pictures.kinds).encode()), 'clip': float(sum(
            p.double().sum() for p in network.backbone.clip_model.visual.parameters()))}
        paths = [directory / f'stage{i}.npy' for i in range(len(STRIDES))]
        if not marker.exists() or json.loads(marker.read_text()) != key:
            height, width = pictures.images.shape[1:3]
            files = [np.lib.format.open_memmap(
                p, 'w+', np.float16, (len(pictures), c, height // s, width // s))
                for p, c, s in zip(paths, network.config.feature_channels, STRIDES)]
            for start in tqdm(range(0, len(pictures), 16), 'features of the frozen CLIP'):
                images = torch.from_numpy(np.array(pictures.images[start:start + 16])).to(device)
                for file, level in zip(files, network.backbone.features(
                        network.normalise(images))):
                    file[start:start + len(level)] = level.half().cpu().numpy()
            for file in files:
                file.flush()
            marker.write_text(json.dumps(key))
        return FeatureSet(tuple(np.load(p, mmap_mode='r') for p in paths))

    def batch(self, indices: np.ndarray, device: torch.device) -> tuple[Tensor, ...]:
        """Return the features of some pictures as float32 tensors."""
        return tuple(torch.from_numpy(x[indices]).to(device).float() for x in self.levels)
