# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw animals and people."""

from __future__ import annotations

import math

import numpy as np

from vl4ad_workshop.scenes.pen import grey, hsv, patches, Pen, tint, waves
from vl4ad_workshop.scenes.registry import draws

_BUILD = {
    # length, thickness, leg, leg width, neck, neck width, neck angle, head, muzzle, ear, tail
    'cow': (1.30, .58, .50, .13, .30, .34, 35, .24, .20, .10, .50),
    'horse': (1.05, .40, .62, .11, .50, .24, 52, .20, .16, .09, .50),
    'zebra': (1.00, .40, .58, .11, .42, .24, 52, .19, .15, .10, .35),
    'dog': (.86, .30, .48, .10, .28, .17, 48, .17, .15, .13, .42),
    'cat': (1.00, .34, .40, .09, .20, .20, 45, .21, .08, .13, .65),
    'goat': (.82, .40, .44, .08, .30, .18, 55, .17, .15, .12, .12),
    'bear': (1.15, .62, .36, .22, .22, .44, 15, .28, .16, .09, .05),
    'rabbit': (.80, .52, .16, .12, .12, .30, 40, .26, .10, .42, .10),
    'sheep': (1.02, .60, .34, .09, .20, .24, 35, .19, .15, .10, .08),
    'deer': (.80, .31, .56, .065, .42, .13, 62, .14, .13, .13, .10),
    'fox': (.95, .27, .36, .08, .22, .17, 40, .18, .17, .17, .62),
    'pig': (1.28, .58, .27, .13, .14, .42, 10, .27, .16, .15, .15),
}


def _coat(rng, kind):
    """Return coat colour, the pattern and its second colour, the dark legs' colour."""
    brown = hsv(rng, (.04, .09), (.45, .75), (.22, .6))
    if kind == 'cow':
        style = rng.integers(3)
        if style == 0:
            return tint(rng, (232, 228, 220), .06), patches(rng, .9, .45), tint(rng, (35, 28, 26))
        if style == 1:
            return tint(rng, (225, 215, 200), .06), patches(rng, .9, .5), tint(rng, (135, 75, 40))
        return tint(rng, (150, 95, 55), .2), patches(rng, 1., .12), tint(rng, (225, 215, 200), .05)
    if kind == 'horse':
        if rng.random() < .25:
            return tint(rng, (205, 200, 195), .1), None, None
        return brown, None, None
    if kind == 'zebra':
        return tint(rng, (236, 234, 228), .04), waves(rng, rng.uniform(.11, .15)), (24, 22, 24)
    if kind == 'dog':
        if rng.random() < .4:
            return tint(rng, (228, 216, 196), .08), patches(rng, .8, .4), brown * .6
        return hsv(rng, (.05, .1), (.25, .7), (.15, .8)), None, None
    if kind == 'cat':
        coat = [(214, 132, 60), (120, 118, 116), (60, 56, 54)][rng.integers(3)]
        coat = tint(rng, coat)
        return coat, waves(rng, .13, .2, .4), coat * .66
    if kind == 'goat':
        return tint(rng, [(224, 216, 200), (120, 92, 66)][rng.integers(2)]), None, None
    if kind == 'bear':
        return tint(rng, [(84, 56, 36), (52, 42, 38)][rng.integers(2)], .2), None, None
    if kind == 'rabbit':
        return tint(rng, [(150, 124, 98), (190, 184, 178)][rng.integers(2)], .12), None, None
    if kind == 'sheep':
        return tint(rng, (226, 218, 200), .07), None, None
    if kind == 'deer':
        coat = tint(rng, (166, 112, 66), .14)
        return coat, patches(rng, .25, .12), np.minimum(coat * 1.4, 245)
    if kind == 'fox':
        return tint(rng, (214, 104, 36), .1), None, None
    return tint(rng, (236, 166, 158), .07), None, None


def _head(pen, rng, kind, x, y, head, muzzle, ear, coat, look, face):
    """Draw a head at (x, y) looking to the right."""
    dark = coat * .6
    if kind == 'rabbit':
        for dx in (-.1, .0):
            pen.limb(x + dx, y + .1, .1, x + dx - .08, y + .1 + ear, .07, coat * .9)
    if kind == 'deer' and rng.random() < .75 or kind == 'goat':
        horn = np.array([205, 190, 155]) * rng.uniform(.7, 1)
        if kind == 'deer':
            for s in (-1, 1):
                tip = (x + .17 * s - .05, y + .44)
                pen.line([(x - .03, y + .08), (x + .12 * s - .06, y + .25), tip], .03, horn)
                pen.line([(x + .1 * s - .05, y + .22), (x + .24 * s - .02, y + .3)], .025, horn)
                pen.line([(x + .13 * s - .05, y + .32), (x + .02 * s - .03, y + .42)], .025, horn)
        else:
            pen.line([(x, y + .1), (x - .1, y + .28), (x - .24, y + .3)], .045, horn)
    if kind == 'cow':
        for dx in (-.05, .06):
            pen.line([(x + dx, y + .15), (x + 2.6 * dx, y + .27), (x + 2.2 * dx, y + .34)], .04,
                     (212, 205, 185))
    if kind in ('dog', 'cow', 'sheep', 'goat', 'pig'):
        pen.limb(x - .04, y + head * .3, ear * .8, x - .04 - ear * .7, y + head * .3 - ear * .9,
                 ear * .5, dark)
    elif kind == 'bear':
        pen.oval(x - .08, y + head * .55, ear, ear, dark)
    elif kind != 'rabbit':
        for dx in (-.09, .03):
            pen.poly([(x + dx - .06, y + head * .3), (x + dx + .05, y + head * .36),
                      (x + dx - .01, y + head * .35 + ear)], dark)
    slope = -25 if kind not in ('cat', 'rabbit') else 0
    pen.oval(x, y, head * .62, head * .52, face, angle=slope, **look)
    if muzzle:
        mx, my = x + head * .5, y - head * (.34 if slope else .12)
        pen.oval(mx, my, muzzle * .8, muzzle * .52, face * (.9 if kind != 'fox' else 1),
                 angle=slope)
        nose = (235, 140, 140) if kind == 'pig' else (40, 32, 30)
        pen.oval(mx + muzzle * .6, my - muzzle * .05, muzzle * .26, muzzle * .26, nose)
    pen.oval(x + head * .2, y + head * .14, .022, .026, (18, 16, 16), soft=0)


def _from_side(rng, pixels, kind):
    length, thick, leg, leg_w, neck, neck_w, angle, head, muzzle, ear, tail = _BUILD[kind]
    length *= rng.uniform(.93, 1.07)
    thick *= rng.uniform(.93, 1.08)
    coat, pattern, second = _coat(rng, kind)
    look = dict(tex=9, pattern=pattern, second=second)
    nominal = 1.2
    pen = Pen(rng, length + 1.5, nominal + .75, pixels)
    pen.nominal = nominal
    left = .75
    right = left + length
    mid = leg + thick / 2
    legs = tint(rng, (52, 44, 40)) if kind in ('sheep', 'fox') else coat
    striped = dict(pattern=pattern, second=second) if kind == 'zebra' else {}
    lying = kind in ('cow', 'dog', 'cat', 'deer', 'sheep') and rng.random() < .12
    drop = leg * .8 if lying else 0
    for far in (True, False):
        for x in (left + .14 * length, right - .14 * length):
            step = rng.uniform(-.35, .35) * leg
            if far:
                x += .06
            shade = .58 if far else .85
            foot = 0.03
            if lying:
                pen.limb(x, leg_w, leg_w, x + leg * .8, leg_w * .6, leg_w * .8, legs * shade)
                continue
            knee = (x + step * .6, leg * .45)
            pen.limb(x, mid - thick * .1, leg_w * 1.7, *knee, leg_w, legs * shade, **striped)
            pen.limb(*knee, leg_w, x + step * .75, foot, leg_w * .75, legs * shade, **striped)
            pen.oval(x + step * .75 + .02, foot, leg_w * .5, .035, coat * .35)
        if far:
            if tail:
                base = (left + .04, mid + thick * .25 - drop)
                bushy = kind in ('fox', 'horse')
                up = kind in ('dog', 'cat') and rng.random() < .6
                tip = (left - tail * (.55 if bushy or up else .2),
                       base[1] + (tail * .8 if up else -tail * .75))
                width = .15 if kind == 'fox' else .1 if kind == 'horse' else .05
                hair = coat * (.45 if kind == 'horse' else .85)
                pen.limb(*base, width * .6, *tip, width, hair, tex=5)
                if kind == 'fox':
                    pen.oval(*tip, .07, .07, (238, 232, 222))
                if kind in ('cow', 'zebra'):
                    pen.oval(*tip, .04, .08, coat * .4)
    y = mid - drop
    if kind == 'sheep':
        for _ in range(34):
            a, r = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
            pen.oval((left + right) / 2 + .44 * length * r * math.cos(a),
                     y + .36 * thick * r * math.sin(a), .13, .13,
                     coat * rng.uniform(.86, 1.06), tex=9)
    else:
        sag = .12 if kind in ('horse', 'dog', 'deer', 'fox', 'zebra') else 0
        pen.poly(_torso(left, right, y, thick, sag), coat, soft=.3, **look)
        if kind == 'pig' or kind == 'bear':
            pen.oval((left + right) / 2, y, length * .5, thick * .53, coat, **look)
    grazing = kind in ('cow', 'horse', 'sheep', 'goat', 'deer', 'zebra') and rng.random() < .3
    a = math.radians((-38 if grazing else angle) + rng.uniform(-8, 8))
    sx, sy = right - .1 * length, y + thick * (.18 if not grazing else .05)
    reach = neck + .12
    if grazing:
        reach *= 1.25
    hx, hy = sx + reach * math.cos(a), sy + reach * math.sin(a)
    pen.limb(sx - .03, sy, neck_w * 1.45, hx - .02, hy, neck_w * .85, coat, **look)
    if kind in ('horse', 'zebra'):
        pen.limb(sx - .06, sy + neck_w * .7, .09, hx - .09, hy + .09, .09,
                 coat * .35 if kind == 'horse' else grey(40), tex=6)
    face = coat
    if kind == 'sheep':
        face = tint(rng, (48, 42, 40) if rng.random() < .6 else (200, 188, 168))
    _head(pen, rng, kind, hx, hy, head, muzzle, ear, face, {} if kind == 'sheep' else look, face)
    if kind == 'fox':
        pen.oval(right - .03, y - .05, .08, .1, (236, 230, 220))
    if kind == 'goat':
        pen.limb(hx + .08, hy - .12, .05, hx + .06, hy - .26, .02, (225, 220, 205))
    return pen


def _torso(left, right, y, thick, sag):
    top, low = y + thick / 2, y - thick / 2
    n = 10
    upper = [(left + (right - left) * i / n,
              top - thick * (.32 * abs(2 * i / n - 1) ** 4 + .05 * math.sin(math.pi * i / n)))
             for i in range(n + 1)]
    lower = [(left + (right - left) * i / n,
              low + thick * (.4 * abs(2 * i / n - 1) ** 4
                             + sag * 1.6 * math.exp(-((i / n - .25) / .2) ** 2)))
             for i in range(n, -1, -1)]
    return upper + lower


def _from_front(rng, pixels, kind):
    _, thick, leg, leg_w, neck, neck_w, angle, head, muzzle, ear, _ = _BUILD[kind]
    coat, pattern, second = _coat(rng, kind)
    look = dict(tex=9, pattern=pattern, second=second)
    pen = Pen(rng, 1.5, 1.95, pixels)
    pen.nominal = 1.2
    x, mid = .75, leg + thick / 2
    wide = thick * .44
    legs = tint(rng, (52, 44, 40)) if kind in ('sheep', 'fox') else coat
    for s, shade in ((-.7, .55), (.7, .55), (-.9, .85), (.9, .85)):
        dx = s * wide * .75
        pen.limb(x + dx, mid, leg_w * 1.5, x + dx, .03, leg_w * .8, legs * shade)
        pen.oval(x + dx, .03, leg_w * .55, .04, coat * .35)
    if kind == 'sheep':
        for _ in range(26):
            a, r = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
            pen.oval(x + wide * r * math.cos(a), mid + .36 * thick * r * math.sin(a), .12, .12,
                     coat * rng.uniform(.86, 1.06), tex=9)
    else:
        pen.oval(x, mid, wide, thick * .52, coat, **look)
    hy = mid + (neck + .08) * math.sin(math.radians(max(angle, 15))) + thick * .15
    pen.limb(x, mid + .05, neck_w * 1.5, x, hy, neck_w, coat, **look)
    face = tint(rng, (48, 42, 40)) if kind == 'sheep' else coat
    if kind == 'deer':
        for s in (-1, 1):
            horn = (200, 185, 150)
            pen.line([(x + .04 * s, hy + .1), (x + .2 * s, hy + .25), (x + .2 * s, hy + .46)],
                     .03, horn)
            pen.line([(x + .19 * s, hy + .28), (x + .32 * s, hy + .36)], .026, horn)
    if kind == 'cow':
        for s in (-1, 1):
            pen.line([(x + .08 * s, hy + .14), (x + .2 * s, hy + .2), (x + .21 * s, hy + .3)],
                     .045, (212, 205, 185))
    for s in (-1, 1):
        if kind in ('cat', 'fox', 'horse', 'zebra', 'bear', 'deer'):
            pen.limb(x + s * head * .4, hy + head * .3, .1, x + s * head * .6,
                     hy + head * .35 + ear, .05 if kind != 'bear' else .12, coat * .7)
        elif kind == 'rabbit':
            pen.limb(x + s * .09, hy + .1, .1, x + s * .13, hy + .1 + ear, .08, coat * .85)
        else:
            pen.limb(x + s * head * .5, hy + head * .2, .1, x + s * (head * .6 + ear),
                     hy + head * .05, .07, coat * .7)
    pen.oval(x, hy, head * .58, head * .62, face, **(look if kind != 'sheep' else {}))
    down = head * (1.0 if kind in ('horse', 'zebra', 'deer', 'cow', 'goat', 'sheep') else .5)
    pen.limb(x, hy, head * .95, x, hy - down, max(.14, muzzle * 1.1), face * .95)
    pen.oval(x, hy - down, max(.07, muzzle * .62), max(.07, muzzle * .62), face * .85)
    nose = (230, 130, 132) if kind == 'pig' else (44, 34, 34)
    pen.oval(x, hy - down - .02, .05, .035, nose)
    for s in (-1, 1):
        pen.oval(x + s * head * .3, hy + head * .1, .025, .03, (16, 14, 14), soft=0)
    return pen


@draws(*_BUILD)
def quadruped(rng, pixels, kind):
    """Draw a four-legged animal from the side or the front, standing, lying or grazing."""
    return (_from_front if rng.random() < .22 else _from_side)(rng, pixels, kind)


@draws('goose')
def goose(rng, pixels):
    """Draw a goose with its long neck up."""
    coat = tint(rng, [(232, 230, 224), (140, 124, 108)][rng.integers(2)], .08)
    orange = tint(rng, (236, 140, 40))
    pen = Pen(rng, 1.5, 1.15, pixels)
    for x in (.62, .74):
        pen.line([(x, .3), (x, .03), (x + .09, .02)], .035, orange)
    pen.poly([(.1, .55), (.3, .5), (.4, .36), (.32, .42)], coat * .8)
    pen.oval(.66, .42, .38, .2, coat, angle=8, tex=6)
    pen.oval(.58, .45, .27, .12, coat * .84, angle=12, tex=9)
    up = rng.uniform(.85, 1.0)
    pen.limb(.93, .48, .17, 1.0, up, .09, coat if coat[0] > 200 else grey(35))
    pen.oval(1.03, up + .02, .09, .075, coat if coat[0] > 200 else grey(35))
    pen.poly([(1.09, up + .05), (1.25, up - .01), (1.09, up - .02)], orange)
    pen.oval(1.05, up + .04, .015, .015, (15, 15, 15), soft=0)
    return pen


_SKIN = ((236, 196, 168), (214, 166, 130), (160, 112, 80), (96, 66, 48))


def _clothes(rng):
    top = hsv(rng, (0, 1), (.05, .9), (.12, .92))
    legs = [tint(rng, (48, 58, 92), .3), grey(rng.uniform(22, 80)), tint(rng, (140, 120, 92))]
    return top, legs[rng.integers(3)], tint(rng, _SKIN[rng.integers(4)], .06)


@draws('person')
def person(rng, pixels):
    """Draw somebody walking or standing, seen from the side, the front or behind."""
    top, legs, skin = _clothes(rng)
    hair = tint(rng, [(40, 30, 24), (92, 62, 36), (190, 160, 100), (120, 118, 116)][
        rng.integers(4)], .2)
    pen = Pen(rng, 1.0, 1.8, pixels)
    side = rng.random() < .5
    stride = rng.uniform(.05, .34) if side else .06
    coat = rng.random() < .35
    x = .5
    for s, shade in ((-1, .72), (1, 1)):
        hip = x + (0 if side else s * .085)
        foot = hip + s * stride
        knee = ((hip + foot) / 2 + (.05 if side else 0), .5)
        pen.limb(hip, .88, .2, *knee, .15, legs * shade)
        pen.limb(*knee, .15, foot, .07, .1, legs * shade)
        pen.oval(foot + (.05 if side else 0), .045, .1 if side else .06, .045, grey(30))
    swing = stride * .7
    arms = ((-1, .75), (1, .95))
    for s, shade in arms[:1] if side else arms:
        ax = x + (-.02 if side else s * .2)
        pen.limb(ax, 1.36, .12, ax + (s * swing if side else s * .06), .86, .09, top * shade)
        pen.oval(ax + (s * swing if side else s * .06), .83, .045, .05, skin)
    wide = .15 if side else .22
    low = .62 if coat else .84
    pen.slab(x - wide, low, x + wide, 1.45, .12, top, tex=4)
    if not side and rng.random() < .5:
        pen.rect(x - .015, low, x + .015, 1.42, top * .6, soft=0)
    if side:
        pen.limb(x, 1.36, .12, x + swing, .88, .09, top * .82)
        pen.oval(x + swing, .85, .045, .05, skin)
    if rng.random() < .25:
        bag = hsv(rng, sat=(.2, .8), val=(.2, .7))
        left, right = (x - wide - .12, x - .08) if side else (x - wide + .06, x + .16)
        pen.slab(left, 1.0, right, 1.4, .06, bag)
    pen.rect(x - .05, 1.42, x + .05, 1.52, skin * .85)
    pen.oval(x + (.02 if side else 0), 1.62, .1, .13, skin)
    back = not side and rng.random() < .5
    pen.oval(x - (.03 if side else 0), 1.66 if not back else 1.63, .11, .1 if not back else .13,
             hair)
    if not back:
        pen.oval(x + (.05 if side else 0), 1.6, .075, .085, skin, soft=.1)
    return pen


@draws('rider')
def rider(rng, pixels):
    """Draw somebody who sits on two wheels, from the side ('side') and behind or before."""
    top, legs, skin = _clothes(rng)
    helmet = hsv(rng, sat=(.1, .9), val=(.2, .95))
    side = Pen(rng, 1.15, 1.3, pixels)
    side.limb(.42, .52, .2, .72, .36, .16, legs)
    side.limb(.72, .36, .15, .62, .06, .1, legs * .9)
    side.oval(.67, .04, .1, .04, grey(30))
    side.limb(.4, .5, .26, .62, .96, .26, top)
    side.limb(.62, .95, .1, .98, .68, .08, top * .8)
    side.oval(1.0, .67, .05, .045, skin)
    side.oval(.7, 1.12, .095, .12, skin)
    side.oval(.69, 1.18, .13, .09, helmet)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, .8, 1.3, pixels)
        for s in (-1, 1):
            pen.limb(.4 + s * .08, .5, .18, .4 + s * .16, .3, .14, legs)
            pen.limb(.4 + s * .16, .3, .14, .4 + s * .12, .05, .1, legs * .85)
            pen.limb(.4 + s * .2, .9, .12, .4 + s * .28, .6, .09, top * .8)
        pen.slab(.18, .42, .62, 1.0, .14, top, tex=4)
        pen.oval(.4, 1.12, .1, .12, skin)
        pen.oval(.4, 1.18 if view == 'front' else 1.14, .13, .09 if view == 'front' else .13,
                 helmet)
        views[view] = pen
    return views
