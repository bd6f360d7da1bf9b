# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw vehicles from the side (nose to the right), from behind and from the front, in metres."""

from __future__ import annotations

import numpy as np

from vl4ad_workshop.scenes.pen import checks, glass, grey, hsv, Pen, stripes, tint
from vl4ad_workshop.scenes.registry import draws

_DARK = (34, 34, 36)
_RED, _WHITE = (205, 28, 30), (244, 240, 222)


def _lacquer(rng):
    pick = rng.random()
    if pick < .5:
        return grey([238, 188, 120, 70, 34][rng.integers(5)]) * rng.uniform(.9, 1.02)
    return tint(rng, [(160, 24, 28), (28, 52, 120), (36, 96, 160), (34, 84, 56), (196, 150, 40),
                      (120, 40, 60), (200, 90, 30), (150, 170, 185)][rng.integers(8)], .2)


def _vivid(rng):
    return hsv(rng, sat=(.55, .95), val=(.4, .95))


def _plate(pen, x, y, width=.5):
    pen.rect(x - width / 2, y - .06, x + width / 2, y + .06, (236, 232, 210), soft=0)


@draws('car')
def car(rng, pixels):
    """Draw a hatchback, saloon, estate or off-roader."""
    paint, pane = _lacquer(rng), glass(rng)
    body = rng.integers(4)  # hatchback, saloon, estate, off-roader
    length, top = ((3.9, 1.48), (4.5, 1.43), (4.6, 1.47), (4.4, 1.6))[body]
    waist = .9 if body < 3 else 1.02
    deck = (.35, 1.05, .3, .25)[body]
    side = Pen(rng, length, 1.65, pixels)
    side.poly([(.35, .25), (length - .3, .25), (length - .3, waist - .1), (.35, waist - .1)],
              _DARK, soft=0)
    side.poly([(deck - .2, waist - .05), (deck + .3, top - .03), (deck + .55, top),
               (length - 1.95, top), (length - 1.6, top - .06), (length - 1.0, waist - .05)],
              paint * .96)
    side.poly([(deck + .12, waist), (deck + .45, top - .1), (length * .47, top - .1),
               (length * .47, waist)], pane, soft=.1, gloss=.2)
    side.poly([(length * .49, waist), (length * .49, top - .1), (length - 1.85, top - .1),
               (length - 1.22, waist)], pane, soft=.1, gloss=.2)
    side.poly([(.04, .35), (.02, waist - .06), (.15, waist + .02), (length - 1.0, waist + .02),
               (length - .25, waist - .14), (length - .03, waist - .3), (length - .02, .35),
               (length - .2, .24), (.2, .24)], paint, gloss=.12)
    side.rect(.1, .24, length - .1, .33, paint * .45, soft=0)
    for x in (length * .48, length * .48 - 1.0):
        side.line([(x, waist), (x, .4)], .02, paint * .6, soft=0)
    side.rect(length * .48 - .3, waist - .15, length * .48 - .1, waist - .11, paint * .55, soft=0)
    side.poly([(.02, waist - .08), (.28, waist - .08), (.2, waist - .26), (.02, waist - .26)],
              _RED)
    side.poly([(length - .32, waist - .2), (length - .06, waist - .3), (length - .05, waist - .4),
               (length - .3, waist - .36)], _WHITE)
    radius = .32 if body < 3 else .38
    for x in (.78, length - .85):
        side.oval(x, radius, radius + .07, radius + .07, (20, 20, 20), soft=0)
        side.wheel(x, radius, radius)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, 1.85, 1.65, pixels)
        mid = .925
        for s in (-1, 1):
            pen.rect(mid + s * .66 - .13, 0, mid + s * .66 + .13, .4, _DARK, tex=3)
        pen.rect(.3, .2, 1.55, .4, (18, 18, 18), soft=0)
        pen.poly([(.16, waist - .05), (.3, top - .05), (.5, top), (1.35, top), (1.55, top - .05),
                  (1.69, waist - .05)], paint * .94)
        pen.poly([(.27, waist + .02), (.38, top - .1), (1.47, top - .1), (1.58, waist + .02)],
                 pane * (1 if view == 'rear' else 1.15), soft=.1, gloss=.25)
        pen.slab(.04, .26, 1.81, waist + .02, .16, paint, gloss=.12)
        lamp = waist - .2
        if view == 'rear':
            tall = rng.random() < .4
            for s in (-1, 1):
                x = mid + s * .74
                pen.slab(x - (.09 if tall else .19), lamp - (.25 if tall else .1), x + .11
                         if s > 0 else x + (.09 if tall else .19), lamp + .14, .04, _RED)
            pen.rect(.1, .3, 1.75, .45, paint * .72, soft=.2)
            _plate(pen, mid, rng.choice([.4, .62]))
            pen.line([(.3, waist - .02), (1.55, waist - .02)], .02, paint * .6, soft=0)
        else:
            pen.slab(.55, .5, 1.3, .68, .05, (30, 30, 32))
            pen.slab(.4, .28, 1.45, .4, .04, (40, 40, 42))
            for s in (-1, 1):
                pen.oval(mid + s * .68, lamp + .03, .17, .09, _WHITE)
            _plate(pen, mid, .44)
        for s in (-1, 1):
            pen.slab(mid + s * .94 - .09, waist + .0, mid + s * .94 + .09, waist + .13, .04,
                     paint * .8)
        views[view] = pen
    return views


def _box_vehicle(rng, pixels, width, height):
    pen = Pen(rng, width, height, pixels)
    for s in (.16, .84):
        pen.rect(width * s - .25, 0, width * s + .25, .6, _DARK, tex=3)
    return pen


@draws('truck')
def truck(rng, pixels):
    """Draw a lorry: a cab ahead of a box, tarpaulin, tank or tipper body on several axles."""
    body, cab, pane = _vivid(rng), _vivid(rng), glass(rng)
    if rng.random() < .5:
        body = grey(rng.uniform(170, 240))
    length = rng.uniform(7.0, 8.6)
    form = rng.integers(4)
    side = Pen(rng, length, 3.4, pixels)
    side.rect(.1, .62, length - .4, .95, _DARK)
    rear = length - 2.2
    if form == 2:
        side.slab(.1, 1.0, rear, 2.9, .9, grey(190), gloss=.25)
        for x in np.linspace(.9, rear - .8, 3):
            side.line([(x, 1.05), (x, 2.85)], .06, grey(120), soft=0)
    elif form == 3:
        side.poly([(.05, 2.45), (.35, 1.0), (rear, 1.0), (rear, 2.55)], body, tex=8,
                  pattern=stripes(.8, 0, .12), second=body * .6)
    else:
        side.rect(.05, .95, rear, 3.35, body, soft=.06, tex=3,
                  pattern=stripes(.55, 0, .1) if form else None, second=body * .82)
        if rng.random() < .6:
            side.rect(.8, 1.8, rear - .9, 2.5, _vivid(rng), soft=0)
    side.poly([(rear + .12, .5), (rear + .12, 2.85), (rear + .5, 3.0), (length - .45, 2.8),
               (length - .06, 1.75), (length - .03, .5)], cab, gloss=.12)
    side.poly([(rear + .85, 1.75), (rear + .85, 2.55), (length - .52, 2.55), (length - .2, 1.75)],
              pane, soft=.1)
    side.rect(length - .22, .7, length - .03, .9, _WHITE)
    for x in (1.0, 2.1, length - 1.05):
        side.wheel(x, .5, .5)
    views = {'side': side}
    pen = _box_vehicle(rng, pixels, 2.5, 3.4)
    pen.rect(.2, .5, 2.3, .95, (44, 44, 46))
    if form == 2:
        pen.oval(1.25, 1.95, 1.15, .98, grey(200), gloss=.2)
        pen.ring(1.25, 1.95, .5, .06, grey(130))
    elif form == 3:
        pen.rect(.05, .9, 2.45, 2.5, body * .9, tex=8)
        pen.rect(.15, 1.5, 2.35, 1.6, body * .6, soft=0)
    else:
        pen.rect(.02, .9, 2.48, 3.35, body * .95, soft=.06, tex=3)
        pen.line([(1.25, .95), (1.25, 3.3)], .04, body * .5, soft=0)
        for x in (.7, .95, 1.55, 1.8):
            pen.line([(x, 1.0), (x, 3.25)], .03, grey(110), soft=0)
    for x in (.35, 2.15):
        pen.rect(x - .22, .6, x + .22, .78, _RED, soft=0)
    pen.rect(.6, .5, 1.9, .6, (235, 190, 40), soft=0, pattern=stripes(.25, .7),
             second=(200, 30, 30))
    _plate(pen, 1.25, .72, .55)
    views['rear'] = pen
    pen = _box_vehicle(rng, pixels, 2.5, 3.4)
    if form != 3:
        pen.rect(.02, 1.2, 2.48, 3.35, body * .8, soft=.06)
    pen.slab(.1, .45, 2.4, 2.95, .15, cab, gloss=.12)
    pen.slab(.22, 1.75, 2.28, 2.65, .1, pane, gloss=.25)
    pen.rect(.35, .95, 2.15, 1.5, cab * .45, pattern=stripes(.14, 1.57, .4), second=cab * .7)
    for x in (.38, 2.12):
        pen.slab(x - .2, .62, x + .2, .85, .05, _WHITE)
    _plate(pen, 1.25, .6, .5)
    views['front'] = pen
    return views


@draws('bus')
def bus(rng, pixels):
    """Draw a bus: one long box with a row of windows and doors."""
    paint = _vivid(rng)
    trim = grey(235) if rng.random() < .6 else _vivid(rng)
    pane = glass(rng) * .8
    length = rng.uniform(10.0, 12.0)
    side = Pen(rng, length, 3.1, pixels)
    side.slab(.02, .35, length - .02, 3.05, .25, paint, soft=.06)
    side.rect(.02, .36, length - .02, .95, trim * .9, soft=.1)
    side.slab(.3, 1.45, length - .25, 2.65, .12, pane, gloss=.2)
    for x in np.arange(1.5, length - .8, 1.45):
        side.line([(x, 1.45), (x, 2.65)], .1, paint * .75, soft=0)
    for x in (length - 1.3, length * .5):
        side.rect(x - .55, .45, x + .55, 2.6, pane * 1.15, soft=0)
        side.line([(x, .45), (x, 2.6)], .06, grey(40), soft=0)
    side.rect(.02, 1.05, length - .02, 1.15, trim, soft=0)
    for x in (2.6, length - 2.8):
        side.wheel(x, .48, .48)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = _box_vehicle(rng, pixels, 2.5, 3.1)
        pen.slab(.03, .3, 2.47, 3.06, .22, paint, soft=.08)
        pen.rect(.05, .32, 2.45, .95, trim * .9, soft=.1)
        if view == 'front':
            pen.slab(.15, 1.05, 2.35, 2.5, .1, pane, gloss=.25)
            pen.line([(1.25, 1.05), (1.25, 2.5)], .04, grey(30), soft=0)
            pen.rect(.35, 2.58, 2.15, 2.9, (22, 22, 24), soft=0)
            pen.rect(.55, 2.65, 1.9, 2.83, (250, 180, 40), soft=0,
                     pattern=checks(.2, .5, .35, 1), second=(22, 22, 24))
            for x in (.4, 2.1):
                pen.oval(x, .72, .2, .12, _WHITE)
        else:
            pen.slab(.3, 1.75, 2.2, 2.6, .1, pane, gloss=.25)
            pen.rect(.5, .75, 2.0, 1.4, paint * .7, pattern=stripes(.1, 1.57), second=paint * .5)
            for x in (.2, 2.3):
                pen.rect(x - .1, .95, x + .1, 1.5, _RED, soft=0)
            _plate(pen, 1.25, .55, .55)
        views[view] = pen
    return views


@draws('train')
def train(rng, pixels):
    """Draw a tram on rails: long, doors, a pantograph on the roof."""
    paint = _vivid(rng)
    pane = glass(rng) * .7
    length = 14.0
    side = Pen(rng, length, 4.0, pixels)
    side.line([(6, 3.4), (7, 3.95), (8, 3.4)], .07, grey(60))
    side.rect(2, 3.3, 12, 3.5, grey(120))
    side.poly([(.3, .3), (.02, 1.2), (.35, 3.3), (length - .35, 3.3), (length - .02, 1.2),
               (length - .3, .3)], grey(232), soft=.05)
    side.rect(.05, .35, length - .05, 1.3, paint, soft=.1)
    side.rect(.5, 1.55, length - .5, 2.75, pane, gloss=.2)
    for x in np.arange(1.6, length - 1, 1.5):
        side.line([(x, 1.5), (x, 2.8)], .16, grey(225), soft=0)
    for x in (3.2, 7.0, 10.8):
        side.rect(x - .6, .4, x + .6, 2.8, pane * 1.2, soft=0)
        side.line([(x, .4), (x, 2.8)], .06, paint * .7, soft=0)
    side.rect(1.2, .05, length - 1.2, .4, _DARK)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, 2.6, 4.0, pixels)
        pen.line([(.7, 3.4), (1.3, 3.95), (1.9, 3.4)], .07, grey(60))
        pen.rect(.3, .02, 2.3, .4, _DARK)
        pen.poly([(.1, .25), (.03, 1.3), (.3, 3.2), (.7, 3.42), (1.9, 3.42), (2.3, 3.2),
                  (2.57, 1.3), (2.5, .25)], paint, soft=.08)
        pen.slab(.35, 1.45, 2.25, 2.8, .2, pane, gloss=.25)
        pen.rect(.6, 2.9, 2.0, 3.15, (250, 190, 60) if view == 'front' else grey(30), soft=0)
        for x in (.5, 2.1):
            pen.oval(x, .85, .16, .13, _WHITE if view == 'front' else _RED)
        views[view] = pen
    return views


@draws('motorcycle')
def motorcycle(rng, pixels):
    """Draw a motorcycle or a scooter."""
    paint = _vivid(rng)
    side = Pen(rng, 2.1, 1.15, pixels)
    side.wheel(.36, .32, .32)
    side.wheel(1.72, .32, .32)
    side.line([(1.72, .32), (1.42, .98), (1.25, 1.02)], .08, grey(150))
    side.slab(.75, .22, 1.3, .58, .08, grey(90), tex=10)
    side.poly([(.2, .66), (.3, .78), (.95, .7), (1.1, .62), (.5, .5)], grey(34))
    side.oval(1.15, .78, .28, .15, paint, angle=-8)
    side.line([(.4, .28), (1.0, .25)], .1, grey(170))
    side.oval(1.5, .86, .1, .1, _WHITE)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, .85, 1.15, pixels)
        pen.slab(.34, 0, .5, .64, .08, _DARK, tex=4)
        pen.slab(.26, .45, .58, .8, .1, paint)
        pen.line([(.06, 1.0), (.42, .92), (.78, 1.0)], .05, grey(60))
        pen.oval(.42, .75, .1, .09, _WHITE if view == 'front' else _RED)
        views[view] = pen
    return views


@draws('bicycle')
def bicycle(rng, pixels):
    """Draw a bicycle."""
    paint = _vivid(rng)
    side = Pen(rng, 1.8, 1.1, pixels)
    for x in (.37, 1.43):
        side.ring(x, .35, .33, .05, _DARK, soft=0)
        for k in range(6):
            t = np.pi * k / 6
            side.line([(x - .3 * np.cos(t), .35 - .3 * np.sin(t)),
                       (x + .3 * np.cos(t), .35 + .3 * np.sin(t))], .008, grey(150), soft=0)
    for a, b in (((.37, .35), (.82, .3)), ((.82, .3), (.68, .82)), ((.37, .35), (.7, .75)),
                 ((.7, .72), (1.28, .78)), ((.82, .3), (1.28, .76)), ((1.43, .35), (1.26, .95))):
        side.line([a, b], .05, paint)
    side.slab(.52, .84, .82, .92, .03, _DARK)
    side.line([(1.26, .95), (1.4, 1.02)], .05, grey(50))
    side.oval(.82, .3, .09, .09, grey(90))
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, .7, 1.1, pixels)
        pen.slab(.31, 0, .39, .68, .04, _DARK, soft=.1)
        pen.line([(.35, .5), (.35, .95)], .05, paint)
        pen.slab(.24, .85, .46, .92, .03, _DARK)
        pen.line([(.05, 1.0), (.65, 1.0)], .04, grey(60))
        pen.oval(.35, .72, .05, .05, _RED if view == 'rear' else _WHITE)
        views[view] = pen
    return views


@draws('caravan')
def caravan(rng, pixels):
    """Draw a touring caravan: a white rounded body on one axle with a drawbar, no cab."""
    paint = tint(rng, (238, 234, 222), .05)
    band, pane = _vivid(rng), glass(rng) * 1.1
    side = Pen(rng, 5.6, 2.55, pixels)
    side.line([(4.3, .5), (5.5, .42)], .1, _DARK)
    side.line([(5.3, .45), (5.3, .02)], .09, grey(90))
    side.poly([(.15, .4), (.05, 1.3), (.3, 2.3), (.7, 2.5), (3.9, 2.5), (4.4, 2.2), (4.6, 1.2),
               (4.5, .4)], paint, soft=.12)
    side.rect(.09, .95, 4.58, 1.1, band, soft=0)
    side.rect(.09, .76, 4.55, .84, band * .8, soft=0)
    for x0, x1 in ((.5, 1.4), (3.2, 4.1)):
        side.slab(x0, 1.35, x1, 2.05, .1, pane, gloss=.2)
    side.slab(1.9, .45, 2.65, 2.2, .08, paint * .93, soft=.05)
    side.slab(2.05, 1.5, 2.5, 2.0, .06, pane, soft=0)
    side.wheel(2.2 + rng.uniform(-.3, .3), .33, .33)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, 2.2, 2.55, pixels)
        for x in (.3, 1.9):
            pen.rect(x - .12, 0, x + .12, .5, _DARK)
        if view == 'front':
            pen.line([(1.1, .6), (1.1, .05)], .1, _DARK)
        pen.slab(.05, .35, 2.15, 2.5, .35, paint, soft=.12)
        pen.rect(.07, .95, 2.13, 1.1, band, soft=0)
        pen.slab(.35, 1.3, 1.85, 2.05, .15, pane, gloss=.25)
        if view == 'rear':
            for x in (.25, 1.95):
                pen.oval(x, .65, .12, .12, _RED)
            _plate(pen, 1.1, .62)
        views[view] = pen
    return views


@draws('trailer')
def trailer(rng, pixels):
    """Draw an open cargo trailer: low sides, mudguards, a drawbar, something in it perhaps."""
    paint = tint(rng, [(150, 152, 154), (60, 90, 140), (150, 60, 40), (160, 120, 70)][
        rng.integers(4)])
    ribs = dict(pattern=stripes(.35, 0, .18), second=paint * .6)
    loaded = rng.random() < .5
    side = Pen(rng, 3.2, 1.25, pixels)
    if loaded:
        side.poly([(.2, .9), (.5, 1.2), (1.2, 1.1), (1.9, 1.22), (2.2, .9)],
                  tint(rng, (110, 100, 70), .4), tex=18)
    side.line([(2.2, .48), (3.1, .44)], .08, _DARK)
    side.line([(2.9, .46), (2.9, .02)], .07, grey(80))
    side.rect(.05, .45, 2.35, 1.0, paint, tex=4, **ribs)
    side.rect(.02, .94, 2.38, 1.02, paint * .6)
    side.wheel(1.15, .33, .33)
    side.line([(.72, .6), (.85, .74), (1.45, .74), (1.58, .6)], .07, _DARK)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, 1.8, 1.25, pixels)
        if loaded:
            pen.poly([(.3, .9), (.6, 1.2), (1.2, 1.15), (1.5, .9)],
                     tint(rng, (110, 100, 70), .4), tex=18)
        for x in (.16, 1.64):
            pen.rect(x - .11, 0, x + .11, .66, _DARK, tex=3)
        pen.rect(.28, .42, 1.52, 1.0, paint * .95, tex=4, **ribs)
        pen.rect(.25, .94, 1.55, 1.02, paint * .6)
        for x in (.36, 1.44):
            pen.rect(x - .09, .44, x + .09, .58, _RED, soft=0)
        if view == 'front':
            pen.poly([(.85, .5), (.95, .5), (1.0, .1), (.8, .1)], _DARK)
        views[view] = pen
    return views


@draws('camper van')
def camper_van(rng, pixels):
    """Draw a motorhome: a caravan-like body with an alcove over a van's cab."""
    paint = tint(rng, (236, 234, 226), .05)
    band, pane = _vivid(rng), glass(rng)
    side = Pen(rng, 6.2, 2.9, pixels)
    side.poly([(.05, .4), (.05, 2.75), (.3, 2.88), (5.0, 2.88), (5.35, 2.6), (5.15, 2.05),
               (5.65, 1.35), (6.15, 1.15), (6.15, .4)], paint, soft=.08)
    side.poly([(4.35, 1.35), (4.4, 1.98), (4.95, 1.98), (5.4, 1.35)], pane, soft=.1)
    for x0, x1 in ((.5, 1.5), (2.9, 3.8)):
        side.slab(x0, 1.55, x1, 2.25, .1, pane, gloss=.2)
    side.rect(1.9, .5, 2.6, 2.5, paint * .93, soft=.05)
    side.poly([(.06, .9), (2.5, 1.2), (6.1, .95), (6.1, .8), (2.5, 1.0), (.06, .7)], band, soft=0)
    for x in (1.4, 5.0):
        side.wheel(x, .38, .38)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, 2.3, 2.9, pixels)
        for x in (.35, 1.95):
            pen.rect(x - .14, 0, x + .14, .6, _DARK)
        pen.slab(.04, .5 if view == 'rear' else 1.9, 2.26, 2.88, .15, paint, soft=.08)
        if view == 'rear':
            pen.rect(.06, .8, 2.24, .95, band, soft=0)
            pen.slab(.4, 1.5, 1.9, 2.2, .1, pane, gloss=.2)
            for x in (.22, 2.08):
                pen.rect(x - .1, .6, x + .1, 1.05, _RED, soft=0)
        else:
            pen.slab(.15, .35, 2.15, 2.0, .2, paint * .95)
            pen.poly([(.3, 1.3), (.42, 1.92), (1.88, 1.92), (2.0, 1.3)], pane, gloss=.2)
            pen.slab(.6, .7, 1.7, 1.0, .05, (34, 34, 36))
            for x in (.38, 1.92):
                pen.oval(x, .95, .17, .12, _WHITE)
        views[view] = pen
    return views


@draws('tractor')
def tractor(rng, pixels):
    """Draw a farm tractor: big rear wheels, small front ones, a high cabin."""
    paint = tint(rng, [(40, 136, 46), (190, 36, 28), (36, 84, 170)][rng.integers(3)])
    rim = tint(rng, [(226, 190, 50), (220, 215, 200)][rng.integers(2)])
    pane = glass(rng) * 1.3
    side = Pen(rng, 3.8, 2.7, pixels)
    side.poly([(.55, 1.2), (.7, 2.5), (1.8, 2.5), (2.0, 1.2)], pane, soft=.05)
    for a, b in (((.55, 1.2), (.7, 2.5)), ((1.85, 2.5), (2.05, 1.2)), ((1.25, 1.2), (1.25, 2.5))):
        side.line([a, b], .09, paint * .6)
    side.rect(.55, 2.45, 1.95, 2.62, paint)
    side.slab(1.7, .75, 3.65, 1.5, .15, paint, gloss=.1)
    side.rect(3.3, .8, 3.62, 1.35, grey(30), pattern=stripes(.1, 1.57), second=grey(80))
    side.line([(2.6, 1.5), (2.6, 2.3)], .1, grey(40))
    side.oval(1.0, .85, .85, .85, (32, 32, 34), pattern=stripes(.2, .8, .5), second=(54, 54, 56))
    side.oval(1.0, .85, .45, .45, rim)
    side.oval(3.1, .5, .5, .5, (32, 32, 34), pattern=stripes(.16, .8, .5), second=(54, 54, 56))
    side.oval(3.1, .5, .26, .26, rim)
    views = {'side': side}
    for view in ('rear', 'front'):
        pen = Pen(rng, 2.2, 2.7, pixels)
        pen.poly([(.55, 1.2), (.62, 2.5), (1.58, 2.5), (1.65, 1.2)], pane, soft=.05)
        pen.rect(.5, 2.45, 1.7, 2.62, paint)
        for x in (.3, 1.9):
            pen.slab(x - .26, 0, x + .26, 1.7, .15, (34, 34, 36),
                     pattern=stripes(.18, 1.2, .5), second=(58, 58, 60))
        if view == 'rear':
            pen.slab(.55, .5, 1.65, 1.3, .1, paint * .7)
            pen.rect(.9, .35, 1.3, .6, grey(50))
            for x in (.62, 1.58):
                pen.oval(x, 1.35, .1, .1, _RED)
        else:
            pen.slab(.78, .6, 1.42, 1.5, .12, paint)
            pen.rect(.88, .75, 1.32, 1.35, grey(32), pattern=stripes(.1, 1.57), second=grey(84))
            for x in (.74, 1.46):
                pen.slab(x - .14, 0, x + .14, .9, .1, (34, 34, 36), tex=6)
        views[view] = pen
    return views


@draws('excavator')
def excavator(rng, pixels):
    """Draw a digger on crawler tracks with its arm and bucket."""
    paint = tint(rng, [(238, 176, 26), (232, 120, 30)][rng.integers(2)], .1)
    pen = Pen(rng, 5.4, 3.0, pixels)
    pen.slab(.1, 0, 3.0, .75, .37, (40, 40, 42), pattern=stripes(.2, 0, .4), second=(64, 64, 66))
    for x in (.5, 1.2, 1.9, 2.6):
        pen.oval(x, .36, .22, .22, grey(80))
    pen.slab(.1, .85, 2.3, 1.6, .1, paint)
    pen.poly([(1.5, 1.2), (1.5, 2.6), (2.4, 2.6), (2.75, 1.2)], paint * .9)
    pen.poly([(1.65, 1.6), (1.65, 2.48), (2.3, 2.48), (2.55, 1.6)], glass(rng), soft=.1)
    elbow = (rng.uniform(3.6, 4.0), rng.uniform(2.6, 2.9))
    hand = (elbow[0] + rng.uniform(.6, 1.0), rng.uniform(.8, 1.3))
    pen.limb(2.5, 1.2, .35, *elbow, .26, paint)
    pen.limb(*elbow, .26, *hand, .18, paint * .9)
    pen.line([(2.9, 1.9), (elbow[0] - .1, elbow[1] + .02)], .08, grey(170))
    hx, hy = hand
    pen.poly([(hx - .1, hy + .1), (hx + .25, hy - .05), (hx + .05, hy - .75), (hx - .55, hy - .5),
              (hx - .3, hy - .2)], grey(70))
    return pen


@draws('forklift')
def forklift(rng, pixels):
    """Draw a forklift: mast and forks ahead, a cage over the seat."""
    paint = tint(rng, [(236, 160, 24), (214, 60, 30)][rng.integers(2)], .1)
    pen = Pen(rng, 2.8, 2.2, pixels)
    pen.rect(1.7, .08, 2.7, .16, grey(60))
    pen.rect(1.62, .05, 1.76, 2.15, grey(56))
    pen.rect(1.8, .05, 1.88, 1.5, grey(80))
    pen.slab(.1, .3, 1.6, .95, .15, paint)
    pen.slab(.1, .5, .6, 1.2, .12, paint * .8)
    pen.rect(.75, .95, 1.1, 1.1, grey(34))
    pen.rect(.7, 1.0, .82, 1.5, grey(34))
    for x0, x1 in ((.45, .35), (1.5, 1.4)):
        pen.line([(x0, 1.0), (x1 + .1, 2.05)], .08, grey(44))
    pen.line([(.4, 2.05), (1.55, 2.05)], .1, grey(44))
    pen.line([(1.35, .95), (1.2, 1.3)], .06, grey(30))
    pen.wheel(.45, .26, .26)
    pen.wheel(1.4, .3, .3)
    return pen
