# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw things that have no name: any form, colour and size, to learn where a thing ends."""

from __future__ import annotations

import math

import numpy as np

from vl4ad_workshop.scenes.pen import checks, grey, hsv, net, patches, Pen, stripes, tint, waves
from vl4ad_workshop.scenes.registry import draws

MADE_UP = 'made-up thing'
# Metres.
_TALLEST, _LOWEST = 2.6, 0.35


@draws(MADE_UP)
def made_up(rng, pixels):
    """Draw a body, on legs or on the ground, with parts that stick out of it or lie on it."""
    height = math.exp(rng.uniform(math.log(_LOWEST), math.log(_TALLEST)))
    width = height * math.exp(rng.uniform(-1.0, 1.0))
    pen = Pen(rng, width, height, pixels)
    # A unit stands for a metre, whatever the pen's height.
    pen.nominal = 1.0
    colours = [_colour(rng) for _ in range(rng.integers(1, 4))]
    legs = rng.random() < .4
    foot, top = height * rng.uniform(.15, .55) * legs, height * rng.uniform(.75, 1)
    half, middle = width * rng.uniform(.3, .5), (foot + top) / 2
    if legs:
        thick = min(width, height) * rng.uniform(.03, .14)
        for x in np.linspace(-.7, .7, rng.integers(2, 5)):
            pen.limb(width / 2 + half * x, middle, 1.3 * thick,
                     width / 2 + half * (x + rng.uniform(-.3, .3)), 0, thick, colours[-1] * .8)
    _part(rng, pen, width / 2, middle, half, (top - foot) / 2, colours[0])
    mirrored = rng.random() < .4
    for _ in range(rng.integers(0, 7)):
        rx, ry = width * rng.uniform(.05, .3), height * rng.uniform(.05, .3)
        x, y = rng.uniform(rx, width - rx), rng.uniform(max(ry, foot * .8), height - ry)
        colour = colours[rng.integers(len(colours))] * rng.uniform(.6, 1.3)
        state = rng.bit_generator.state
        _part(rng, pen, x, y, rx, ry, colour)
        if mirrored:
            rng.bit_generator.state = state
            _part(rng, pen, width - x, y, rx, ry, colour)
    return pen


def _colour(rng):
    if rng.random() < .35:
        return tint(rng, grey(rng.uniform(25, 235)), .1)
    return hsv(rng, sat=(.1, .95), val=(.15, .95))


def _part(rng, pen, x, y, rx, ry, colour):
    """Draw one part in the box of half sides (rx, ry) around (x, y)."""
    size = min(rx, ry)
    look = {'tex': rng.uniform(0, 14) if rng.random() < .5 else 0, 'soft': rng.uniform(0, .35),
            'gloss': rng.uniform(0, .2)}
    if rng.random() < .35:
        period, angle = size * rng.uniform(.2, 1), rng.uniform(0, math.pi)
        look['pattern'] = (
            stripes(period, angle, rng.uniform(.2, .7)), waves(rng, period, angle),
            checks(period, period * rng.uniform(.5, 2)), net(period, period, period * .2),
            patches(rng, period, rng.uniform(.2, .7)))[rng.integers(5)]
        look['second'] = _colour(rng) if rng.random() < .5 else colour * rng.uniform(.5, 1.4)
    form = rng.integers(5)
    if form == 0:
        pen.oval(x, y, rx, ry, colour, **look)
    elif form == 1:
        pen.slab(x - rx, y - ry, x + rx, y + ry, size * rng.uniform(0, 1), colour, **look)
    elif form == 2:
        lean = rng.uniform(-1, 1, 4) * rng.choice([.1, .6])
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        pen.poly([(x + rx * (cx - cx * abs(d)), y + ry * cy)
                  for (cx, cy), d in zip(corners, lean)], colour, **look)
    elif form == 3:
        angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(5, 14)))
        reach = rng.uniform(rng.uniform(.3, .9), 1, len(angles))
        pen.poly([(x + rx * r * math.cos(a), y + ry * r * math.sin(a))
                  for a, r in zip(angles, reach)], colour, **look)
    else:
        ends = rng.uniform(.4, 2, 2) * size
        upright = ry > rx
        dx, dy = (0, ry) if upright else (rx, 0)
        pen.limb(x - dx, y - dy, ends[0], x + dx, y + dy, ends[1], colour, **look)
