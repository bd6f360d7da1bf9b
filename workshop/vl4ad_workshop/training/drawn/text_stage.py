# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Second step: fit the text tower to the frozen image tower by contrastive training (LiT)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in
from vl4ad_workshop.training.drawn.loop import load_finished, optimise
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.drawn.recipe import Recipe
from vl4ad_workshop.training.drawn.segments import embed_all

# Sentences of this stage; the bundle's templates are among them.
CAPTIONS = (
    'a photo of a {}.', 'a {} in the scene.', 'there is a {} on the road.', '{}',
    'a drawing of {}', 'a small {} far away', 'a large {} nearby', 'part of a {}',
    'a picture with a {} in it')


def train_text_tower(network: Vl4ad, tokenizer: Tokenizer, recipe: Recipe, work: Path,
                     device: torch.device) -> None:
    """
    Train everything of ``network.backbone.clip_model`` but its image tower.

    With the image tower frozen (LiT, arXiv 2111.07991), the embeddings of the images are computed
    only once.

    :param network: changed in place.
    :param tokenizer: of the bundle.
    :param recipe: sizes, steps and rates.
    :param work: folder of pictures and checkpoints; a stopped training continues there.
    :param device: where to train.
    """
    stage = recipe.text
    names = [k.name for g in stage.groups for k in kinds_in(g)]
    clip = network.backbone.clip_model
    text = {name: module for name, module in clip.named_children() if name != 'visual'}
    text['rest'] = torch.nn.ParameterList(
        [clip.positional_embedding, clip.text_projection, clip.logit_scale])
    if load_finished(text, stage, work / 'text.pt'):
        return
    pictures = PictureSet.draw(work / 'pictures-text', stage.pictures, stage.seed, recipe.size,
                               stage.groups, crowded=stage.crowded)
    batches = list(embed_all(network, pictures, names, device, recipe.crop_size))
    embeddings = F.normalize(torch.cat([e for _, e, _, _ in batches]), dim=-1)
    kind = np.concatenate([k for _, _, k, _ in batches])
    by_kind = [np.flatnonzero(kind == k) for k in range(len(names))]
    drawn = [k for k, rows in enumerate(by_kind) if len(rows)]
    readings = max(len(KINDS[n].words) for n in names)
    clip.requires_grad_(True)
    clip.visual.requires_grad_(False)

    def loss_at(step: int, part: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([stage.seed, step, part])
        # Every step uses every word of every kind. A word that is drawn only now and then can keep
        # its first embedding, next to a kind that it does not mean.
        words = [rng.permutation(np.resize(KINDS[n].words, readings)) for n in names]
        captions = [rng.choice(CAPTIONS).format(w) for reading in zip(*words) for w in reading]
        tokens = torch.from_numpy(tokenizer(captions)).to(device)
        # A token does not attend to later ones, so padding after the longest caption is cut off.
        texts = F.normalize(network.backbone.encode_text(
            tokens[:, :int(tokens.argmax(1).max()) + 1]), dim=-1).unflatten(0, (readings, -1))
        chosen = np.concatenate(
            [rng.choice(by_kind[k], recipe.text_embeddings) for k in drawn])
        target = torch.from_numpy(kind[chosen]).long().to(device)
        images = embeddings[chosen] * clip.logit_scale.exp().clamp(max=100.0)
        return {'contrastive': torch.stack(
            [contrastive_loss(images @ reading.t(), target) for reading in texts]).mean()}

    optimise(text, loss_at, stage, work / 'text.pt')
    clip.requires_grad_(False)


def contrastive_loss(logits: Tensor, kind: Tensor) -> Tensor:
    """
    Return CLIP's symmetric loss for several images per text.

    :param logits: (n, K), images against one caption of each of K kinds.
    :param kind: (n,) int64, kind of each image.
    """
    to_text = F.cross_entropy(logits, kind)
    positive = F.one_hot(kind, logits.shape[1]).to(logits.dtype)
    count = positive.sum(0)
    per_text = -(logits.log_softmax(0) * positive).sum(0) / count.clamp(min=1)
    return 0.5 * (to_text + per_text[count > 0].mean())
