# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Drive along a road past things that do not belong there, with exact ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vl4ad_workshop.scenes.bank import pick, Sprite
from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.frame import Frame
from vl4ad_workshop.scenes.items import Billboard, Vehicle
from vl4ad_workshop.scenes.kinds import GROUPS, kinds_in
from vl4ad_workshop.scenes.weather import develop, draw_weather
from vl4ad_workshop.scenes.world import (
    LANE, make_road, paint_world, parked, place_thing, surroundings, walkers, wear_ground)

SMALLEST_ANOMALY = 25
LARGEST = 8192  # rows or columns
LONGEST_S = 3600.0
FASTEST_HZ = 1000.0
GAP_S = 1.5
_SEEN_FROM_M = 44.0
_FADE_M = 4.0
_SPEED = (6.0, 12.0)
_PIXELS = 150
_WIDEST_M = 3.2


@dataclass(frozen=True)
class Anomaly:
    """
    A thing on the road that does not belong there.

    `number` counts from 1, `kind` and `group` name it, (s, t) is where its near end stands in
    metres along and to the right of the road's middle; it shows from `first_s` to `last_s`
    (seconds). `size_m` is its (length, width, height); pictures have no length.
    """

    number: int
    kind: str
    group: str
    s: float
    t: float
    first_s: float
    last_s: float
    size_m: tuple[float, float, float]

    def is_drawn(self, seconds: float) -> bool:
        """Return whether it is drawn at a time, in sight or already passed."""
        return self.first_s <= seconds <= self.last_s + 1


@dataclass(frozen=True)
class DriveFrame:
    """
    One picture of a drive.

    `anomaly` (H, W) uint8: 0 belongs there, 1 anomaly, 255 uncertain (rims, things too small to
    count or just coming into sight); `anomaly_ids` (H, W) uint16: the anomaly's number where
    `anomaly` is 1, else 0; `camera_matrix` K (3, 3) float64; `stamp_ns` since the drive began.
    """

    frame: Frame
    stamp_ns: int
    anomaly: np.ndarray
    anomaly_ids: np.ndarray
    camera_matrix: np.ndarray


@dataclass(frozen=True)
class _Mover:
    kind: str
    views: dict[str, Sprite]
    s: float
    t: float
    speed: float
    oncoming: bool

    def at(self, seconds: float):
        s = self.s + self.speed * seconds
        if 'any' in self.views:
            return Billboard(self.kind, self.views['any'], s, self.t)
        return Vehicle(self.kind, self.views, s, self.t, self.oncoming)


class Drive:
    """
    A drive of `seconds` at `rate_hz`, the same for the same arguments; iterate for its frames.

    The car keeps to its lane at 6 to 12 m/s; there are parked, oncoming and leading cars and
    walkers. `anomalies` things of `groups` ('masks', 'words', 'unseen', taken in turn) stand on
    or beside the lane, one after another: each comes into sight at about 40 m (nearer if there is
    less than 5.5 s for each) and is passed; at least 1.5 s without any lie between two. `size` is
    (H, W); `split` chooses the drawn examples. Each frame can be drawn by itself, in any order.
    Raises ValueError for unknown or empty groups, a size, time or rate that is too small or too
    large, or too many anomalies for the time.
    """

    def __init__(self, seed: int, size: tuple[int, int] = (360, 640), seconds: float = 24.0,
                 rate_hz: float = 10.0, split: str = 'test',
                 groups: tuple[str, ...] = ('masks',), anomalies: int = 4):
        allowed = tuple(group for group in GROUPS if group != 'known')
        if not groups or set(groups) - set(allowed):
            raise ValueError(f'groups: expected some of {allowed}, got {tuple(groups)}')
        # NaN fails each of these comparisons.
        if not (0 < seconds <= LONGEST_S and 0 < rate_hz <= FASTEST_HZ
                and round(seconds * rate_hz) > 0):
            raise ValueError(f'expected up to {LONGEST_S:g} s at up to {FASTEST_HZ:g} Hz, with '
                             f'time for a frame, got {seconds} s at {rate_hz} Hz')
        if min(size) < 16 or max(size) > LARGEST:
            raise ValueError(f'size: expected 16 x 16 to {LARGEST} x {LARGEST}, got '
                             f'{" x ".join(map(str, size))} (rows x columns)')
        if seed < 0:
            raise ValueError(f'seed: expected 0 or more, got {seed}')
        most = int(seconds / (GAP_S + 2.0))
        if not 0 <= anomalies <= most:
            raise ValueError(f'anomalies: expected 0 to {most} in {seconds} s, got {anomalies}; '
                             'make the drive longer or the number smaller')
        self.seed, self.size, self.seconds, self.rate_hz = seed, tuple(size), seconds, rate_hz
        self.split, self.groups = split, tuple(groups)
        rng = np.random.default_rng([2, seed])
        height, width = self.size
        self._camera = Camera(self.size, width * rng.uniform(.8, .95), (width - 1) / 2,
                              height * rng.uniform(.38, .46), rng.uniform(1.25, 1.65))
        self.camera_matrix = self._camera.matrix()
        shown = seconds / max(1, anomalies) - GAP_S - .25
        speed = float(np.clip(_SEEN_FROM_M / shown, *_SPEED)) if anomalies else rng.uniform(7, 11)
        self._speed, self._ripple = speed, (rng.uniform(0, .4), rng.uniform(0, 6))
        self._sway = (rng.uniform(.05, .22), rng.uniform(5, 9), rng.uniform(0, 6))
        self._bend = (rng.normal() * 4e-4, rng.uniform(90, 200), rng.uniform(0, 6))
        place = str(rng.choice(['city', 'suburb', 'country'], p=[.45, .35, .2]))
        weather = draw_weather(rng)
        weather = replace(weather, sight=max(weather.sight, 65.0),
                          noise=min(weather.noise, 3.0))
        self._world = make_road(rng, place, weather, split, _PIXELS, lanes=2)
        self.anomalies = tuple(self._place(rng, anomalies, shown))
        self._fill(rng, place)

    def __len__(self) -> int:
        return round(self.seconds * self.rate_hz)

    def ego(self, seconds: float) -> Camera:
        """Return the camera at a time, which is above the middle of the car."""
        ripple, phase = self._ripple
        s = self._speed * seconds + ripple * (np.sin(.7 * seconds + phase) - np.sin(phase))
        sway, period, start = self._sway
        t = LANE / 2 + sway * np.sin(2 * np.pi * seconds / period + start)
        bend, length, turn = self._bend
        nod = .0012 * self.size[0] * np.sin(5.1 * seconds) * np.sin(.9 * seconds + phase)
        return replace(self._camera, s=float(s), t=float(t),
                       horizon=float(self._camera.horizon + nod),
                       bend=float(bend * np.sin(2 * np.pi * s / length + turn)))

    def _place(self, rng, count, shown):
        """Yield the anomalies and remember how they look."""
        self._looks: dict[int, Sprite] = {}
        names: dict[str, list] = {}
        for number in range(1, count + 1):
            group = self.groups[(number - 1) % len(self.groups)]
            if len(names.get(group, ())) < 3:
                listed = [kind.name for kind in kinds_in(group)]
                names[group] = [listed[k] for k in rng.permutation(len(listed))]
            kind, sprite = self._narrow(rng, names[group])
            last = number * self.seconds / count - .2
            first = last - shown
            end = self.ego(last)
            s = end.s + 1.5
            first = max(first, last - (_SEEN_FROM_M - 1.5) / self._speed)
            offset = sprite.width / 2 + rng.uniform(.45, .95)
            left = sprite.width < 1.1 and rng.random() < .4
            t = end.t - offset if left else end.t + offset
            self._looks[number] = sprite
            self._world.taken.append((s, t, sprite.width / 2 + .8))
            yield Anomaly(number, kind, group, float(s), float(t), float(first), float(last),
                          (0.0, sprite.width, sprite.height))

    def _narrow(self, rng, names):
        """Take names off the list until one is narrow enough to stand on the lane's edge."""
        while True:
            kind = names.pop()
            views = pick(rng, kind, self.split, _PIXELS)
            sprite = views.get('any') or views['rear']
            if sprite.width < _WIDEST_M:
                return kind, sprite

    def _fill(self, rng, place):
        world, end = self._world, self.ego(self.seconds).s
        wear_ground(rng, world, 0, end + 60)
        surroundings(rng, world, place, -15, end + 150)
        if world.half_road > LANE + 1.9:  # else parked cars would stand in the lane
            parked(rng, world, 4, end + 60, rng.uniform(.25, .7))
        walkers(rng, world, 8, end + 60, int(end / 16) if place != 'country' else 2)
        world.items = [item for item in world.items if not (
            isinstance(item, Billboard) and item.layer == 2
            and abs(item.t) < world.half_road - 1)]
        for _ in range(int(end / 25)):
            place_thing(rng, world, 'person', rng.uniform(8, end + 60),
                        rng.choice([-1, 1]) * rng.uniform(world.half_road + .4, world.edge + .6))

        def car(kinds=('car', 'car', 'car', 'truck', 'bus')):
            kind = str(rng.choice(kinds))
            return kind, pick(rng, kind, self.split, _PIXELS)
        self._movers = [_Mover(*car(('car', 'car', 'truck')), rng.uniform(50, 65), LANE / 2,
                               self._speed, False)]
        s = rng.uniform(30, 80)
        while s < end + 12 * self.seconds + 60:
            self._movers.append(_Mover(*car(), s, -LANE / 2 - .15, -11.0, True))
            s += rng.uniform(35, 140)
        for _ in range(int(rng.integers(1, 5))):
            t = rng.choice([-1, 1]) * (world.half_road + rng.uniform(.8, 1.4))
            self._movers.append(_Mover(
                'person', pick(rng, 'person', self.split, _PIXELS),
                rng.uniform(10, max(end, 10)), t,
                rng.choice([-1, 1]) * rng.uniform(.9, 1.5), False))

    def __iter__(self) -> Iterator[DriveFrame]:
        for index in range(len(self)):
            yield self.draw(index)

    def draw(self, index: int) -> DriveFrame:
        """Return the frame of this index, 0 to len - 1."""
        seconds = index / self.rate_hz
        camera = self.ego(seconds)
        movers, clear = [mover.at(seconds) for mover in self._movers], []
        for thing in self.anomalies:
            if thing.is_drawn(seconds):
                start = self.ego(thing.first_s).s
                opacity = float(np.clip((camera.s - start) / _FADE_M, 0.05, 1))
                movers.append(Billboard(thing.kind, self._looks[thing.number], thing.s, thing.t,
                                        owner=thing.number, opacity=opacity))
                clear += [thing.number] if opacity == 1 else []
        canvas = paint_world(self._world, camera, self.size, movers)
        rng = np.random.default_rng([3, self.seed, index])
        picture = develop(canvas.image, self._world.weather, rng)
        numbers = np.asarray(canvas.owners, np.uint16)[canvas.ids]
        frame, _ = canvas.frame(picture)
        anomaly, ids = label_things(numbers, clear)
        return DriveFrame(frame, round(seconds * 1e9), anomaly, ids, self.camera_matrix)


def label_things(numbers: np.ndarray, clear: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return anomaly labels (0, 1, 255) and ids from the numbers painted and those that count.

    Rims are 255, as are things too small to count.
    """
    anomaly = np.zeros(numbers.shape, np.uint8)
    for number in np.unique(numbers[numbers > 0]):
        mask = (numbers == number).astype(np.uint8)
        anomaly[cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0] = 255
        if number in clear and mask.sum() >= SMALLEST_ANOMALY:
            anomaly[mask > 0] = 1
    return anomaly, np.where(anomaly == 1, numbers, 0).astype(np.uint16)
