# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Paint the flat ground: strips along the road, their textures, markings and patches."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.canvas import Canvas
from vl4ad_workshop.scenes.pen import noise_tile

_FAR = 400.0


@dataclass(frozen=True)
class Strip:
    """
    Ground up to the lateral position `until` (metres), from the strip before.

    `coarse`, `fine`: noise in grey levels; `slab`: length of paving slabs in metres, 0 = none.
    """

    kind: str
    until: float
    colour: np.ndarray
    coarse: float
    fine: float
    slab: float = 0.0


@dataclass(frozen=True)
class Line:
    """A painted line along the road at t; dashes of `dash` metres every `period` (0 = solid)."""

    t: float
    width: float
    colour: np.ndarray
    dash: float = 0.0
    period: float = 0.0
    phase: float = 0.0


@dataclass(frozen=True)
class Patch:
    """
    A spot on the ground around (s, t), `length` x `width` metres, that multiplies by `gain`.

    `form`: 'box', 'disc', or 'bars' (a zebra crossing, painted in `gain` as a grey level).
    """

    s: float
    t: float
    length: float
    width: float
    gain: float
    form: str = 'disc'


@dataclass(frozen=True)
class Ground:
    """All there is on the ground; `seeds` choose the noise."""

    strips: tuple[Strip, ...]
    lines: tuple[Line, ...] = ()
    patches: tuple[Patch, ...] = ()
    seeds: tuple[int, int] = (0, 1)
    wear: float = 0.3
    shade: tuple[float, float] = field(default=(0.0, 0.0))


def _wrap(x, period):
    """Return x modulo a power of two: the same as np.mod, several times faster."""
    return x - np.floor(x / period) * period


def _noise(seed, detail, t, s, per_metre):
    tile = noise_tile(seed, detail=detail)
    size = tile.shape[0]
    return cv2.remap(tile, _wrap(t * per_metre, size), _wrap(s * per_metre, size),
                     cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def paint_ground(canvas: Canvas, camera: Camera, ground: Ground) -> None:
    """Paint every row below the horizon."""
    height, width = canvas.size
    first = max(0, int(np.floor(camera.horizon)) + 1)
    if first >= height:
        return
    below = np.arange(first, height, dtype=np.float32)[:, None] - np.float32(camera.horizon)
    z = np.minimum(camera.focal * camera.height / np.maximum(below, 0.2), _FAR).astype(np.float32)
    across = (np.arange(width, dtype=np.float32)[None] - np.float32(camera.centre))
    t = across * (z / np.float32(camera.focal)) + np.float32(camera.t) - np.float32(
        0.5 * camera.bend) * z * z
    s = np.broadcast_to(z + np.float32(camera.s % 1024), t.shape)
    step_t, step_s = z / camera.focal, z * z / (camera.focal * camera.height)

    wobble = _noise(ground.seeds[0], 1, t, s, 3.0)
    coarse = wobble * np.exp(-step_s / 6)
    fine = _noise(ground.seeds[1], 8, t, s, 24.0) * np.exp(-step_s / 0.22)
    edges = [strip.until for strip in ground.strips[:-1]]
    ragged = [strip.kind == 'terrain' or after.kind == 'terrain'
              for strip, after in zip(ground.strips, ground.strips[1:])]
    which = np.zeros(t.shape, np.uint8)
    for edge, rough in zip(edges, ragged):
        which += t > (edge + 0.07 * wobble if rough else edge)
    colours = np.array([strip.colour for strip in ground.strips], np.float32)
    image = colours[which]
    relief = (np.array([p.coarse for p in ground.strips], np.float32)[which] * coarse
              + np.array([p.fine for p in ground.strips], np.float32)[which] * fine)
    image += relief[..., None]
    slabs = np.array([p.slab for p in ground.strips], np.float32)[which]
    if slabs.any():
        size = np.where(slabs > 0, slabs, 1)
        gap = 0.035
        line_t = np.clip((gap - np.abs(_wrap(t / size + .5, 1) - .5) * size) / step_t + .5, 0, 1)
        line_s = np.clip((gap - np.abs(_wrap(s / size + .5, 1) - .5) * size) / step_s + .5, 0, 1)
        fade = np.exp(-step_s / 0.6)
        image *= (1 - 0.3 * (slabs > 0) * np.maximum(line_t, line_s) * fade)[..., None]
    kerbs = [edge for edge, p, q in zip(edges, ground.strips, ground.strips[1:])
             if 'sidewalk' in (p.kind, q.kind)]
    for edge in kerbs:
        cover = np.clip((0.09 - np.abs(t - edge)) / step_t + 0.5, 0, 1) * np.minimum(
            1, 0.18 / step_t)
        on = cover > 0
        image[on] += (cover * 0.8)[on][:, None] * (150 - image[on])
    worn = np.clip(1 - ground.wear * (0.6 + 0.8 * wobble), 0.15, 1)
    for line in ground.lines:
        half = line.width / 2
        cover = np.clip((half - np.abs(t - line.t)) / step_t + 0.5, 0, 1) * np.minimum(
            1, line.width / step_t)
        if line.period:
            into = (z + (camera.s + line.phase)) % line.period
            inside = np.minimum(into, line.dash - into)
            painted = np.clip(inside / step_s + 0.5, 0, 1)
            painted += np.clip((into - line.period) / step_s + .5, 0, 1)
            cover = cover * np.where(step_s > line.period, line.dash / line.period,
                                     np.minimum(painted, 1))
        on = cover > 0
        image[on] += (cover * worn)[on][:, None] * (np.float32(line.colour) - image[on])
    depth = z[:, 0]
    for patch in ground.patches:
        along = patch.s - camera.s
        rows = np.flatnonzero(np.abs(depth - along) < patch.length / 2 + 0.5)
        if not len(rows):
            continue
        r = slice(rows[0], rows[-1] + 1)
        dz, dt = (z[r] - along) / (patch.length / 2), (t[r] - patch.t) / (patch.width / 2)
        if patch.form == 'disc':
            soft = np.clip((1 - np.sqrt(dz ** 2 + dt ** 2) + 0.12 * wobble[r]) * 6, 0, 1)
        else:
            soft = (np.abs(dz) < 1) & (np.abs(dt) < 1)
        if patch.form == 'bars':
            on = soft & ((t[r] / 1.0) % 1 < 0.5)
            cover = (on * worn[r])[..., None]
            image[r] += cover * (patch.gain - image[r])
        else:
            image[r] *= (1 + (patch.gain - 1) * soft)[..., None]
    clear = canvas.clearness(z)[..., None]
    canvas.image[first:] = image * clear + canvas.haze * (1 - clear)
    ids = np.array([canvas.surface(strip.kind) for strip in ground.strips], np.int32)
    canvas.ids[first:] = ids[which]
