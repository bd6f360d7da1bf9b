# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keep drawn things for reuse: a fixed number of different ones per kind and split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
import zlib

import cv2
import numpy as np

from vl4ad_workshop.scenes import (  # noqa: F401  (they register their drawers)
    animals, street, things, vehicles)
from vl4ad_workshop.scenes.kinds import KINDS
from vl4ad_workshop.scenes.made_up import MADE_UP
from vl4ad_workshop.scenes.registry import DRAWERS

_SEEDS = {'train': 11, 'validation': 12, 'test': 13}
_COUNTS = {'train': 128, 'validation': 32, 'test': 32}
# Times as many examples as of a kind: variety is what they are for.
_MADE_UP_TIMES = 16


@dataclass(frozen=True)
class Sprite:
    """One view of a thing: premultiplied RGBA uint8 and its size in metres."""

    rgba: np.ndarray
    width: float
    height: float

    def flipped(self) -> Sprite:
        """Return the mirror image."""
        return Sprite(np.ascontiguousarray(self.rgba[:, ::-1]), self.width, self.height)


def _sprite(rng, pen, metres: float, mirror: bool, lacquer: np.ndarray) -> Sprite:
    rgba, width, height = pen.finish()
    scale = metres / getattr(pen, 'nominal', pen.height)
    rgb = rgba[..., :3].astype(np.float32) * lacquer
    rgba = np.dstack([np.minimum(rgb, rgba[..., 3:]), rgba[..., 3]]).astype(np.uint8)
    if mirror:
        rgba = np.ascontiguousarray(rgba[:, ::-1])
    return Sprite(rgba, width * scale, height * scale)


def _make(rng, draw, metres: float, views: bool) -> dict[str, Sprite]:
    drawn = draw(rng)
    lacquer = rng.uniform(.93, 1.07) * rng.uniform(.97, 1.03, 3)
    if isinstance(drawn, dict):
        return {view: _sprite(rng, pen, metres, False, lacquer) for view, pen in drawn.items()}
    return {'any': _sprite(rng, drawn, metres, rng.random() < .5, lacquer)}


@cache
def model(kind: str, index: int, split: str, pixels: int) -> dict[str, Sprite]:
    """
    Return the views of the index-th example of a kind, always the same for the same.

    'tree' and `MADE_UP` are kinds here, too.

    Things have one view 'any'; vehicles have 'side', 'rear' and 'front'. `pixels` is the square
    root of a sprite's area. The splits share no example.
    """
    rng = np.random.default_rng([_SEEDS[split], zlib.crc32(kind.encode()), index])
    if kind == 'tree':
        pen = street.tree(rng, pixels)
        scale = rng.uniform(.8, 1.3)
        return _make(rng, lambda _: pen, pen.height * scale, False)
    usual = 1.0 if kind == MADE_UP else KINDS[kind].size_m[1]
    spread = .16 if split == 'test' else .12
    metres = usual * rng.uniform(1 - spread, 1 + spread)
    return _make(rng, lambda r: DRAWERS[kind](r, pixels), metres, True)


def pick(rng: np.random.Generator, kind: str, split: str, pixels: int = 88) -> dict[str, Sprite]:
    """Return a random example of a kind from the split's bank."""
    count = _COUNTS[split] * (_MADE_UP_TIMES if kind == MADE_UP else 1)
    return model(kind, int(rng.integers(count)), split, pixels)


@cache
def _texture(what: str, index: int, split: str) -> tuple[np.ndarray, float, float]:
    rng = np.random.default_rng([_SEEDS[split], zlib.crc32(what.encode()), index])
    if what == 'building':
        length, height = rng.uniform(7, 20), 3.0 * rng.integers(2, 7)
        rgba = street.house_front(rng, length, round(height / 3))
    else:
        length = 10.0
        height = rng.uniform(.8, 2.6 if what == 'wall' else 1.9)
        make = {'fence': street.fence_panel, 'wall': street.wall_panel,
                'vegetation': street.hedge_panel}[what]
        rgba = make(rng, length, height)
    if rgba.shape[2] == 3:
        rgba = np.dstack([rgba, np.full(rgba.shape[:2], 255, np.float32)])
    return rgba.astype(np.uint8), length, height


def pick_texture(rng: np.random.Generator, what: str, split: str):
    """
    Return an upright surface from the split's bank: premultiplied RGBA uint8, metres long, high.

    `what` is 'building' (a house front), 'wall', 'fence' or 'vegetation' (a hedge).
    """
    return _texture(what, int(rng.integers(_COUNTS[split])), split)


def fit(rgba: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return premultiplied RGBA float32 resized."""
    shrink = width < rgba.shape[1] or height < rgba.shape[0]
    return cv2.resize(rgba, (width, height), interpolation=(
        cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)).astype(np.float32)
