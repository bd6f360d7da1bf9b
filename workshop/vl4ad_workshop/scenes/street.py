# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw street furniture, trees, and the textures of house fronts, walls and fences."""

from __future__ import annotations

import math

import numpy as np

from vl4ad_workshop.scenes.pen import (
    checks, glass, grey, hsv, net, noise_patch, Pen, stripes, tint)
from vl4ad_workshop.scenes.registry import draws

_SIGNS = ('ban', 'warn', 'info', 'way', 'stop')


@draws('pole')
def pole(rng, pixels):
    """Draw a bare post, a street lamp or a wooden mast."""
    c = grey(rng.uniform(60, 160))
    form = rng.integers(3)
    pen = Pen(rng, 1.8 if form == 1 else 1.2, 5.5, pixels)
    x = .3
    pen.limb(x, .08, .2, x, 5.4, .13, c if form != 2 else tint(rng, (112, 88, 64)), soft=.3)
    pen.rect(x - .14, 0, x + .14, .5, c * .8, soft=.3)
    if form == 1:
        pen.line([(x, 5.3), (x + .5, 5.45), (x + 1.1, 5.42)], .1, c)
        pen.slab(x + .9, 5.33, x + 1.45, 5.46, .05, c * .7)
    elif form == 2:
        pen.line([(.02, 5.0), (.58, 5.0)], .1, tint(rng, (112, 88, 64)) * .8)
    return pen


@draws('traffic light')
def traffic_light(rng, pixels):
    """Draw the head of a traffic light, one lamp lit, from before or behind."""
    pen = Pen(rng, .42, 1, pixels)
    pen.slab(.03, .02, .39, .98, .08, grey(34))
    if rng.random() < .85:
        lit = rng.integers(3)
        for k, c in enumerate(((236, 40, 30), (250, 180, 40), (50, 220, 110))):
            y = .8 - .3 * k
            pen.oval(.21, y, .115, .115, np.asarray(c) * (1 if k == lit else .25), soft=0)
            pen.line([(.1, y + .1), (.21, y + .14), (.32, y + .1)], .03, grey(18), soft=0)
    return pen


@draws('traffic sign')
def traffic_sign(rng, pixels):
    """Draw a sign's plate: ban, warning, information, direction or stop."""
    pen = Pen(rng, 1.0, 1.0, pixels)
    red, blue, white = (200, 30, 34), (28, 76, 176), (240, 240, 238)
    form = _SIGNS[rng.integers(5)]
    flat = dict(soft=.04)
    if form == 'ban':
        pen.oval(.5, .5, .49, .49, red, **flat)
        pen.oval(.5, .5, .36, .36, white, **flat)
        if rng.random() < .7:
            pen.rect(.3, .36, .44, .64, grey(30), soft=0)
            pen.ring(.6, .5, .1, .06, grey(30), soft=0)
    elif form == 'warn':
        pen.poly([(.01, .05), (.5, .95), (.99, .05)], red, **flat)
        pen.poly([(.19, .15), (.5, .72), (.81, .15)], white, **flat)
        pen.rect(.46, .2, .54, .48, grey(30), soft=0)
    elif form == 'stop':
        pen.poly([(.5 + .5 * math.cos(a), .5 + .5 * math.sin(a))
                  for a in np.arange(8) * math.pi / 4 + math.pi / 8], red, **flat)
        pen.rect(.16, .42, .84, .58, white, soft=0, pattern=checks(.16, 1, .3, 1), second=red)
    elif form == 'info':
        pen.slab(.04, .04, .96, .96, .08, blue, **flat)
        pen.poly([(.3, .2), (.5, .8), (.7, .2)], white, soft=0)
    else:
        pen.slab(.0, .25, 1.0, .75, .06, [blue, (236, 196, 40), (34, 120, 70)][rng.integers(3)],
                 **flat)
        pen.rect(.15, .42, .7, .56, white, soft=0)
        pen.poly([(.68, .34), (.88, .49), (.68, .64)], white, soft=0)
    return pen


def tree(rng, pixels):
    """Draw a leafy tree, a conifer, a poplar or a bush (as a Pen, in metres)."""
    leaf = hsv(rng, (.17, .36), (.35, .75), (.2, .5))
    if rng.random() < .12:
        leaf = hsv(rng, (.04, .13), (.5, .8), (.4, .7))
    bark = tint(rng, (84, 66, 50), .25)
    form = rng.choice(['leafy', 'conifer', 'poplar', 'bush'], p=[.5, .17, .13, .2])
    if form == 'conifer':
        pen = Pen(rng, 3.6, 7.0, pixels)
        pen.limb(1.8, .1, .35, 1.8, 6, .1, bark)
        for k in range(6):
            y, w = .9 + k * .95, 1.75 * (1 - k / 6.6)
            jag = [(1.8 - w + 2 * w * i / 8, y + (.18 if i % 2 else -.08)) for i in range(9)]
            pen.poly(jag + [(1.8, y + 1.7)], leaf * rng.uniform(.6, .85), tex=16)
        return pen
    if form == 'poplar':
        pen = Pen(rng, 2.2, 8.0, pixels)
        pen.limb(1.1, .1, .3, 1.1, 3, .2, bark)
        for _ in range(34):
            y = rng.uniform(1.3, 7.3)
            w = .75 * math.sin(math.pi * (y - .6) / 7.3) ** .7
            pen.oval(1.1 + rng.uniform(-1, 1) * w, y, .36, .55, leaf * rng.uniform(.7, 1.15),
                     tex=16)
        return pen
    if form == 'bush':
        pen = Pen(rng, 3.0, 1.7, pixels)
        for _ in range(26):
            x = rng.uniform(.4, 2.6)
            y = rng.uniform(.25, 1.3) * math.sin(math.pi * x / 3.0)
            pen.oval(x, max(.25, y), .4, .33, leaf * rng.uniform(.65, 1.2), tex=18)
        return pen
    height = rng.uniform(5.0, 7.5)
    pen = Pen(rng, 5.2, height, pixels)
    fork = height * rng.uniform(.28, .4)
    pen.limb(2.6, .05, .42, 2.6, fork, .3, bark, tex=10)
    for dx in (-.9, .1, .9):
        pen.limb(2.6, fork - .1, .25, 2.6 + dx, fork + 1.2, .12, bark * .9)
    mid = (fork + height) / 2 + .1
    for k in range(40):
        a, r = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
        x, y = 2.6 + 2.0 * r * math.cos(a), mid + (height - fork) * .4 * r * math.sin(a)
        light = .68 + .4 * (y - fork) / (height - fork) + .1 * rng.random()
        pen.oval(x, y, .58, .5, leaf * light, tex=20)
    return pen


def house_front(rng, metres: float, storeys: int, pixels_per_metre: float = 12):
    """Return an opaque RGB float32 house front (3 m a storey): bricks, windows, a door."""
    s = pixels_per_metre
    h, w = max(8, int(storeys * 3 * s)), max(8, int(metres * s))
    wall = [tint(rng, c, .18) for c in ((196, 186, 168), (150, 88, 66), (176, 172, 168),
                                        (214, 190, 140), (120, 126, 134), (186, 140, 116))][
        rng.integers(6)]
    front = np.empty((h, w, 3), np.float32)
    front[:] = wall
    front += 5 * noise_patch(rng, h, w)[..., None] + 3 * noise_patch(rng, h, w, 8)[..., None]
    y, x = np.mgrid[:h, :w] / s
    up = storeys * 3 - y
    if rng.random() < .4:
        row = np.floor(y / .25)
        seams = (y % .25 < .07) | ((x + row % 2 * .25) % .5 < .07)
        front[seams] *= rng.uniform(.82, .93)
    px, fx = rng.uniform(1.8, 3.4), rng.uniform(.4, .62)
    if rng.random() < .18:
        px, fx = px, .92
    col, high = x % px / px, up % 3
    pane = (col > (1 - fx) / 2) & (col < (1 + fx) / 2) & (high > .9) & (high < 2.35)
    frame = (col > (1 - fx) / 2 - .05) & (col < (1 + fx) / 2 + .05) & (high > .8) & (high < 2.45)
    front[frame & ~pane] = wall * 1.25 if rng.random() < .6 else wall * .6
    cell = (np.floor(x / px) * 31 + np.floor(up / 3) * 17).astype(int) % 7
    shades = np.array([glass(rng) * rng.uniform(.6, 1.6) for _ in range(7)])
    front[pane] = shades[cell[pane]] * (1 + .25 * (high[pane] - 1.6))[:, None]
    if rng.random() < .5:
        bar = pane & ((np.abs(col - .5) < .02) | (np.abs(high - 1.6) < .05))
        front[bar] = wall * 1.2
    base = up < .5
    front[base] *= .72
    door = (np.abs(x - rng.uniform(.15, .85) * metres) < .55) & (up < 2.3)
    front[door] = tint(rng, (92, 66, 50), .5)
    if rng.random() < .3:
        shop = (up < 2.7) & (up > .4) & (col > .06) & (col < .94)
        front[shop] = glass(rng) * 1.1
        front[(up > 2.55) & (up < 3.1)] = hsv(rng, sat=(.3, .9), val=(.3, .8))
    front[up > storeys * 3 - .35] = wall * rng.uniform(.55, 1.15)
    return np.clip(front, 0, 255)


def wall_panel(rng, metres: float, height: float, s: float = 16):
    """Return an opaque RGB float32 wall: bricks, stones or concrete slabs."""
    h, w = max(6, int(height * s)), max(6, int(metres * s))
    c = [tint(rng, k, .2) for k in ((168, 162, 152), (150, 92, 70), (130, 126, 118))][
        rng.integers(3)]
    panel = c + 9 * noise_patch(rng, h, w, 2)[..., None] + 6 * noise_patch(rng, h, w, 8)[..., None]
    y, x = np.mgrid[:h, :w] / s
    bw, bh = ((.5, .25), (2.4, 5.), (.9, .4))[rng.integers(3)]
    row = np.floor(y / bh)
    panel[(y % bh < .05) | ((x + row % 2 * bw / 2) % bw < .05)] *= .72
    panel[y < .15] *= 1.15
    return np.clip(panel, 0, 255).astype(np.float32)


def hedge_panel(rng, metres: float, height: float, s: float = 16):
    """Return an opaque RGB float32 clipped hedge."""
    h, w = max(6, int(height * s)), max(6, int(metres * s))
    c = hsv(rng, (.2, .36), (.4, .75), (.2, .45))
    panel = c + 16 * noise_patch(rng, h, w, 8)[..., None] + 9 * noise_patch(rng, h, w)[..., None]
    panel *= np.linspace(1.2, .65, h)[:, None, None]
    return np.clip(panel, 0, 255).astype(np.float32)


def fence_panel(rng, metres: float, height: float, s: float = 24):
    """Return an RGBA float32 (alpha 0..255) fence: pickets, wire mesh, bars or rails."""
    h, w = max(8, int(height * s)), max(8, int(metres * s))
    y, x = np.mgrid[:h, :w] / s
    form = rng.integers(4)
    if form == 0:
        c = [grey(225), tint(rng, (138, 98, 62))][rng.integers(2)]
        on = (x % .16 < .11) | (np.abs(y - height * .3) < .06) | (np.abs(y - height * .75) < .06)
    elif form == 1:
        c = tint(rng, (96, 110, 98), .3)
        on = (net(.18, .18, .03)(x, y)) | (x % 2.5 < .08) | (y < .05)
    elif form == 2:
        c = grey(rng.uniform(30, 70))
        on = stripes(.16, 0, .28)(x, y) | (y < .06) | (np.abs(y - height * .85) < .05)
    else:
        c = grey(rng.uniform(140, 200))
        on = (np.abs(y - .2) < .15) | (x % 2.0 < .1) | (np.abs(y - height * .7) < .06)
    panel = np.zeros((h, w, 4), np.float32)
    panel[..., :3] = c + 6 * noise_patch(rng, h, w)[..., None]
    panel[..., 3] = np.where(on, 255, 0)
    panel[..., :3] *= panel[..., 3:] / 255
    return np.clip(panel, 0, 255)
