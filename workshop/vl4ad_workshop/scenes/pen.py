# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw shaded, textured, anti-aliased shapes in units with the ground at y = 0."""

from __future__ import annotations

import colorsys
from functools import cache
import math

import cv2
import numpy as np

_MARGIN = 3


@cache
def noise_tile(seed: int, size: int = 256, detail: int = 1) -> np.ndarray:
    """Return (size, size) float32 noise, mean 0, deviation 1, tiling; high `detail` = finer."""
    rng = np.random.default_rng([7, seed])
    tile = np.zeros((size, size), np.float32)
    cells = 4 * detail
    weight = 1.0
    while cells <= size:
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        grid = np.pad(grid, 2, mode='wrap')
        step = size // cells
        big = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        tile += weight * big[2 * step:2 * step + size, 2 * step:2 * step + size]
        cells *= 2
        weight *= 0.72
    tile -= tile.mean()
    tile /= tile.std()
    tile.setflags(write=False)
    return tile


def noise_patch(rng: np.random.Generator, height: int, width: int, detail: int = 1) -> np.ndarray:
    """Return a (height, width) float32 cut of a random noise tile."""
    tile = noise_tile(int(rng.integers(6)), detail=detail)
    size = tile.shape[0]
    rows = (np.arange(height) + rng.integers(size)) % size
    cols = (np.arange(width) + rng.integers(size)) % size
    return tile[rows[:, None], cols[None]]


def hsv(rng, hue=(0, 1), sat=(0.3, 0.9), val=(0.3, 0.9)) -> np.ndarray:
    """Return a random RGB colour (3,) float64 0..255 from ranges of hue, saturation, value."""
    return np.array(colorsys.hsv_to_rgb(
        rng.uniform(*hue) % 1, rng.uniform(*sat), rng.uniform(*val))) * 255


def grey(value: float) -> np.ndarray:
    """Return a grey RGB colour."""
    return np.full(3, float(value))


def tint(rng, rgb, spread: float = 0.15) -> np.ndarray:
    """Return the colour made lighter or darker and slightly off-hue at random."""
    shift = rng.uniform(1 - spread, 1 + spread) * rng.uniform(1 - spread / 4, 1 + spread / 4, 3)
    return np.clip(np.asarray(rgb, float) * shift, 0, 255)


def glass(rng) -> np.ndarray:
    """Return the colour of a window pane seen from outside."""
    return np.array([52, 66, 80]) * rng.uniform(0.5, 1.5)


def stripes(period: float, angle: float = 0.0, duty: float = 0.5, phase: float = 0.0):
    """Return a pattern: bands of `period` units whose normal points along `angle` radians."""
    c, s = math.cos(angle), math.sin(angle)
    return lambda x, y: ((x * c + y * s) / period + phase) % 1 < duty


def waves(rng, period: float, angle: float = 0.0, duty: float = 0.5):
    """Return a pattern of wavering bands, as a zebra has."""
    c, s, p, q = math.cos(angle), math.sin(angle), rng.uniform(0, 6), rng.uniform(1.5, 3)

    def pattern(x, y):
        return ((x * c + y * s + 0.25 * period * np.sin(q * (x * s - y * c) / period + p))
                / period) % 1 < duty
    return pattern


def checks(px: float, py: float, fx: float = 0.5, fy: float = 0.5):
    """Return a pattern: rectangles of (fx px, fy py) units repeated every (px, py)."""
    return lambda x, y: ((x / px) % 1 < fx) & ((y / py) % 1 < fy)


def net(px: float, py: float, line: float):
    """Return a pattern: a mesh of lines `line` units wide."""
    return lambda x, y: (x % px < line) | (y % py < line)


def patches(rng, scale: float, cover: float = 0.5):
    """Return a pattern: random patches of about `scale` units that cover a share."""
    tile = noise_tile(int(rng.integers(6)))
    level = float(np.quantile(tile, 1 - cover))
    ox, oy = rng.integers(0, 256, 2)

    def pattern(x, y):
        step = 48 / scale
        return tile[(y * step + oy).astype(int) % 256, (x * step + ox).astype(int) % 256] > level
    return pattern


class Pen:
    """
    Draw parts over one another on a see-through canvas of `width` x `height` units.

    x grows to the right, y upwards from the ground. `pixels` is the square root of the canvas
    area in pixels. Each part is shaded as if rounded (`soft`: share of its smaller side that
    bends away from the light, 0 = flat), may carry noise (`tex`, grey levels) and a `pattern`
    (callable(x, y) -> bool) in a second colour.
    """

    def __init__(self, rng: np.random.Generator, width: float, height: float, pixels: int):
        self.rng = rng
        self.width, self.height = width, height
        self.scale = pixels / math.sqrt(width * height)
        self.cols = int(round(width * self.scale)) + 2 * _MARGIN
        self.rows = int(round(height * self.scale)) + 2 * _MARGIN
        self.rgb = np.zeros((self.rows, self.cols, 3), np.float32)
        self.alpha = np.zeros((self.rows, self.cols), np.float32)

    def _pixel(self, x, y):
        return (x * self.scale + _MARGIN - 0.5, self.rows - _MARGIN - 0.5 - y * self.scale)

    def _fixed(self, points) -> np.ndarray:
        return np.array([[round(16 * c) for c in self._pixel(x, y)] for x, y in points], np.int32)

    def _put(self, mask, colour, tex=0.0, soft=0.25, pattern=None, second=None, gloss=0.0):
        x, y, w, h = cv2.boundingRect(mask)
        if not w:
            return
        cover = mask[y:y + h, x:x + w].astype(np.float32) / 255
        paint = np.empty((h, w, 3), np.float32)
        paint[:] = np.asarray(colour, np.float32)
        if pattern is not None:
            gx, gy = np.meshgrid(np.arange(x, x + w), np.arange(y, y + h))
            paint[pattern((gx - _MARGIN) / self.scale,
                          (self.rows - _MARGIN - gy) / self.scale)] = second
        if tex:
            paint += tex * noise_patch(self.rng, h, w, 4)[..., None]
        if soft:
            pad = cv2.copyMakeBorder(cover, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
            sigma = max(0.8, soft * min(w, h))
            pad = cv2.GaussianBlur(pad, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
            slope_y = (pad[3:-1] - pad[1:-3])[:, 2:-2]
            slope_x = (pad[:, 3:-1] - pad[:, 1:-3])[2:-2]
            shade = 1 + sigma * (0.48 * slope_y + 0.2 * slope_x)
            paint *= shade[..., None]
        if gloss:
            ramp = np.linspace(gloss, -gloss, h, dtype=np.float32)[:, None, None]
            paint *= 1 + ramp
        part = cover[..., None]
        region = self.rgb[y:y + h, x:x + w]
        region += (paint - region) * part
        area = self.alpha[y:y + h, x:x + w]
        np.maximum(area, cover, out=area)

    def poly(self, points, colour, **look):
        """Fill a polygon."""
        mask = np.zeros((self.rows, self.cols), np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, 4)
        self._put(mask, colour, **look)

    def rect(self, x0, y0, x1, y1, colour, **look):
        """Fill a rectangle."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, **look)

    def slab(self, x0, y0, x1, y1, radius, colour, **look):
        """Fill a rectangle with round corners."""
        r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
        points = []
        for cx, cy, start in ((x1 - r, y1 - r, 0), (x0 + r, y1 - r, 1), (x0 + r, y0 + r, 2),
                              (x1 - r, y0 + r, 3)):
            for step in range(6):
                angle = math.pi / 2 * (start + step / 5)
                points.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
        self.poly(points, colour, **look)

    def oval(self, x, y, rx, ry, colour, angle=0.0, **look):
        """Fill an ellipse turned by `angle` degrees."""
        mask = np.zeros((self.rows, self.cols), np.uint8)
        (centre,) = self._fixed([(x, y)])
        axes = (max(8, round(16 * rx * self.scale)), max(8, round(16 * ry * self.scale)))
        cv2.ellipse(mask, centre.tolist(), axes, -angle, 0, 360, 255, -1, cv2.LINE_AA, 4)
        self._put(mask, colour, **look)

    def ring(self, x, y, radius, thick, colour, **look):
        """Draw a circle's line."""
        mask = np.zeros((self.rows, self.cols), np.uint8)
        (centre,) = self._fixed([(x, y)])
        cv2.circle(mask, centre.tolist(), round(16 * radius * self.scale), 255,
                   max(1, round(thick * self.scale)), cv2.LINE_AA, 4)
        self._put(mask, colour, **look)

    def line(self, points, thick, colour, **look):
        """Draw a line of `thick` units through the points."""
        mask = np.zeros((self.rows, self.cols), np.uint8)
        cv2.polylines(mask, [self._fixed(points)], False, 255, max(1, round(thick * self.scale)),
                      cv2.LINE_AA, 4)
        self._put(mask, colour, **look)

    def limb(self, x0, y0, w0, x1, y1, w1, colour, **look):
        """Draw a tapering limb with round ends of widths w0 and w1."""
        a = math.atan2(y1 - y0, x1 - x0)
        points = []
        for x, y, w, start in ((x0, y0, w0, a + math.pi / 2), (x1, y1, w1, a - math.pi / 2)):
            for step in range(6):
                t = start + math.pi * step / 5
                points.append((x + w / 2 * math.cos(t), y + w / 2 * math.sin(t)))
        self.poly(points, colour, **look)

    def wheel(self, x, y, radius, rim=None):
        """Draw a road wheel from the side."""
        rng = self.rng
        self.oval(x, y, radius, radius, grey(rng.uniform(22, 38)), tex=4, soft=0.1)
        self.oval(x, y, radius * 0.62, radius * 0.62,
                  grey(rng.uniform(110, 190)) if rim is None else rim, soft=0.15)
        for k in range(5):
            t = 2 * math.pi * k / 5 + 0.3
            self.oval(x + radius * 0.36 * math.cos(t), y + radius * 0.36 * math.sin(t),
                      radius * 0.12, radius * 0.12, grey(50), soft=0)

    def finish(self) -> tuple[np.ndarray, float, float]:
        """Return premultiplied RGBA uint8 cut to what was drawn, and its size in units."""
        x, y, w, h = cv2.boundingRect((self.alpha > 0.02).astype(np.uint8))
        alpha = self.alpha[y:y + h, x:x + w, None]
        rgb = np.clip(self.rgb[y:y + h, x:x + w], 0, 255) * alpha
        rgba = np.concatenate([rgb, alpha * 255], -1)
        return np.round(rgba).astype(np.uint8), w / self.scale, h / self.scale
