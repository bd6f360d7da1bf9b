# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands in the world: billboards, upright panels along or across the road, vehicles."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vl4ad_workshop.scenes.bank import fit, Sprite
from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.canvas import Canvas, contact_shadow

NEAREST = 1.3
FARTHEST = 220.0


@dataclass(frozen=True, eq=False)
class Billboard:
    """A sprite that faces the camera, standing at (s, t) with its foot `lift` metres up."""

    kind: str
    sprite: Sprite
    s: float
    t: float
    lift: float = 0.0
    owner: int = 0
    layer: int = 2
    opacity: float = 1.0

    def paint(self, canvas: Canvas, camera: Camera, sun: float) -> None:
        """Draw it with its shadow; `sun` is the slope of cast shadows, 0 without sun."""
        z = self.s - camera.s
        width, height = self.sprite.width, self.sprite.height
        scale = camera.focal / z
        w, h = max(1, round(width * scale)), max(2, round(height * scale))
        u, v = camera.column(self.t, z), camera.row(self.lift, z)
        if u + w < 0 or u - w > canvas.size[1] or h > 4 * canvas.size[0]:
            return
        rgba = fit(self.sprite.rgba, w, h)
        if self.opacity < 1:
            rgba *= self.opacity
        if not self.lift:
            depth = camera.focal * camera.height * 0.16 * min(width, 2.5) / z ** 2
            clear = float(canvas.clearness(z)) * self.opacity
            contact_shadow(canvas, u, v, 0.5 * w + 0.5, depth, 0.5 * clear)
            if sun:
                self._cast(canvas, rgba, u, v, sun, 0.4 * clear)
        segment = (canvas.surface if self.kind == 'vegetation' else
                   lambda kind: canvas.thing(kind, self.owner))(self.kind)
        canvas.paint(rgba, round(u - w / 2), round(v - h) + 1, z, segment, 110 * self.opacity)

    @staticmethod
    def _cast(canvas, rgba, u, v, sun, strength):
        h, w = rgba.shape[:2]
        drop = 0.16
        wide, tall = int(w + abs(sun) * h) + 2, int(drop * h) + 2
        left = 0 if sun > 0 else wide - w - 1
        warp = np.float32([[1, -sun, left + sun * h], [0, -drop, drop * h]])
        cast = cv2.warpAffine(rgba[..., 3], warp, (wide, tall)) * (strength / 255)
        x, y = round(u - w / 2) - left, round(v)
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(canvas.size[1], x + wide), min(canvas.size[0], y + tall)
        if x1 > x0 and y1 > y0:
            part = cast[y0 - y:y1 - y, x0 - x:x1 - x, None]
            canvas.image[y0:y1, x0:x1] *= 1 - part


def _warp(canvas: Canvas, texture: np.ndarray, corners, z: float, segment: int, solid: float):
    """Paint a premultiplied RGBA texture into four corners, upper left first, clockwise."""
    corners = np.float32(corners)
    low = np.floor(corners.min(0)).astype(int) - 1
    high = np.ceil(corners.max(0)).astype(int) + 2
    x0, y0 = max(0, low[0]), max(0, low[1])
    x1, y1 = min(canvas.size[1], high[0]), min(canvas.size[0], high[1])
    if x1 - x0 < 1 or y1 - y0 < 1:
        return
    sides = np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1)
    h, w = texture.shape[:2]
    shrink_x, shrink_y = max(sides[1], sides[3]) / w, max(sides[0], sides[2]) / h
    if shrink_x < 0.7 or shrink_y < 0.7:
        w, h = max(2, round(w * min(1, shrink_x))), max(2, round(h * min(1, shrink_y)))
        texture = cv2.resize(texture, (w, h), interpolation=cv2.INTER_AREA)
    source = np.float32([[-.5, -.5], [w - .5, -.5], [w - .5, h - .5], [-.5, h - .5]])
    matrix = cv2.getPerspectiveTransform(source, corners - np.float32([x0, y0]))
    rgba = cv2.warpPerspective(texture, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    canvas.paint(rgba.astype(np.float32), x0, y0, z, segment, solid)


@dataclass(frozen=True, eq=False)
class Panel:
    """An upright RGBA texture from (s0, t0) to (s1, t1), y0 to y1 metres up."""

    kind: str
    texture: np.ndarray
    s: float
    t: float
    s1: float
    t1: float
    height: float
    lift: float = 0.0
    layer: int = 0
    whole: bool = False

    def paint(self, canvas: Canvas, camera: Camera, sun: float) -> None:
        """Draw the part ahead of the camera."""
        del sun
        z0, z1, t0, t1 = self.s - camera.s, self.s1 - camera.s, self.t, self.t1
        texture = self.texture
        if z0 < NEAREST:
            if z1 < NEAREST + 0.1:
                return
            cut = (NEAREST - z0) / (z1 - z0)
            texture = texture[:, min(texture.shape[1] - 2, int(cut * texture.shape[1])):]
            t0, z0 = t0 + cut * (t1 - t0), NEAREST
        top, low = self.lift + self.height, self.lift
        corners = [(camera.column(t, z), camera.row(y, z))
                   for t, z, y in ((t0, z0, top), (t1, z1, top), (t1, z1, low), (t0, z0, low))]
        _warp(canvas, texture, corners, (z0 * z1) ** 0.5, canvas.surface(self.kind),
              -1 if self.whole else 110)


@dataclass(frozen=True, eq=False)
class Vehicle:
    """A vehicle whose near end is at s: its side runs along the road behind the near end."""

    kind: str
    views: dict[str, Sprite]
    s: float
    t: float
    oncoming: bool = False
    owner: int = 0
    layer: int = 2

    def paint(self, canvas: Canvas, camera: Camera, sun: float) -> None:
        """Draw its shadow, the side that can be seen, then the near end."""
        near = self.views['front' if self.oncoming else 'rear']
        side = self.views['side']
        z0, z1 = self.s - camera.s, self.s - camera.s + side.width
        if z1 < NEAREST + 0.2:
            return
        segment = canvas.thing(self.kind, self.owner)
        half = near.width / 2
        za = max(z0, NEAREST)
        shadow = np.array([(camera.column(self.t + dt, z), camera.row(0, z)) for dt, z in (
            (-half, za), (half, za), (half, z1), (-half, z1))])
        if sun:
            near_corner, far_corner = (0, 3) if sun < 0 else (1, 2)
            shadow[near_corner, 0] += sun * camera.focal / za * 0.8
            shadow[far_corner, 0] += sun * camera.focal / z1 * 0.8
        shadow[:2, 1] += 0.04 * camera.focal / za
        canvas.darken(shadow, 0.62 * float(canvas.clearness(za)), 0.08 * camera.focal / za)
        x = camera.lateral(self.t, za)
        if abs(x) > half:
            t = self.t - half * np.sign(x) * 0.97
            rgba = side.rgba[:, ::-1] if self.oncoming else side.rgba
            shade = np.float32([0.8, 0.8, 0.8, 1])
            if z0 < NEAREST:
                cut = int((NEAREST - z0) / (z1 - z0) * rgba.shape[1])
                rgba = rgba[:, min(cut, rgba.shape[1] - 2):]
            corners = [(camera.column(t, z), camera.row(y, z)) for z, y in (
                (za, side.height), (z1, side.height), (z1, 0), (za, 0))]
            _warp(canvas, rgba * shade, corners, za, segment, 110)
        if z0 > NEAREST:
            scale = camera.focal / z0
            w, h = max(1, round(near.width * scale)), max(2, round(near.height * scale))
            u, v = camera.column(self.t, z0), camera.row(0, z0)
            canvas.paint(fit(near.rgba, w, h), round(u - w / 2), round(v - h) + 1, z0, segment,
                         110)
