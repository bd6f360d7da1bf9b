# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make up a place with its ground, its surroundings and its usual traffic; paint it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from vl4ad_workshop.scenes.bank import pick, pick_texture, Sprite
from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.canvas import Canvas
from vl4ad_workshop.scenes.ground import Ground, Line, paint_ground, Patch, Strip
from vl4ad_workshop.scenes.items import Billboard, FARTHEST, NEAREST, Panel, Vehicle
from vl4ad_workshop.scenes.pen import grey, hsv, noise_patch, noise_tile, tint
from vl4ad_workshop.scenes.weather import Weather

PLACES = ('city', 'suburb', 'country', 'motorway')
LANE = 3.4


@dataclass
class World:
    """A place: ground, what stands there, the skyline, and the road's half width in metres."""

    ground: Ground
    weather: Weather
    half_road: float
    edge: float
    split: str
    pixels: int
    skyline: tuple
    items: list = field(default_factory=list)
    taken: list = field(default_factory=list)

    def free(self, s: float, t: float, radius: float) -> bool:
        """Return whether nothing placed is nearer than the radii; if so, take the spot."""
        if any(abs(s - a) < radius + r and abs(t - b) < radius + r for a, b, r in self.taken):
            return False
        self.taken.append((s, t, radius))
        return True


def _asphalt(rng, until):
    return Strip('road', until, tint(rng, grey(rng.uniform(62, 122)), .05),
                 rng.uniform(2, 6), rng.uniform(3, 9))


def _paving(rng, until):
    colour = tint(rng, [(168, 162, 154), (150, 140, 134), (176, 150, 132)][rng.integers(3)], .14)
    return Strip('sidewalk', until, colour, rng.uniform(2, 5), rng.uniform(2, 6),
                 rng.choice([.4, .6, 1.0]))


def _soil(rng, until):
    if rng.random() < .8:
        colour = hsv(rng, (.17, .31), (.3, .6), (.3, .58))
    else:
        colour = tint(rng, (150, 124, 88), .15)
    return Strip('terrain', until, colour, rng.uniform(6, 14), rng.uniform(6, 14))


def _skyline(rng, place):
    """Return (kind, colour, profile of heights as a share of focal) layers, far to near."""
    layers = []
    tile = noise_tile(int(rng.integers(6)))
    if rng.random() < .4:
        layers.append(('terrain' if rng.random() < .5 else 'vegetation',
                       hsv(rng, (.25, .6), (.1, .3), (.4, .6)),
                       .05 + .03 * tile[int(rng.integers(256))], rng.uniform(.3, .5)))
    if place in ('city', 'suburb') and rng.random() < .6:
        steps = np.repeat(rng.uniform(.02, .11, 43), 6)[:256]
        layers.append(('building', tint(rng, (140, 136, 134), .2), steps, 1.0))
    if rng.random() < .85:
        layers.append(('vegetation', hsv(rng, (.22, .36), (.25, .55), (.2, .4)),
                       .035 + .012 * np.abs(tile[int(rng.integers(256))])
                       + .006 * np.abs(noise_tile(1, detail=8)[int(rng.integers(256))]), 2.0))
    return tuple(layers)


def make_road(rng, place: str, weather: Weather, split: str, pixels: int,
              lanes: int | None = None) -> World:
    """Return a world with a road, its edges and markings; nothing stands there yet."""
    lanes = lanes or (int(rng.choice([2, 2, 2, 4])) if place != 'motorway' else 4)
    parking = 2.2 if place in ('city', 'suburb') and rng.random() < .5 else 0.0
    half = lanes * LANE / 2 + parking + rng.uniform(0, .6)
    walk = rng.uniform(1.6, 4.0) if place in ('city', 'suburb') else 0.0
    verge = rng.uniform(.8, 2.5) if rng.random() < .3 and walk else 0.0
    paving, soil = _paving(rng, 0), _soil(rng, 0)
    far_kind = paving if place == 'city' and rng.random() < .6 else soil

    def until(strip, t):
        return Strip(strip.kind, t, strip.colour, strip.coarse, strip.fine, strip.slab)
    strips = [until(far_kind, -half - verge - walk), until(paving, -half - verge),
              until(soil, -half), _asphalt(rng, half), until(soil, half + verge),
              until(paving, half + verge + walk), until(far_kind, 1e4)]
    strips = [p for k, p in enumerate(strips)
              if (walk or p.kind != 'sidewalk' or p is strips[0] or p is strips[-1])
              and (verge or k not in (2, 4))]
    white = grey(rng.uniform(205, 240))
    lines = []
    edge = half - parking - .15
    if rng.random() < .75:
        lines += [Line(-edge, .14, white), Line(edge, .14, white)]
    dash, period = ((1.5, 4.5), (3, 9), (4, 12))[rng.integers(3)]
    middle = np.array([230, 180, 50]) if rng.random() < .15 else white
    if rng.random() < .88:
        solid = lanes == 4 and rng.random() < .6
        lines.append(Line(0, .14, middle, 0 if solid else dash, 0 if solid else period))
    if lanes == 4:
        lines += [Line(-LANE, .13, white, dash, period), Line(LANE, .13, white, dash, period)]
    ground = Ground(tuple(strips), tuple(lines), (), (int(rng.integers(6)), int(rng.integers(6))),
                    rng.uniform(.05, .5))
    return World(ground, weather, half, half + verge + walk, split, pixels,
                 _skyline(rng, place))


def make_open(rng, weather: Weather, split: str, pixels: int) -> World:
    """Return a world without a road: a yard, a field, a lawn or a square."""
    make = (_asphalt, _paving, _soil, _soil)[rng.integers(4)]
    strips = [make(rng, 1e4)]
    if rng.random() < .5:
        other = (_paving, _soil, _asphalt)[rng.integers(3)](rng, 1e4)
        edge = rng.uniform(-6, 6)
        strips = [Strip(strips[0].kind, edge, strips[0].colour, strips[0].coarse,
                        strips[0].fine, strips[0].slab), other]
    ground = Ground(tuple(strips), (), (), (int(rng.integers(6)), int(rng.integers(6))))
    return World(ground, weather, 4.0, 6.0, split, pixels, _skyline(rng, 'suburb'))


def wear_ground(rng, world: World, s0: float, s1: float) -> None:
    """Add repaired patches, manholes, stains, tree shadows and zebra crossings."""
    patches = []
    for _ in range(int(rng.poisson((s1 - s0) / 14))):
        s, t = rng.uniform(s0, s1), rng.uniform(-world.half_road, world.half_road)
        form = rng.integers(4)
        if form == 0:
            patches.append(Patch(s, t, rng.uniform(1, 6), rng.uniform(.6, 2.6),
                                 rng.uniform(.72, 1.18), 'box'))
        elif form == 1:
            patches.append(Patch(s, t, .7, .7, rng.uniform(.5, .75)))
        else:
            patches.append(Patch(s, t, rng.uniform(1, 5), rng.uniform(.6, 2.5),
                                 rng.uniform(.74, .97)))
    if world.weather.sun:
        for _ in range(int(rng.poisson((s1 - s0) / 25))):
            t = world.edge * rng.choice([-1, 1]) * rng.uniform(.4, 1)
            patches.append(Patch(rng.uniform(s0, s1), t, rng.uniform(2, 7), rng.uniform(2, 6),
                                 rng.uniform(.5, .7)))
    if rng.random() < .3:
        patches.append(Patch(rng.uniform(s0 + 12, s0 + 40), 0, 3.2, 2 * world.half_road,
                             rng.uniform(195, 230), 'bars'))
    ground = world.ground
    world.ground = Ground(ground.strips, ground.lines, tuple(patches), ground.seeds, ground.wear)


def _house(rng, world, side, s, t):
    """Build a house whose front is along the road and return its length."""
    front, length, height = pick_texture(rng, 'building', world.split)
    end, depth, end_height = pick_texture(rng, 'building', world.split)
    rows = min(len(end), round(len(end) * height / end_height))
    end = (end[len(end) - rows:] * np.float32([.78, .78, .78, 1])).astype(np.uint8)
    world.items.append(Panel('building', front, s, side * t, s + length, side * t, height))
    a, b = sorted((side * t, side * (t + depth)))
    world.items.append(Panel('building', end, s, a, s + .01, b, height))
    return length


def surroundings(rng, world: World, place: str, s0: float, s1: float) -> None:
    """Line both sides of the road with what the place has."""
    for side in (-1, 1):
        line = world.edge + rng.uniform(.2, 4 if place != 'city' else 1.5)
        s = s0 + rng.uniform(0, 10)
        hedge = rng.random()
        while s < s1:
            t, length = line + rng.uniform(0, 1.5), rng.uniform(8, 22)
            pick_ = rng.random()
            if place == 'city' and pick_ < .8:
                s += _house(rng, world, side, s, t)
                s += rng.uniform(3, 12) if rng.random() < .3 else 0
            elif place == 'suburb' and pick_ < .45:
                t += rng.uniform(2, 7)
                s += _house(rng, world, side, s, t) + rng.uniform(2, 10)
            else:
                for _ in range(int(rng.integers(1, 5))):
                    _tree(rng, world, s + rng.uniform(0, length), side * (t + rng.uniform(0, 9)))
                s += length * rng.uniform(.5, 1.2)
        if place != 'city' and hedge < .75 or hedge < .2:
            _boundary(rng, world, side, line - .1, s0, s1)
        if place in ('country', 'motorway'):
            for _ in range(int((s1 - s0) / 14)):
                _tree(rng, world, rng.uniform(s0, s1), side * (line + rng.uniform(2, 30)))
        gap = rng.uniform(22, 40)
        t = side * (world.half_road + .6)
        if rng.random() < .75:
            post = pick(rng, 'pole', world.split, world.pixels)['any']
            post = post.flipped() if rng.random() < .5 else post
            for s in np.arange(s0 + rng.uniform(4, gap), s1, gap):
                world.items.append(Billboard('pole', post, s, t))
                world.taken.append((s, t, .5))
        for _ in range(int(rng.poisson((s1 - s0) / 38))):
            _signal(rng, world, rng.uniform(s0 + 6, s1), t + side * rng.uniform(0, .5))
    world.items.sort(key=lambda item: item.layer)


def _tree(rng, world, s, t):
    sprite = pick(rng, 'tree', world.split, world.pixels)['any']
    if abs(t) - sprite.width * .3 > world.half_road:
        world.items.append(Billboard('vegetation', sprite, s, t, layer=1))


def _boundary(rng, world, side, t, s0, s1):
    kind = str(rng.choice(['fence', 'wall', 'vegetation'], p=[.45, .28, .27]))
    texture, length, height = pick_texture(rng, kind, world.split)
    s = s0
    while s < s1:
        if rng.random() < .85:
            world.items.append(Panel(kind, texture, s, side * t, s + length, side * t, height,
                                     layer=1, whole=kind == 'fence'))
        s += length


def _signal(rng, world, s, t):
    if not world.free(s, t, .4):
        return
    kind = 'traffic light' if rng.random() < .4 else 'traffic sign'
    head = pick(rng, kind, world.split, world.pixels)['any']
    lift = rng.uniform(2.0, 3.2)
    grey_post = np.full((64, 3, 4), 255, np.float32)
    grey_post[..., :3] = rng.uniform(70, 160)
    post = Sprite(grey_post.astype(np.uint8), .09, lift + .2)
    world.items.append(Billboard('pole', post, s, t))
    world.items.append(Billboard(kind, head, s - .02, t, lift))


def place_thing(rng, world: World, kind: str, s: float, t: float, owner: int = 0) -> bool:
    """Stand a thing at (s, t) if there is room; return whether it stands."""
    views = pick(rng, kind, world.split, world.pixels)
    view = str(rng.choice(['side', 'side', 'rear', 'front'])) if 'side' in views else 'any'
    sprite = views[view]
    if not world.free(s, t, min(1.6, .3 + sprite.width * .4)):
        return False
    if view == 'side' and rng.random() < .5:
        sprite = sprite.flipped()
    world.items.append(Billboard(kind, sprite, s, t, owner=owner))
    return True


def place_rider(rng, world: World, s: float, t: float) -> bool:
    """Put a rider on a bicycle or motorcycle at (s, t) if there is room."""
    if not world.free(s, t, .9):
        return False
    kind, lift = (('bicycle', .36), ('motorcycle', .24))[rng.random() < .35]
    view = str(rng.choice(['side', 'rear', 'front']))
    mount = pick(rng, kind, world.split, world.pixels)[view]
    body = pick(rng, 'rider', world.split, world.pixels)[view]
    if view == 'side' and rng.random() < .5:
        mount, body = mount.flipped(), body.flipped()
    world.items.append(Billboard(kind, mount, s, t))
    world.items.append(Billboard('rider', body, s - .02, t, lift))
    return True


def place_vehicle(rng, world: World, kind: str, s: float, t: float, oncoming: bool) -> bool:
    """Put a vehicle that is aligned with the road at (s, t) if there is room."""
    views = pick(rng, kind, world.split, world.pixels)
    length = views['side'].width
    if any(s - r - 1 < a < s + length + r + 1 and abs(t - b) < 1.1 + r for a, b, r in world.taken):
        return False
    world.taken += [(s + d, t, 1.2) for d in np.arange(0.5, length, 1.5)]
    world.items.append(Vehicle(kind, views, s, t, oncoming))
    return True


def parked(rng, world: World, s0: float, s1: float, share: float) -> None:
    """Park cars along the kerbs."""
    for side in (-1, 1):
        s = s0 + rng.uniform(0, 8)
        while s < s1:
            if rng.random() < share:
                kind = 'car' if rng.random() < .9 else 'truck'
                place_vehicle(rng, world, kind, s, side * (world.half_road - 1.1),
                              bool(rng.random() < (.8 if side < 0 else .1)))
            s += rng.uniform(5.5, 9)


def walkers(rng, world: World, s0: float, s1: float, count: int) -> None:
    """Put people, bicycles and riders beside the road, a few on it."""
    for _ in range(count):
        s = s0 + (s1 - s0) * rng.random() ** 2
        beside = rng.uniform(.3, max(1., world.edge - world.half_road))
        t = rng.choice([-1, 1]) * (world.half_road + beside)
        what = rng.random()
        if what < .68:
            t = t if rng.random() < .85 else rng.uniform(-1, 1) * world.half_road
            place_thing(rng, world, 'person', s, t)
        elif what < .8:
            place_thing(rng, world, str(rng.choice(['bicycle', 'motorcycle'])), s, t)
        else:
            place_rider(rng, world, s, rng.choice([-1, 1]) * (world.half_road - .7))


def paint_world(world: World, camera: Camera, size: tuple[int, int],
                movers: Iterable = ()) -> Canvas:
    """Return the canvas with the world as the camera sees it, before weather's development."""
    weather = world.weather
    canvas = Canvas(size, weather.horizon, weather.sight)
    _paint_sky(canvas, camera, world)
    paint_ground(canvas, camera, world.ground)
    seen = [item for item in (*world.items, *movers)
            if _ahead(item, camera.s)]
    for item in sorted(seen, key=lambda item: (item.layer, -item.s)):
        item.paint(canvas, camera, weather.sun)
    return canvas


def _ahead(item, s):
    if isinstance(item, Billboard):
        return NEAREST < item.s - s < FARTHEST
    return -18 < item.s - s < FARTHEST


def _paint_sky(canvas, camera, world):
    weather = world.weather
    height, width = canvas.size
    rows = int(np.clip(np.floor(camera.horizon) + 1, 0, height))
    canvas.ids[:] = canvas.surface('sky')
    if not rows:
        return
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, None, None] ** 1.3
    sky = np.float32(weather.zenith) * up + np.float32(weather.horizon) * (1 - up)
    sky = np.broadcast_to(sky, (rows, width, 3)).copy()
    if weather.clouds:
        rng = np.random.default_rng(world.ground.seeds)
        cloud = noise_patch(rng, 256, 256)
        y = (camera.horizon - np.arange(rows, dtype=np.float32)[:, None]) / camera.focal
        x = (np.arange(width, dtype=np.float32)[None] - camera.centre) / camera.focal
        depth = 1 / np.maximum(y + .06, .03)
        shape = cv2.remap(cloud, np.mod(x * depth * 22 + 128, 256),
                          np.mod(depth * 22 + 0 * x, 256), cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_WRAP)
        cover = np.clip((shape + 2 * weather.clouds - 1) * .6, 0, .85)[..., None]
        cover = cover * np.clip(y / .06, 0.25, 1)[..., None]
        white = np.float32(weather.horizon) * .35 + .7 * float(np.mean(weather.horizon))
        sky += cover * (white - sky)
    canvas.image[:rows] = sky
    for kind, colour, profile, near in world.skyline:
        columns = (np.arange(width) - camera.centre) / camera.focal
        tops = np.interp((columns * 130 * near + 128) % 255, np.arange(256), profile) * (
            camera.focal * .5)
        limit = camera.horizon - tops
        rows_up = np.arange(rows)[:, None]
        inside = rows_up >= limit[None]
        clear = max(.25, float(canvas.clearness(60)))
        texture = np.float32(colour) + 7 * noise_patch(
            np.random.default_rng([int(colour[0]), rows]), rows, width, 8)[..., None]
        blend = texture * clear + canvas.haze * (1 - clear)
        canvas.image[:rows][inside] = blend[inside]
        canvas.ids[:rows][inside] = canvas.surface(kind)
