# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage one: a small CLIP learns the words of drawn things and surfaces, contrastively."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

from vl4ad_ros.network.vl4ad import Vl4ad
from vl4ad_ros.runtime.tokenizer import Tokenizer
from vl4ad_ros.scenes.kinds import KINDS, kinds_in
from vl4ad_ros.training.drawn.loop import optimise
from vl4ad_ros.training.drawn.pictures import cell_cover, PictureSet
from vl4ad_ros.training.drawn.recipe import Recipe

# Sentences of stage one; the bundle's templates are among them.
CAPTIONS = (
    'a photo of a {}.', 'a {} in the scene.', 'there is a {} on the road.', '{}',
    'a drawing of {}', 'a small {} far away', 'a large {} nearby', 'part of a {}',
    'a picture with a {} in it')
STRIDE = 32
MIN_SIDE = 8
MIN_AREA = 60


@dataclass(frozen=True)
class Regions:
    """
    Every segment that can be cut out.

    :ivar picture, segment, kind: (r,) int. :ivar box: (r, 4) int x0, y0, x1, y1 (exclusive).
    """

    picture: np.ndarray
    segment: np.ndarray
    kind: np.ndarray
    box: np.ndarray

    @staticmethod
    def of(pictures: PictureSet, names: list[str]) -> Regions:
        """List the segments of at least `MIN_AREA` px and `MIN_SIDE` px a side."""
        index = {name: i for i, name in enumerate(names)}
        rows = []
        for i, kinds in enumerate(pictures.kinds):
            segments = pictures.segments[i]
            for s, name in enumerate(kinds):
                x, y, w, h = cv2.boundingRect((segments == s).astype(np.uint8))
                if min(w, h) >= MIN_SIDE and (segments[y:y + h, x:x + w] == s).sum() >= MIN_AREA:
                    rows.append((i, s, index[name], x, y, x + w, y + h))
        table = np.array(rows, np.int32).reshape(-1, 7)
        return Regions(table[:, 0], table[:, 1], table[:, 2], table[:, 3:])


def train_clip(network: Vl4ad, tokenizer: Tokenizer, recipe: Recipe, work: Path,
               device: torch.device) -> None:
    """
    Train ``network.backbone.clip_model`` and freeze it.

    A batch holds crops, which teach whole-image embeddings at one scale, and whole pictures,
    whose stride-32 features are pooled under each segment: the decoder pools them like that.
    """
    stage = recipe.clip
    names = [k.name for g in stage.groups for k in kinds_in(g)]
    pictures = PictureSet.draw(work / 'pictures-clip', stage.pictures, stage.seed, recipe.size,
                               stage.groups)
    regions = Regions.of(pictures, names)
    by_kind = [np.flatnonzero(regions.kind == k) for k in range(len(names))]
    drawn = np.array([k for k, r in enumerate(by_kind) if len(r)])
    if len(drawn) < len(names):
        print(f'no region of {sorted(set(names) - {names[k] for k in drawn})} in '
              f'{len(pictures)} pictures: their words stay unlearnt')
    clip = network.backbone.clip_model
    clip.requires_grad_(True)

    def loss_at(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([stage.seed, step])
        captions = [rng.choice(CAPTIONS).format(rng.choice(KINDS[n].words)) for n in names]
        texts = F.normalize(network.backbone.encode_text(
            torch.from_numpy(tokenizer(captions)).to(device)), dim=-1)
        # Every kind once before any kind twice: common ones would crowd out the rest.
        kinds = np.resize(rng.permutation(drawn), recipe.clip_crops)
        chosen = [rng.choice(by_kind[k]) for k in kinds]
        crops = np.stack([cut(pictures, regions, r, recipe.crop_size, rng) for r in chosen])
        crops = network.normalise(torch.from_numpy(crops).to(device))
        images = F.normalize(clip.encode_image(crops), dim=-1)
        scale = clip.logit_scale.exp().clamp(max=100.0)
        crop_loss = contrastive_loss(
            images @ texts.t() * scale, torch.from_numpy(regions.kind[chosen]).long().to(device))
        batch = rng.choice(len(pictures), recipe.clip_pictures, replace=False)
        embedding, kind = pooled_segments(network, pictures, batch, names, device, rng)
        dense_loss = contrastive_loss(
            F.normalize(embedding, dim=-1) @ texts.t() * scale, kind)
        return {'crop': crop_loss, 'dense': dense_loss}

    optimise({'clip': clip}, loss_at, stage, work / 'clip.pt')
    clip.requires_grad_(False)


def contrastive_loss(logits: Tensor, kind: Tensor) -> Tensor:
    """
    Return CLIP's symmetric loss with several images to a text.

    :param logits: (n, K) images against one caption of every kind. :param kind: (n,) int64.
    """
    to_text = F.cross_entropy(logits, kind)
    positive = F.one_hot(kind, logits.shape[1]).to(logits.dtype)
    count = positive.sum(0)
    per_text = -(logits.log_softmax(0) * positive).sum(0) / count.clamp(min=1)
    return 0.5 * (to_text + per_text[count > 0].mean())


def cut(pictures: PictureSet, regions: Regions, region: int, size: int,
        rng: np.random.Generator) -> np.ndarray:
    """Cut a square around a region, with random context, flip and light: (size, size, 3) uint8."""
    picture, segment = regions.picture[region], regions.segment[region]
    x0, y0, x1, y1 = regions.box[region]
    image, height = pictures.images[picture], pictures.segments.shape[1]
    if max(x1 - x0, y1 - y0) > 0.4 * height:
        # Surfaces and very near things fill the picture: look at a part that belongs to them.
        ys, xs = np.nonzero(pictures.segments[picture] == segment)
        i = rng.integers(len(ys))
        cx, cy, side = xs[i], ys[i], rng.uniform(0.15, 0.5) * height
    else:
        side = max(x1 - x0, y1 - y0) * rng.uniform(1.0, 2.2)
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        cx += rng.uniform(-0.1, 0.1) * side
        cy += rng.uniform(-0.1, 0.1) * side
    scale = size / side
    matrix = np.array([[scale, 0, size / 2 - cx * scale], [0, scale, size / 2 - cy * scale]])
    crop = cv2.warpAffine(np.ascontiguousarray(image), matrix, (size, size),
                          flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return jitter(crop[:, ::-1] if rng.random() < 0.5 else crop, rng)


def jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary brightness, contrast and colour balance of (H, W, 3) uint8."""
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
    # One table of 256 a channel: a tenth of the time of arithmetic on the pixels.
    table = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-20, 20), 0, 255)
    return cv2.LUT(np.ascontiguousarray(image), table.astype(np.uint8)[:, None])


def pooled_segments(network: Vl4ad, pictures: PictureSet, batch: np.ndarray, names: list[str],
                    device: torch.device, rng: np.random.Generator | None = None
                    ) -> tuple[Tensor, Tensor]:
    """
    Embed the segments of whole pictures from CLIP's stride-32 features.

    Cells count by the share of them that the segment covers.

    :param batch: indices of the pictures; with `rng` they are flipped and relit at random.
    :return: (r, D) un-normalised embeddings; (r,) int64 index of the kind in `names`.
    """
    index = {name: i for i, name in enumerate(names)}
    images, owners, covers, kinds = [], [], [], []
    for b, i in enumerate(batch):
        image, segments = pictures.images[i], pictures.segments[i]
        if rng is not None:
            image = jitter(image, rng)
            if rng.random() < 0.5:
                image, segments = image[:, ::-1].copy(), segments[:, ::-1]
        images.append(image)
        cover = cell_cover(segments, len(pictures.kinds[i]), STRIDE)[:-1]
        large = np.flatnonzero(cover.sum(1) * STRIDE ** 2 >= MIN_AREA)
        owners += [b] * len(large)
        covers.append(cover[large])
        kinds += [index[pictures.kinds[i][s]] for s in large]
    dense = network.backbone.features(
        network.normalise(torch.from_numpy(np.stack(images)).to(device)))[-1]
    weight = torch.from_numpy(np.concatenate(covers)).to(device)
    weight = weight / weight.sum(1, keepdim=True)
    # (r, C, cells): each segment's own picture.
    own = dense.flatten(2)[torch.tensor(owners, device=device)]
    pooled = torch.einsum('rs,rcs->rc', weight, own)
    return network.backbone.embed_pooled(pooled[None])[0], torch.tensor(kinds, device=device)
