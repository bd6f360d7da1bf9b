# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw single pictures for training: road scenes and other places with things in them."""

from __future__ import annotations

import numpy as np

from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.frame import Frame
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in
from vl4ad_workshop.scenes.made_up import MADE_UP
from vl4ad_workshop.scenes.weather import develop, draw_weather
from vl4ad_workshop.scenes.world import (
    LANE, make_open, make_road, paint_world, parked, place_rider, place_thing, place_vehicle,
    PLACES, surroundings, walkers, wear_ground, World)

_PIXELS = 100


def _camera(rng, size) -> Camera:
    height, width = size
    return Camera(size, width * rng.uniform(.72, 1.1), (width - 1) * rng.uniform(.42, .58),
                  height * rng.uniform(.3, .52), rng.uniform(1.15, 1.9),
                  bend=rng.normal() * .0015 if rng.random() < .5 else 0.0)


def _depth(rng, near, far) -> float:
    """Return a depth in metres, as likely in each octave."""
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def _things(rng, world, names, count, reach):
    """Stand things at random places that the camera sees, near ones as likely as far ones."""
    for _ in range(3 * count):
        if count <= 0 or not names:
            return
        name = str(rng.choice(names))
        extent = 1.0 if name == MADE_UP else max(KINDS[name].size_m)
        s = _depth(rng, max(3.4, 1.6 * extent), min(40, 9 + 16 * extent))
        t = rng.uniform(-1, 1) * min(reach, .55 * s)
        count -= place_thing(rng, world, name, s, t)


def _road(rng, split, names) -> tuple[World, float]:
    place = str(rng.choice(PLACES, p=[.38, .3, .22, .1]))
    world = make_road(rng, place, draw_weather(rng), split, _PIXELS)
    wear_ground(rng, world, 0, 60)
    surroundings(rng, world, place, -12, 110)
    own = rng.uniform(.35, .65) * LANE
    if rng.random() < .85:
        count = int(rng.integers(3, 9)) if names else 0
        _things(rng, world, names, count if rng.random() < .85 else 0, world.edge + 1)
    for _ in range(int(rng.integers(0, 7))):
        kind = str(rng.choice(['car', 'truck', 'bus', 'train'], p=[.66, .16, .12, .06]))
        oncoming = bool(rng.random() < .5)
        lane = rng.uniform(-.3, .3) + LANE / 2 * (-1 if oncoming else 1)
        s = _depth(rng, 5, 70)
        if rng.random() < .12:
            place_thing(rng, world, kind, max(s, 9), rng.uniform(-1, 1) * world.half_road)
        else:
            place_vehicle(rng, world, kind, s, lane, oncoming)
    if place in ('city', 'suburb') and rng.random() < .7:
        parked(rng, world, 2, 60, rng.uniform(.1, .7))
    if place != 'motorway':
        walkers(rng, world, 5, 40, int(rng.integers(0, 8)))
    if rng.random() < .3:
        place_rider(rng, world, _depth(rng, 4.5, 25), rng.uniform(-1, 1) * world.half_road)
    return world, own


def _elsewhere(rng, split, names, least=4, most=10) -> tuple[World, float]:
    world = make_open(rng, draw_weather(rng), split, _PIXELS)
    place = str(rng.choice(['suburb', 'country', 'city']))
    world.half_road, world.edge = 7.0, rng.uniform(7, 14)
    surroundings(rng, world, place, -6, 90)
    _things(rng, world, names, int(rng.integers(least, most + 1)), 9)
    for _ in range(int(rng.integers(0, 5))):
        kind = str(rng.choice(['person', 'car', 'bicycle', 'motorcycle', 'truck', 'bus']))
        far = 9 if kind in ('truck', 'bus') else 4
        s = _depth(rng, far, 30)
        place_thing(rng, world, kind, s, rng.uniform(-.5, .5) * s)
    return world, rng.uniform(-1, 1)


def draw_still(rng: np.random.Generator, size: tuple[int, int] = (192, 320),
               groups: tuple[str, ...] = ('known', 'masks'), split: str = 'train',
               crowded: float = 0.0, made_up: float = 0.0) -> Frame:
    """
    Draw one random picture.

    About four in five are road scenes, the rest yards, squares and fields with more things; some
    have no things beside the traffic. `size` is (H, W) in pixels, `groups` says which object
    kinds may occur (traffic and surfaces always do), `split` ('train', 'validation', 'test')
    which drawn examples. `crowded` is the share of pictures that are yards full of things
    instead, which teach more words a picture. `made_up` is the share of objects, below one, that
    are of no kind (`made_up.MADE_UP`). Raises ValueError for an unknown group and KeyError for a
    split.
    """
    names = [kind.name for kind in kinds_in(*groups) if kind.role == 'object']
    names += [MADE_UP] * round(len(names) * made_up / (1 - made_up))
    camera = _camera(rng, size)
    if crowded and rng.random() < crowded:
        world, t = _elsewhere(rng, split, names, 15, 30)
    else:
        world, t = (_road if rng.random() < .8 else _elsewhere)(rng, split, names)
    camera = Camera(camera.size, camera.focal, camera.centre, camera.horizon, camera.height,
                    0.0, t, camera.bend)
    canvas = paint_world(world, camera, size)
    return canvas.frame(develop(canvas.image, world.weather, rng))[0]
