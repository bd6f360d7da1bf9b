# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw everyday things that may stand or lie about; one unit is the thing's usual height."""

from __future__ import annotations

import math

import numpy as np

from vl4ad_workshop.scenes.pen import checks, grey, hsv, net, Pen, stripes, tint
from vl4ad_workshop.scenes.registry import draws

_WOOD = (178, 134, 84)
_CARDBOARD = (186, 144, 96)


def _wood(rng):
    return tint(rng, [_WOOD, (124, 82, 48), (206, 176, 130)][rng.integers(3)], .15)


def _vivid(rng):
    return hsv(rng, sat=(.5, .95), val=(.4, .95))


@draws('box')
def box(rng, pixels):
    """Draw a cardboard box, closed or with its flaps open."""
    c = tint(rng, _CARDBOARD, .16)
    pen = Pen(rng, 1.45, 1.25, pixels)
    d, e = rng.uniform(.15, .35), rng.uniform(.1, .2)
    if rng.random() < .5:
        pen.poly([(.05, .8), (.05 + d, .8 + e), (1.1 + d, .8 + e), (1.1, .8)], c * 1.15, soft=.05)
        pen.poly([(.5, .8), (.5 + d, .8 + e), (.64 + d, .8 + e), (.64, .8)], (222, 208, 168),
                 soft=0)
    else:
        pen.poly([(.05, .8), (.05 + d, .8 + e), (1.1 + d, .8 + e), (1.1, .8)], c * .45, soft=0)
        pen.poly([(.05 + d, .8 + e), (d, 1.18), (1.05 + d, 1.2), (1.1 + d, .8 + e)], c * .95)
        pen.poly([(.05, .8), (.0, .62), (1.1, .6), (1.1, .8)], c * 1.12)
    pen.poly([(1.1, 0), (1.1 + d, e), (1.1 + d, .8 + e), (1.1, .8)], c * .66, soft=.05, tex=3)
    pen.rect(.05, 0, 1.1, .78, c, soft=.05, tex=4)
    pen.rect(.5, .5, .64, .78, (222, 208, 168), soft=0)
    if rng.random() < .6:
        pen.rect(.14, .12, .42, .34, grey(rng.uniform(60, 240)), soft=0)
    return pen


@draws('crate')
def crate(rng, pixels):
    """Draw a wooden or plastic crate with slats."""
    c = _wood(rng) if rng.random() < .65 else _vivid(rng)
    pen = Pen(rng, 1.3, 1, pixels)
    pen.rect(.04, .02, 1.26, .98, c * .35, soft=0)
    for y in np.linspace(.02, .78, 4):
        pen.rect(.02, y, 1.28, y + .17, c, tex=10, soft=.1)
    for x in (.02, 1.14):
        pen.rect(x, 0, x + .14, 1.0, c * .85, tex=8)
    if rng.random() < .5:
        pen.line([(.12, .06), (1.18, .94)], .12, c * .9)
    return pen


@draws('tyre')
def tyre(rng, pixels):
    """Draw a car tyre without its wheel, upright or lying flat."""
    pen = Pen(rng, 1.1, 1.0, pixels)
    c = grey(rng.uniform(26, 44))
    if rng.random() < .55:
        pen.oval(.55, .5, .5, .5, c, pattern=stripes(.08, rng.uniform(0, 3), .5), second=c * 1.4)
        pen.oval(.55, .5, .4, .4, c * 1.35, tex=3)
        pen.oval(.55, .5, .25, .25, c * .3, soft=0)
        pen.ring(.55, .5, .33, .02, c * 2.2, soft=0)
    else:
        pen.slab(.03, .02, 1.07, .42, .17, c, pattern=stripes(.09, .3, .5), second=c * 1.5)
        pen.oval(.55, .42, .5, .16, c * 1.4)
        pen.oval(.55, .43, .29, .085, c * .35, soft=0)
    return pen


@draws('cone')
def cone(rng, pixels):
    """Draw a traffic cone, standing or toppled."""
    c = tint(rng, (244, 92, 24), .1)
    if rng.random() < .85:
        pen = Pen(rng, .68, 1, pixels)
        pen.slab(.0, .0, .68, .09, .03, c * .75 if rng.random() < .6 else grey(34))
        pen.poly([(.1, .07), (.29, .98), (.39, .98), (.58, .07)], c)
        for y0, y1 in ((.3, .48), (.62, .78))[:rng.integers(1, 3)]:
            x0, x1 = .1 + .19 * y0, .1 + .19 * y1
            pen.poly([(x0, y0), (x1, y1), (.68 - x1, y1), (.68 - x0, y0)], (240, 240, 238))
        return pen
    pen = Pen(rng, 1.05, 1, pixels)
    pen.poly([(.05, .0), (.15, .62), (.22, .62), (.13, 0)], c * .7)
    pen.poly([(.16, .05), (.2, .56), (1.02, .12), (1.02, .04)], c)
    pen.poly([(.42, .04), (.44, .43), (.58, .36), (.57, .04)], (240, 240, 238))
    return pen


@draws('sofa')
def sofa(rng, pixels):
    """Draw a two- or three-seat sofa."""
    c = hsv(rng, sat=(.2, .8), val=(.25, .8))
    look = dict(tex=7)
    if rng.random() < .4:
        look.update(pattern=checks(.14, .14), second=c * .8)
    pen = Pen(rng, 2.1, 1, pixels)
    for x in (.2, 1.9):
        pen.rect(x - .05, 0, x + .05, .12, grey(40))
    pen.slab(.14, .3, 1.96, .98, .14, c, **look)
    n = rng.integers(2, 4)
    for k in range(n):
        x0, x1 = .28 + 1.54 * k / n, .28 + 1.54 * (k + 1) / n
        pen.slab(x0 + .01, .52, x1 - .01, .9, .07, c * 1.05, **look)
        pen.slab(x0, .34, x1, .56, .07, c * 1.16, **look)
    pen.rect(.2, .08, 1.9, .36, c * .8, **look)
    for x in (.02, 1.8):
        pen.slab(x, .08, x + .28, .68, .12, c * .92, **look)
    return pen


@draws('chair')
def chair(rng, pixels):
    """Draw a chair from the side or the front."""
    c = _wood(rng) if rng.random() < .6 else _vivid(rng)
    pen = Pen(rng, .62, 1, pixels)
    if rng.random() < .5:
        pen.line([(.1, 0), (.12, .98)], .07, c)
        pen.line([(.5, 0), (.5, .45)], .07, c * .9)
        pen.line([(.22, .05), (.2, .44)], .05, c * .6)
        pen.line([(.42, .05), (.42, .44)], .05, c * .6)
        pen.slab(.06, .43, .57, .53, .03, c * 1.1)
        pen.line([(.12, .2), (.5, .2)], .04, c * .8)
    else:
        for x in (.08, .54):
            pen.line([(x, 0), (x, .98)], .06, c)
        pen.slab(.06, .8, .56, .97, .04, c)
        pen.rect(.06, .6, .56, .7, c * .95)
        pen.slab(.02, .42, .6, .53, .04, c * 1.15)
        pen.line([(.08, .22), (.54, .22)], .04, c * .8)
    return pen


@draws('table')
def table(rng, pixels):
    """Draw a table with four legs."""
    c = _wood(rng)
    pen = Pen(rng, 1.95, 1.05, pixels)
    for x in (.3, 1.65):
        pen.line([(x, .12), (x, .85)], .07, c * .55)
    for x in (.12, 1.83):
        pen.line([(x, 0), (x, .85)], .09, c * .9)
    pen.rect(.1, .72, 1.85, .84, c * .75)
    pen.poly([(.0, .84), (.22, 1.0), (1.73, 1.0), (1.95, .84)], c * 1.15, tex=9)
    pen.rect(0, .8, 1.95, .86, c)
    return pen


@draws('barrel')
def barrel(rng, pixels):
    """Draw a steel drum or a wooden barrel, upright."""
    pen = Pen(rng, .7, 1, pixels)
    if rng.random() < .65:
        c = _vivid(rng)
        pen.slab(.02, .02, .68, .95, .06, c, soft=.3, tex=6)
        for y in (.33, .64):
            pen.rect(.0, y, .7, y + .05, c * .65, soft=.3)
        pen.oval(.35, .94, .33, .055, c * 1.2)
        pen.oval(.35, .94, .28, .04, c * .7, soft=0)
    else:
        c = _wood(rng)
        pen.poly([(.1, 0), (0, .3), (0, .7), (.1, .97), (.6, .97), (.7, .7), (.7, .3), (.6, 0)], c,
                 soft=.3, tex=8, pattern=stripes(.1, 0, .12), second=c * .5)
        for y in (.12, .3, .66, .84):
            pen.rect(.03, y, .67, y + .05, grey(66), soft=.3)
        pen.oval(.35, .96, .26, .045, c * 1.1)
    return pen


@draws('suitcase')
def suitcase(rng, pixels):
    """Draw a suitcase: a ribbed trolley case or a leather one with a handle."""
    c = hsv(rng, sat=(.3, .95), val=(.2, .8))
    if rng.random() < .6:
        pen = Pen(rng, .66, 1, pixels)
        pen.line([(.2, .78), (.2, .97), (.46, .97), (.46, .78)], .035, grey(90))
        pen.slab(.03, .05, .63, .8, .08, c, pattern=stripes(.1, 0, .3), second=c * .72)
        for x in (.12, .54):
            pen.oval(x, .05, .05, .05, grey(24))
        return pen
    c = tint(rng, (128, 80, 44), .3)
    pen = Pen(rng, 1.25, 1, pixels)
    pen.line([(.48, .8), (.5, .95), (.75, .95), (.77, .8)], .06, c * .6)
    pen.slab(.02, .02, 1.23, .84, .1, c, tex=5)
    for x in (.22, .94):
        pen.rect(x, .02, x + .09, .84, c * .55)
    pen.rect(.02, .48, 1.23, .52, c * .4, soft=0)
    return pen


@draws('rubbish bin')
def rubbish_bin(rng, pixels):
    """Draw a wheelie bin."""
    c = [tint(rng, (36, 88, 48)), grey(rng.uniform(40, 80)), tint(rng, (30, 60, 120)),
         tint(rng, (196, 160, 30))][rng.integers(4)]
    lid = c if rng.random() < .6 else _vivid(rng)
    pen = Pen(rng, .66, 1, pixels)
    pen.poly([(.1, .05), (.03, .84), (.63, .84), (.56, .05)], c, tex=4)
    if rng.random() < .5:
        pen.rect(.24, .3, .42, .55, grey(215), soft=0)
    pen.poly([(.0, .82), (.03, .93), (.25, 1.0), (.45, 1.0), (.63, .93), (.66, .82)], lid * .85)
    pen.rect(0, .8, .66, .86, lid * .6)
    for x in (.12, .54):
        pen.oval(x, .08, .08, .08, grey(26))
    return pen


@draws('log')
def log(rng, pixels):
    """Draw a felled trunk with its cut end."""
    c = tint(rng, (104, 76, 50), .25)
    pen = Pen(rng, rng.uniform(3.2, 4.8), 1.25, pixels)
    w = pen.width
    pen.line([(w * .5, .6), (w * .58, 1.2)], .2, c * .8, tex=12)
    pen.oval(.4, .5, .3, .48, c * .9, tex=12)
    pen.rect(.4, .02, w - .4, .98, c, tex=16, soft=.3, pattern=stripes(.17, 1.5, .3),
             second=c * .66)
    pen.oval(w - .4, .5, .34, .48, tint(rng, (214, 178, 124), .08), tex=6)
    for r in (.1, .2, .3, .4):
        pen.line([(w - .4 + .7 * r * math.cos(t), .5 + r * math.sin(t))
                  for t in np.linspace(0, 2 * math.pi, 16)], .02, (150, 110, 66), soft=0)
    return pen


@draws('ladder')
def ladder(rng, pixels):
    """Draw a ladder, upright, as a stepladder, or lying."""
    c = [grey(rng.uniform(150, 205)), _wood(rng), tint(rng, (220, 160, 40))][rng.integers(3)]
    form = rng.integers(3)
    if form == 2:
        pen = Pen(rng, .95, .34, pixels)
        for y0, y1 in ((.03, .08), (.22, .3)):
            pen.line([(.02, y0), (.93, y1)], .03, c)
        for x in np.linspace(.08, .88, 8):
            pen.line([(x, .04), (x, .27)], .022, c * .85)
        pen.nominal = 1.0
        return pen
    pen = Pen(rng, .5 if form else .36, 1, pixels)
    lean = .1 if form else 0
    if form:
        for x in (.06, .44):
            pen.line([(x + (.03 if x < .2 else -.03), .02), (.25, .97)], .025, c * .55)
    for a, b in (((.04, 0), (.04 + lean, 1)), ((pen.width - .04, 0), (pen.width - .04 - lean, 1))):
        pen.line([a, b], .05, c)
    for y in np.linspace(.1, .92, 7):
        pen.line([(.05 + lean * y, y), (pen.width - .05 - lean * y, y)], .04, c * .9)
    return pen


@draws('ball')
def ball(rng, pixels):
    """Draw a ball: football, beach ball or basketball."""
    pen = Pen(rng, 1, 1, pixels)
    form = rng.integers(3)
    if form == 0:
        pen.oval(.5, .5, .49, .49, grey(236), soft=.3)
        for k in range(6):
            t = 2 * math.pi * k / 5 + .3
            r = 0 if k == 5 else .36
            x, y = .5 + r * math.cos(t), .5 + r * math.sin(t)
            pen.poly([(x + .12 * math.cos(a), y + .12 * math.sin(a))
                      for a in np.linspace(0, 2 * math.pi, 6)[:-1] + t], grey(28), soft=0)
    elif form == 1:
        pen.oval(.5, .5, .49, .49, _vivid(rng), soft=.3, pattern=stripes(
            rng.uniform(.3, .45), rng.uniform(0, 3), .5, rng.random()), second=_vivid(rng))
    else:
        pen.oval(.5, .5, .49, .49, tint(rng, (216, 112, 44)), soft=.3, tex=4)
        pen.line([(.02, .5), (.98, .5)], .03, grey(30), soft=0)
        pen.line([(.5, .02), (.5, .98)], .03, grey(30), soft=0)
    return pen


@draws('boat')
def boat(rng, pixels):
    """Draw a motor boat on a cradle or an open dinghy."""
    c = _vivid(rng) if rng.random() < .5 else grey(232)
    pen = Pen(rng, 2.6, 1.1, pixels)
    for x in (.7, 1.7):
        pen.rect(x - .06, 0, x + .06, .3, grey(70))
    if rng.random() < .7:
        pen.poly([(.7, .6), (.85, .98), (1.4, 1.0), (1.75, .6)], grey(236))
        pen.poly([(.95, .7), (1.0, .92), (1.36, .93), (1.55, .7)], (70, 88, 104), soft=0)
        pen.line([(.4, .6), (.4, 1.08)], .03, grey(90))
    pen.poly([(.05, .6), (.18, .2), (1.8, .16), (2.25, .35), (2.58, .72), (1.6, .62)], c,
             pattern=stripes(.7, 1.57, .25), second=_vivid(rng))
    pen.line([(.05, .6), (1.6, .62), (2.58, .72)], .05, c * .6)
    pen.rect(.0, .25, .12, .7, grey(44))
    return pen


@draws('bench')
def bench(rng, pixels):
    """Draw a park bench with slats."""
    c = _wood(rng)
    pen = Pen(rng, 2.0, 1, pixels)
    for x in (.2, 1.8):
        pen.line([(x, 0), (x, .95)], .08, grey(50))
        pen.line([(x + (.08 if x < 1 else -.08), 0), (x, .42)], .06, grey(40))
    for y in (.58, .72, .86):
        pen.rect(.04, y, 1.96, y + .1, c, tex=7)
    pen.poly([(.0, .4), (.08, .5), (1.92, .5), (2.0, .4)], c * 1.12, tex=7)
    pen.rect(0, .35, 2.0, .41, c * .8)
    return pen


@draws('mattress')
def mattress(rng, pixels):
    """Draw a mattress lying flat or bent, leaning up."""
    c = tint(rng, [(228, 224, 212), (196, 206, 220), (214, 200, 180)][rng.integers(3)], .06)
    mark = dict(pattern=stripes(.12, rng.uniform(.6, .9), .2), second=c * .84)
    if rng.random() < .5:
        pen = Pen(rng, 1.9, .56, pixels)
        pen.nominal = 1.0
        pen.poly([(.02, .22), (.3, .5), (1.62, .53), (1.88, .24)], c, **mark)
        pen.slab(.02, .0, 1.88, .25, .08, c * .88, tex=4)
        pen.line([(.05, .12), (1.86, .12)], .025, c * .6)
    else:
        pen = Pen(rng, 1.9, 1, pixels)
        pen.poly([(.02, .03), (.12, .95), (1.6, .92), (1.86, .0)], c, **mark)
        pen.poly([(.12, .95), (.22, 1.0), (1.7, .98), (1.6, .92)], c * .8)
        pen.line([(.04, .05), (.13, .93), (1.59, .9)], .03, c * .6)
    return pen


@draws('television')
def television(rng, pixels):
    """Draw a flat or an old tube television."""
    pen = Pen(rng, 1.4, 1, pixels)
    screen = np.array([44, 52, 60]) * rng.uniform(.5, 1.3)
    if rng.random() < .5:
        pen.poly([(.45, 0), (.55, .07), (.85, .07), (.95, 0)], grey(40))
        pen.rect(.64, .05, .76, .2, grey(46))
        pen.slab(.02, .15, 1.38, .98, .03, grey(24))
        pen.rect(.07, .21, 1.33, .93, screen, gloss=.5, soft=0)
    else:
        c = [_wood(rng), grey(60), grey(140)][rng.integers(3)]
        pen.slab(.1, .05, 1.3, .86, .08, c, tex=5)
        pen.slab(.18, .14, .98, .78, .12, screen * 1.5 + 20, gloss=.4)
        for y in (.65, .5):
            pen.oval(1.14, y, .06, .06, grey(200))
        pen.rect(1.05, .16, 1.24, .38, grey(40), pattern=stripes(.04, 1.57), second=c)
        pen.line([(.7, .86), (.45, 1.0)], .02, grey(160))
        pen.line([(.7, .86), (.95, 1.0)], .02, grey(160))
        for x in (.25, 1.15):
            pen.rect(x - .05, 0, x + .05, .07, grey(30))
    return pen


@draws('wheelbarrow')
def wheelbarrow(rng, pixels):
    """Draw a wheelbarrow."""
    c = [tint(rng, (50, 120, 60)), tint(rng, (190, 50, 36)), grey(150)][rng.integers(3)]
    pen = Pen(rng, 2.1, 1, pixels)
    pen.line([(.05, .74), (.8, .5), (1.7, .28)], .07, grey(70))
    pen.line([(.7, .5), (.6, .0), (.85, .0), (1.0, .45)], .06, grey(70))
    if rng.random() < .5:
        pen.oval(1.15, .85, .4, .15, tint(rng, (98, 74, 50), .3), tex=16)
    pen.poly([(.55, .9), (.8, .42), (1.4, .4), (1.9, .96)], c)
    pen.line([(.53, .9), (1.92, .96)], .06, c * .65)
    pen.wheel(1.7, .25, .25, rim=c * .8)
    return pen


@draws('bucket')
def bucket(rng, pixels):
    """Draw a bucket with its handle."""
    c = _vivid(rng) if rng.random() < .6 else grey(165)
    pen = Pen(rng, 1, 1.25, pixels)
    t = np.linspace(0, math.pi, 12)
    if rng.random() < .6:
        pen.line([(.5 - .44 * math.cos(a), .92 + .3 * math.sin(a)) for a in t], .035, grey(120))
    pen.poly([(.2, .02), (.04, .92), (.96, .92), (.8, .02)], c, soft=.3)
    pen.oval(.5, .92, .46, .1, c * 1.15)
    pen.oval(.5, .92, .4, .075, c * .4, soft=0)
    pen.line([(.09, .7), (.91, .7)], .03, c * .7)
    return pen


@draws('refrigerator')
def refrigerator(rng, pixels):
    """Draw a refrigerator: tall, two doors, handles."""
    c = grey(rng.uniform(205, 244)) if rng.random() < .75 else tint(rng, (150, 190, 180))
    pen = Pen(rng, .5, 1, pixels)
    d = rng.uniform(.05, .12)
    pen.poly([(.42, .02), (.42 + d * .6, .05), (.42 + d * .6, .98), (.42, .98)], c * .6)
    pen.slab(.01, .02, .42, .99, .03, c, soft=.06)
    y = rng.choice([.36, .66])
    pen.line([(.01, y), (.42, y)], .015, c * .45, soft=0)
    for a, b in ((y + .04, y + .2), (y - .2, y - .04)):
        pen.line([(.06, a), (.06, b)], .022, grey(90))
    pen.rect(.03, 0, .4, .03, grey(50), soft=0)
    return pen


@draws('tent')
def tent(rng, pixels):
    """Draw a ridge or dome tent."""
    c = _vivid(rng)
    pen = Pen(rng, 1.9, 1, pixels)
    if rng.random() < .5:
        pen.poly([(.7, .98), (1.5, .92), (1.88, .0), (1.3, .0)], c * .72)
        pen.poly([(.02, .0), (.7, .98), (1.35, .0)], c)
        pen.poly([(.5, .0), (.7, .7), (.92, .0)], c * .25, soft=0)
        pen.poly([(.7, .7), (.92, 0), (1.08, .0)], c * 1.2)
    else:
        t = np.linspace(0, math.pi, 18)
        pen.poly([(.95 - .92 * math.cos(a), .96 * math.sin(a) ** .8) for a in t], c)
        pen.poly([(.95 - .36 * math.cos(a), .7 * math.sin(a) ** .8) for a in t], c * .3, soft=0)
        for k in (-.5, .5):
            pen.line([(.95 + 1.8 * k * math.cos(a) * .9, .92 * math.sin(a)) for a in t[:9]], .02,
                     c * .55)
    return pen


@draws('backpack')
def backpack(rng, pixels):
    """Draw a backpack with pockets and straps."""
    c = hsv(rng, sat=(.3, .95), val=(.2, .8))
    d = hsv(rng, sat=(.1, .9), val=(.2, .8))
    pen = Pen(rng, .8, 1.05, pixels)
    pen.line([(.3, .95), (.33, 1.03), (.47, 1.03), (.5, .95)], .04, c * .5)
    pen.slab(.1, .02, .7, .98, .25, c)
    pen.slab(.02, .08, .16, .45, .06, c * .75)
    pen.slab(.64, .08, .78, .45, .06, c * .75)
    pen.slab(.18, .06, .62, .45, .08, d)
    pen.line([(.2, .38), (.6, .38)], .02, grey(30), soft=0)
    pen.line([(.16, .68), (.64, .68)], .025, grey(34), soft=0)
    return pen


@draws('potted plant')
def potted_plant(rng, pixels):
    """Draw a plant in a pot."""
    pot = tint(rng, [(188, 96, 58), (90, 90, 96), (220, 214, 200)][rng.integers(3)])
    leaf = hsv(rng, (.22, .38), (.45, .85), (.25, .65))
    pen = Pen(rng, .85, 1.05, pixels)
    for _ in range(22):
        a = rng.uniform(.1, .9) * math.pi
        r = rng.uniform(.25, .62)
        x, y = .42 + .62 * r * math.cos(a), .38 + r * math.sin(a)
        pen.limb(.42, .34, .03, x, y, .05, leaf * rng.uniform(.6, 1))
        pen.oval(x, y, .11, .05, leaf * rng.uniform(.75, 1.25), angle=math.degrees(a))
    if rng.random() < .4:
        bloom = _vivid(rng)
        for _ in range(6):
            pen.oval(.42 + rng.uniform(-.25, .25), rng.uniform(.6, .95), .05, .05, bloom)
    pen.poly([(.24, 0), (.16, .34), (.68, .34), (.6, 0)], pot, soft=.3)
    pen.rect(.13, .3, .71, .4, pot * .9)
    return pen


@draws('rubbish bag')
def rubbish_bag(rng, pixels):
    """Draw a tied rubbish bag."""
    c = [grey(rng.uniform(28, 50)), tint(rng, (60, 84, 140)), grey(205)][rng.choice(
        3, p=[.65, .2, .15])]
    pen = Pen(rng, 1, 1, pixels)
    pen.poly([(.42, .7), (.3, .97), (.42, .9), (.5, 1.0), (.58, .9), (.7, .95), (.58, .7)], c * .9)
    t = np.linspace(0, 2 * math.pi, 14)[:-1]
    r = rng.uniform(.88, 1.05, 13)
    pen.poly([(.5 + .47 * k * math.cos(a), .38 + .39 * k * math.sin(a)) for a, k in zip(t, r)], c,
             soft=.3, tex=7)
    for _ in range(7):
        a = rng.uniform(.2, .8) * math.pi
        pen.line([(.5, .72), (.5 + .4 * math.cos(a), .72 - rng.uniform(.2, .5) * math.sin(a))],
                 .02, c * 1.7 + 12, soft=0)
    return pen


@draws('pipe')
def pipe(rng, pixels):
    """Draw a pipe lying on the ground, its round opening showing."""
    c = [tint(rng, (190, 96, 60)), grey(rng.uniform(120, 180)), tint(rng, (60, 110, 170))][
        rng.integers(3)]
    pen = Pen(rng, rng.uniform(3.5, 5.5), 1, pixels)
    w = pen.width
    pen.rect(.3, .06, w - .28, .94, c, soft=.35)
    pen.rect(w - 1.0, .0, w - .3, 1.0, c * .95, soft=.35)
    pen.oval(w - .3, .5, .26, .49, c * 1.15)
    pen.oval(w - .3, .5, .2, .4, grey(22), soft=0)
    pen.oval(.3, .5, .2, .44, c * .9)
    return pen


@draws('toilet')
def toilet(rng, pixels):
    """Draw a toilet bowl with its cistern, from the side or the front."""
    c = tint(rng, (238, 238, 234), .05)
    pen = Pen(rng, .85, 1.05, pixels)
    if rng.random() < .55:
        pen.slab(.03, .48, .27, 1.0, .04, c * .96)
        pen.poly([(.2, .0), (.25, .3), (.18, .5), (.82, .5), (.68, .22), (.58, .0)], c)
        pen.slab(.16, .46, .84, .55, .04, c * .86)
        pen.limb(.25, .58, .06, .3, .98, .05, c * .92)
        pen.rect(.1, .98, .2, 1.03, grey(140))
    else:
        pen.slab(.14, .5, .71, 1.02, .05, c * .96)
        pen.rect(.37, .9, .48, .95, grey(150))
        pen.poly([(.28, 0), (.3, .2), (.14, .4), (.71, .4), (.55, .2), (.57, 0)], c)
        pen.oval(.425, .44, .3, .14, c * .85)
        pen.oval(.425, .44, .22, .095, grey(84), soft=0)
    return pen


@draws('canister')
def canister(rng, pixels):
    """Draw a jerrycan."""
    c = [tint(rng, (196, 36, 30)), tint(rng, (72, 88, 52)), tint(rng, (36, 84, 170))][
        rng.integers(3)]
    pen = Pen(rng, .8, 1, pixels)
    pen.poly([(.04, .02), (.04, .72), (.24, .88), (.62, .88), (.76, .74), (.76, .02)], c)
    pen.slab(.2, .8, .54, .98, .05, c * .9)
    pen.slab(.27, .84, .47, .91, .03, grey(60), soft=0)
    pen.rect(.6, .82, .74, .97, grey(36))
    for a, b in (((.14, .14), (.66, .64)), ((.14, .64), (.66, .14))):
        pen.line([a, b], .05, c * .68)
    return pen


@draws('teddy bear')
def teddy_bear(rng, pixels):
    """Draw a sitting teddy bear."""
    c = tint(rng, [(190, 138, 82), (226, 200, 160), (130, 88, 60)][rng.integers(3)])
    pen = Pen(rng, .9, 1.05, pixels)
    for s in (-1, 1):
        pen.oval(.45 + s * .2, .95, .09, .09, c * .85)
        pen.limb(.45 + s * .22, .5, .16, .45 + s * .38, .3, .14, c * .9, tex=8)
    pen.oval(.45, .36, .28, .3, c, tex=8)
    pen.oval(.45, .34, .17, .2, c * 1.2)
    for s in (-1, 1):
        pen.oval(.45 + s * .26, .12, .16, .12, c * .92, tex=8)
        pen.oval(.45 + s * .3, .12, .08, .08, c * 1.25)
    pen.oval(.45, .78, .25, .22, c, tex=8)
    pen.oval(.45, .71, .11, .085, c * 1.3)
    for x, y, r in ((.36, .82, .03), (.54, .82, .03), (.45, .74, .04)):
        pen.oval(x, y, r, r, grey(18), soft=0)
    if rng.random() < .6:
        pen.poly([(.33, .6), (.33, .5), (.57, .6), (.57, .5)], _vivid(rng))
    return pen


@draws('barrier')
def barrier(rng, pixels):
    """Draw a red and white plank barrier on legs."""
    pen = Pen(rng, 1.65, 1, pixels)
    c = tint(rng, (214, 40, 34), .1)
    for x in (.25, 1.4):
        pen.line([(x - .16, 0), (x, .9)], .06, grey(90))
        pen.line([(x + .16, 0), (x, .9)], .06, grey(120))
    for y in (.68, .34)[:rng.integers(1, 3)]:
        pen.rect(.0, y, 1.65, y + .24, grey(240), soft=.1, pattern=stripes(
            .36, rng.choice([0, .7]), .5), second=c)
    if rng.random() < .5:
        for x in (.25, 1.4):
            pen.oval(x, .96, .05, .05, (250, 180, 40))
    return pen


@draws('bookshelf')
def bookshelf(rng, pixels):
    """Draw a bookcase with books."""
    c = _wood(rng)
    pen = Pen(rng, .6, 1, pixels)
    pen.rect(.0, .0, .6, 1.0, c)
    for y in (.05, .29, .53, .77):
        pen.rect(.04, y, .56, y + .19, c * .35, soft=0)
        x = .05
        while x < .46 and rng.random() < .93:
            w = rng.uniform(.03, .07)
            pen.rect(x, y, x + w, y + rng.uniform(.11, .175), hsv(rng), soft=.1)
            x += w + .004
    return pen


@draws('wardrobe')
def wardrobe(rng, pixels):
    """Draw a wardrobe with two doors."""
    c = _wood(rng)
    pen = Pen(rng, .72, 1, pixels)
    pen.rect(.03, .0, .69, .08, c * .6)
    pen.rect(.0, .06, .72, .96, c * .85)
    pen.rect(-.0, .94, .72, 1.0, c * 1.1)
    for x in (.04, .37):
        pen.rect(x, .1, x + .31, .92, c, tex=9)
        for y0, y1 in ((.16, .48), (.54, .86)):
            pen.rect(x + .06, y0, x + .25, y1, c * .82, soft=.06)
    for x in (.33, .39):
        pen.oval(x, .5, .016, .02, (220, 190, 90))
    return pen


@draws('washing machine')
def washing_machine(rng, pixels):
    """Draw a washing machine with its round door."""
    c = grey(rng.uniform(214, 244))
    pen = Pen(rng, .85, 1, pixels)
    pen.slab(.02, .02, .76, .99, .03, c, soft=.05)
    pen.poly([(.76, .02), (.83, .06), (.83, .97), (.76, .98)], c * .6)
    pen.rect(.03, .83, .75, .97, c * .82, soft=0)
    pen.rect(.07, .86, .27, .94, c * .95)
    pen.oval(.62, .9, .045, .045, grey(90))
    pen.oval(.39, .44, .28, .28, grey(150))
    pen.oval(.39, .44, .215, .215, (46, 56, 68), gloss=.5)
    pen.rect(.06, .0, .72, .03, grey(70), soft=0)
    return pen


@draws('pallet')
def pallet(rng, pixels):
    """Draw a flat wooden pallet, one or several on a pile."""
    c = _wood(rng)
    n = rng.integers(1, 4)
    pen = Pen(rng, 2.5, .36 * n + .3, pixels)
    pen.nominal = 1.04
    for k in range(n):
        y = .36 * k
        pen.rect(.04, y, 2.46, y + .08, c * .8, tex=9)
        for x in (.04, 1.1, 2.16):
            pen.rect(x, y + .06, x + .3, y + .26, c * .65, tex=9)
        pen.rect(0, y + .25, 2.5, y + .35, c, tex=9)
    top = .36 * n
    pen.poly([(0, top), (.25, top + .26), (2.25, top + .26), (2.5, top)], c * .4, soft=0)
    for k in range(5):
        a, b = top + .26 * k / 5, top + .26 * (k + .7) / 5
        ia, ib = .25 * k / 5, .25 * (k + .7) / 5
        pen.poly([(ia, a), (ib, b), (2.5 - ib, b), (2.5 - ia, a)], c * 1.12, tex=9)
    return pen


@draws('shopping cart')
def shopping_cart(rng, pixels):
    """Draw a supermarket trolley."""
    wire = grey(rng.uniform(140, 190))
    pen = Pen(rng, 1.0, 1.05, pixels)
    mesh = dict(pattern=net(.07, .06, .025), second=wire)
    pen.poly([(.14, .42), (.06, .84), (.96, .74), (.86, .42)], wire * .45, soft=0, **mesh)
    pen.line([(.06, .84), (.96, .74), (.86, .42), (.14, .42), (.06, .84)], .035, wire)
    pen.line([(.02, .98), (.1, .8), (.2, .2), (.86, .14)], .04, wire * .9)
    pen.line([(.8, .42), (.25, .2)], .03, wire * .8)
    pen.line([(.0, .99), (.1, 1.01)], .06, _vivid(rng))
    for x in (.24, .84):
        pen.line([(x, .18), (x, .08)], .03, grey(80))
        pen.oval(x, .06, .06, .06, grey(30))
    return pen


@draws('bathtub')
def bathtub(rng, pixels):
    """Draw a bathtub, on feet or panelled."""
    c = tint(rng, (236, 236, 232), .05)
    pen = Pen(rng, 2.6, 1.2, pixels)
    pen.line([(.3, .9), (.3, 1.15), (.48, 1.15), (.48, 1.06)], .06, grey(150))
    if rng.random() < .6:
        for x in (.5, 2.1):
            pen.poly([(x - .12, .22), (x - .06, 0), (x + .06, 0), (x + .12, .22)], grey(120))
        pen.poly([(.08, .9), (.3, .25), (.6, .14), (2.0, .14), (2.3, .25), (2.52, .9)], c)
    else:
        pen.rect(.1, .0, 2.5, .9, c, soft=.06)
    pen.slab(.0, .84, 2.6, .98, .07, c * 1.02)
    pen.poly([(.15, .98), (.35, 1.05), (2.25, 1.05), (2.45, .98)], c * .72, soft=0)
    return pen


@draws('stroller')
def stroller(rng, pixels):
    """Draw a pram with its hood."""
    c = hsv(rng, sat=(.3, .95), val=(.25, .85))
    pen = Pen(rng, .92, 1.05, pixels)
    pen.line([(.04, 1.0), (.3, .62), (.72, .2)], .035, grey(70))
    pen.line([(.72, .62), (.26, .2)], .035, grey(70))
    t = np.linspace(math.pi * .02, math.pi * .62, 10)
    pen.poly([(.52, .6)] + [(.52 + .36 * math.cos(a), .6 + .36 * math.sin(a)) for a in t], c * .85,
             pattern=stripes(.12, .4, .2), second=c * .55)
    pen.poly([(.2, .64), (.26, .4), (.7, .36), (.88, .62)], c)
    pen.slab(.16, .6, .62, .66, .03, c * .6)
    for x in (.25, .74):
        pen.ring(x, .17, .14, .045, grey(34))
        pen.oval(x, .17, .04, .04, grey(150))
    return pen


@draws('lawn mower')
def lawn_mower(rng, pixels):
    """Draw a push mower: low deck, wheels, a long handle."""
    c = _vivid(rng)
    pen = Pen(rng, 1.5, 1, pixels)
    pen.line([(.03, .95), (.75, .3)], .045, grey(60))
    pen.line([(.0, .97), (.12, .93)], .06, grey(28))
    if rng.random() < .6:
        pen.poly([(.22, .6), (.2, .3), (.6, .22), (.62, .5)], grey(70), tex=9)
    pen.poly([(.6, .12), (.62, .36), (1.3, .36), (1.46, .22), (1.46, .12)], c)
    pen.slab(.85, .34, 1.22, .56, .06, grey(50))
    pen.slab(.9, .52, 1.16, .62, .03, c * .8)
    for x, r in ((.66, .17), (1.34, .12)):
        pen.wheel(x, r, r)
    return pen


@draws('rock')
def rock(rng, pixels):
    """Draw a boulder."""
    c = tint(rng, [(132, 126, 118), (104, 100, 98), (150, 130, 108)][rng.integers(3)])
    pen = Pen(rng, 1.5, 1, pixels)
    t = np.linspace(0, math.pi, 8)
    r = rng.uniform(.8, 1.0, 8)
    outline = [(.75 + .73 * k * math.cos(a), .98 * k * math.sin(a)) for a, k in zip(t, r)]
    pen.poly(outline, c, soft=.3, tex=22)
    x, y = .75 + rng.uniform(-.15, .15), rng.uniform(.4, .6)
    for k in (1, 3, 5):
        pen.poly([outline[k], outline[k + 1], (x, y)], c * rng.uniform(.75, 1.2), soft=0, tex=18)
    return pen


@draws('umbrella')
def umbrella(rng, pixels):
    """Draw an open umbrella, upright or lying on its rim."""
    a, b = _vivid(rng), _vivid(rng) if rng.random() < .6 else grey(236)
    pen = Pen(rng, 1.4, 1.05, pixels)
    pen.line([(.7, .5), (.7, .1)], .03, grey(60))
    pen.line([(.7, .1), (.73, .03), (.79, .05)], .03, grey(60))
    n = 6
    rim = [(.7 - .68 * math.cos(t), .52 + .1 * abs(math.sin(3 * t)))
           for t in np.linspace(0, math.pi, n + 1)]
    for k in range(n):
        t0, t1 = math.pi * k / n, math.pi * (k + 1) / n
        arc0 = [(.7 - .68 * math.cos(t0) * s, .5 + .5 * (1 - s ** 2.2)) for s in (1, .8, .5, .2)]
        arc1 = [(.7 - .68 * math.cos(t1) * s, .5 + .5 * (1 - s ** 2.2)) for s in (.2, .5, .8, 1)]
        pen.poly(arc0 + [(.7, 1.0)] + arc1 + [((rim[k][0] + rim[k + 1][0]) / 2, .56)],
                 a if k % 2 else b, soft=.12)
    pen.line([(.7, .98), (.7, 1.05)], .03, grey(60))
    return pen


@draws('hydrant')
def hydrant(rng, pixels):
    """Draw a fire hydrant."""
    c = [tint(rng, (200, 34, 28)), tint(rng, (228, 186, 36)), tint(rng, (60, 110, 170))][
        rng.integers(3)]
    pen = Pen(rng, .66, 1, pixels)
    pen.slab(.1, .0, .56, .1, .03, c * .8)
    pen.rect(.2, .08, .46, .72, c, soft=.35)
    pen.slab(.16, .66, .5, .74, .02, c * .8)
    pen.oval(.33, .76, .14, .13, c)
    pen.rect(.29, .86, .37, .98, c * .7)
    for x in (.08, .58):
        pen.slab(x - .07, .44, x + .07, .62, .03, c * .75)
        pen.rect(min(x, .33), .48, max(x, .33), .58, c * .9)
    pen.oval(.33, .5, .09, .09, c * 1.1)
    pen.oval(.33, .5, .05, .05, grey(200))
    return pen


@draws('piano')
def piano(rng, pixels):
    """Draw an upright piano with its keys."""
    c = [grey(30), tint(rng, (92, 48, 30), .2)][rng.integers(2)]
    pen = Pen(rng, 1.25, 1, pixels)
    pen.rect(.06, .0, 1.19, .9, c)
    pen.rect(.02, .9, 1.23, .98, c * 1.4 + 10)
    pen.rect(.16, .62, 1.09, .86, c * 1.3 + 8, soft=.06)
    pen.rect(.16, .08, 1.09, .4, c * .8, soft=.06)
    pen.rect(.02, .42, 1.23, .47, c * 1.5 + 8)
    pen.rect(.1, .46, 1.15, .56, grey(240), soft=0, pattern=checks(.07, 1, .35, 1),
             second=grey(26))
    for x in (.04, 1.13):
        pen.rect(x, .0, x + .08, .47, c * 1.2)
    pen.rect(.48, .0, .76, .05, (200, 170, 60), soft=0)
    return pen


@draws('kite')
def kite(rng, pixels):
    """Draw a diamond kite with a tail of bows."""
    a, b = _vivid(rng), _vivid(rng)
    pen = Pen(rng, 1.05, 1.3, pixels)
    x = .6
    tail = [(x, .45), (x - .18, .32), (x - .08, .18), (x - .35, .06)]
    pen.line(tail, .02, grey(60), soft=0)
    for px, py in tail[1:]:
        pen.poly([(px - .07, py + .05), (px + .07, py - .05), (px + .07, py + .05),
                  (px - .07, py - .05)], b)
    top, low, left, right = (x, 1.28), (x, .42), (x - .4, .95), (x + .4, .95)
    mid = (x, .95)
    for tri, colour in (((top, left, mid), a), ((top, right, mid), b), ((low, left, mid), b),
                        ((low, right, mid), a)):
        pen.poly(tri, colour, soft=.08)
    pen.line([top, low], .02, grey(40), soft=0)
    pen.line([left, right], .02, grey(40), soft=0)
    return pen


@draws('cable drum')
def cable_drum(rng, pixels):
    """Draw a wooden cable drum, from its flat side or rolled to the front."""
    c, cable = _wood(rng), tint(rng, [(34, 34, 36), (200, 90, 30), (40, 70, 140)][rng.integers(3)])
    if rng.random() < .5:
        pen = Pen(rng, 1, 1, pixels)
        pen.oval(.5, .5, .49, .49, c, tex=8, soft=.06, pattern=stripes(
            .16, rng.uniform(0, 3), .08), second=c * .45)
        pen.ring(.5, .5, .33, .02, c * .5, soft=0)
        pen.oval(.5, .5, .1, .1, grey(24), soft=0)
        for k in range(6):
            t = math.pi * k / 3
            pen.oval(.5 + .24 * math.cos(t), .5 + .24 * math.sin(t), .025, .025, grey(70), soft=0)
    else:
        pen = Pen(rng, .95, 1, pixels)
        pen.rect(.1, .12, .85, .88, cable, soft=.3, pattern=stripes(.05, 0, .5), second=cable * .6)
        for x in (.0, .83):
            pen.slab(x, .0, x + .12, 1.0, .05, c, soft=.3, tex=8)
    return pen
