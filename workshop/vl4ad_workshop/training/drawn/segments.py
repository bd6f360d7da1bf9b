# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments of drawn pictures as input of CLIP: as crops, or pooled from features of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.scenes.kinds import KINDS
from vl4ad_workshop.training.drawn.pictures import cell_cover, PictureSet

# Of the tiny trunk's last features.
STRIDE = 16
MIN_SIDE = 8
MIN_AREA = 60
SLENDER = 4
# Of what is cut out of a slender thing, pixels.
MIN_PATCH = 12


@dataclass(frozen=True)
class SegmentList:
    """
    The segments that are large enough to be cropped.

    :ivar picture: (r,) int32, index of the picture.
    :ivar segment: (r,) int32, number of the segment in the picture.
    :ivar kind: (r,) int32, index of the kind.
    :ivar area: (r,) int32, in px.
    :ivar whole: (r,) bool, False for surfaces and slender objects, because a square around them
        shows mostly other objects.
    :ivar box: (r, 4) int x0, y0, x1, y1 (exclusive).
    """

    picture: np.ndarray
    segment: np.ndarray
    kind: np.ndarray
    area: np.ndarray
    whole: np.ndarray
    box: np.ndarray

    @staticmethod
    def of(pictures: PictureSet, names: Sequence[str]) -> SegmentList:
        """List the segments of at least `MIN_AREA` px and `MIN_SIDE` px a side."""
        index = {name: i for i, name in enumerate(names)}
        rows = []
        for i, kinds in enumerate(pictures.kinds):
            segments = pictures.segments[i]
            for s, name in enumerate(kinds):
                inside = segments == s
                x, y, w, h = cv2.boundingRect(inside.astype(np.uint8))
                if min(w, h) >= MIN_SIDE:
                    area = np.count_nonzero(inside[y:y + h, x:x + w])
                    if area >= MIN_AREA:
                        whole = KINDS[name].role != 'surface' and max(w, h) <= SLENDER * min(w, h)
                        rows.append((i, s, index[name], area, whole, x, y, x + w, y + h))
        table = np.array(rows, np.int32).reshape(-1, 9)
        return SegmentList(*table[:, :4].T, table[:, 4] == 1, table[:, 5:])


def cut(pictures: PictureSet, segments: SegmentList, number: int, size: int,
        rng: np.random.Generator | None = None) -> np.ndarray:
    """
    Return a square crop of a segment: around it if it is `whole`, else from its inside.

    :param number: index of the segment in the list.
    :param size: side of the crop in pixels.
    :param rng: varies context, position, flip and light; None takes the middle of each range.
    :return: (size, size, 3) uint8 RGB.
    """
    picture, segment = segments.picture[number], segments.segment[number]
    x0, y0, x1, y1 = segments.box[number]
    image = pictures.images[picture]

    def between(low: float, high: float) -> float:
        return (low + high) / 2 if rng is None else rng.uniform(low, high)

    if segments.whole[number]:
        side = max(x1 - x0, y1 - y0) * between(1.0, 1.8)
        cx = (x0 + x1) / 2 + between(-0.1, 0.1) * side
        cy = (y0 + y1) / 2 + between(-0.1, 0.1) * side
    else:
        inside = np.pad(pictures.segments[picture] == segment, 1).astype(np.uint8)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
        # Anywhere that is at least half as deep inside as its deepest place.
        ys, xs = np.nonzero(depth >= depth.max() / 2)
        i = depth[ys, xs].argmax() if rng is None else rng.integers(len(ys))
        cx, cy = xs[i], ys[i]
        side = np.clip(2 * depth[cy, cx] * between(1.0, 2.6), MIN_PATCH, image.shape[0] / 2)
    scale = size / side
    matrix = np.array([[scale, 0, size / 2 - cx * scale], [0, scale, size / 2 - cy * scale]])
    crop = cv2.warpAffine(np.ascontiguousarray(image), matrix, (size, size),
                          flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    if rng is None:
        return crop
    return jitter(crop[:, ::-1] if rng.random() < 0.5 else crop, rng)


def jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary brightness, contrast and colour balance of an image (H, W, 3) uint8."""
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
    # One table of 256 entries per channel takes a tenth of the time of arithmetic on the pixels.
    table = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-20, 20), 0, 255)
    return cv2.LUT(np.ascontiguousarray(image), table.astype(np.uint8)[:, None])


@dataclass(frozen=True)
class SegmentedPictures:
    """
    Whole pictures and the cells that their segments cover in the trunk's last features.

    :ivar images: (B, H, W, 3) uint8.
    :ivar shares: for each picture (s, cells) float32; each row is a segment and adds up to one.
    :ivar kind: (r,) int64, kinds of all segments in order.
    :ivar area: (r,) areas of all segments in px.
    """

    images: np.ndarray
    shares: list[Tensor]
    kind: Tensor
    area: np.ndarray

    @staticmethod
    def of(pictures: PictureSet, batch: Sequence[int], names: Sequence[str],
           rng: np.random.Generator | None = None) -> SegmentedPictures:
        """Use segments of at least `MIN_AREA` px; `rng` flips and changes light at random."""
        index = {name: i for i, name in enumerate(names)}
        images, shares, kinds, areas = [], [], [], []
        for i in batch:
            image, segments = pictures.images[i], pictures.segments[i]
            if rng is not None:
                image = jitter(image, rng)
                if rng.random() < 0.5:
                    image, segments = image[:, ::-1], segments[:, ::-1]
            cover = cell_cover(segments, len(pictures.kinds[i]), STRIDE)[:-1]
            area = cover.sum(1) * STRIDE ** 2
            large = np.flatnonzero(area >= MIN_AREA)
            images.append(image)
            shares.append(torch.from_numpy(
                cover[large] / cover[large].sum(1, keepdims=True)))
            kinds += [index[pictures.kinds[i][s]] for s in large]
            areas.append(area[large])
        return SegmentedPictures(
            np.stack(images), shares, torch.tensor(kinds), np.concatenate(areas))

    def embed(self, network: Vl4ad, dense: Tensor) -> Tensor:
        """Pool (B, C, h, w) features under each segment: (r, D) un-normalised embeddings."""
        pooled = [torch.matmul(share.to(dense.device), cells.t())
                  for share, cells in zip(self.shares, dense.float().flatten(2))]
        return network.backbone.embed_pooled(torch.cat(pooled)[None])[0]


@torch.no_grad()
def embed_all(network: Vl4ad, pictures: PictureSet, names: Sequence[str], device: torch.device,
              crop_size: int) -> Iterator[tuple[str, Tensor, np.ndarray, np.ndarray]]:
    """
    Embed every segment twice: as a crop, and pooled from the features of its picture.

    Yields batches: 'crop' or 'dense', (r, D) un-normalised embeddings, kind and area (px) (r,).
    """
    clip = network.backbone.clip_model
    segments = SegmentList.of(pictures, names)
    for part in np.array_split(np.arange(len(segments.kind)), len(segments.kind) // 128 + 1):
        if len(part):
            crops = np.stack([cut(pictures, segments, r, crop_size) for r in part])
            images = network.normalise(torch.from_numpy(crops).to(device))
            yield 'crop', clip.encode_image(images), segments.kind[part], segments.area[part]
    for part in np.array_split(np.arange(len(pictures)), len(pictures) // 8 + 1):
        if len(part):
            batch = SegmentedPictures.of(pictures, part, names)
            dense = network.backbone.features(
                network.normalise(torch.from_numpy(batch.images).to(device)))[-1]
            yield 'dense', batch.embed(network, dense), batch.kind.numpy(), batch.area
