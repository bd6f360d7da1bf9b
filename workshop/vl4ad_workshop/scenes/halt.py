# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Halt before chosen things, so that each stays large in sight, with exact ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vl4ad_workshop.scenes.bank import pick
from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.drive import Anomaly, DriveFrame, label_things
from vl4ad_workshop.scenes.items import Billboard, Vehicle
from vl4ad_workshop.scenes.kinds import KINDS
from vl4ad_workshop.scenes.weather import develop, draw_weather
from vl4ad_workshop.scenes.world import LANE, make_road, paint_world, surroundings, wear_ground

_PIXELS = 150
_PLACES = ('city', 'suburb', 'country')


class Halt:
    """
    `seconds` at `rate_hz` from a car that idles in its lane, the same for the same arguments.

    `things` are (kind, s, t): metres ahead of the camera and to the right of the road's middle;
    vehicles left of the middle face the camera, those right of it show their rear. A frame's
    `anomaly` is 1 on all of them: which of them belong there is for others to say. `size` is
    (H, W); `split` chooses the drawn examples. Use it where a `Drive` is expected.
    """

    def __init__(self, seed: int, things: Sequence[tuple[str, float, float]], seconds: float,
                 rate_hz: float = 10.0, size: tuple[int, int] = (360, 640),
                 split: str = 'test'):
        self.seed, self.size, self.seconds, self.rate_hz = seed, tuple(size), seconds, rate_hz
        rng = np.random.default_rng([4, seed])
        height, width = self.size
        self._camera = Camera(self.size, .85 * width, (width - 1) / 2, .42 * height, 1.5,
                              t=LANE / 2)
        self.camera_matrix = self._camera.matrix()
        place = str(rng.choice(_PLACES))
        weather = replace(draw_weather(rng, 'overcast' if rng.random() < .4 else 'clear'),
                          noise=2.0)
        self._world = make_road(rng, place, weather, split, _PIXELS, lanes=2)
        self.anomalies, self._things = (), []
        for number, (kind, s, t) in enumerate(things, 1):
            views = pick(rng, kind, split, _PIXELS)
            where = {'s': s, 't': t, 'owner': number}
            self._things.append(
                Billboard(kind, views['any'], **where) if 'any' in views else
                Vehicle(kind, views, oncoming=t < 0, **where))
            near = views.get('any') or views['front' if t < 0 else 'rear']
            size = views['side'].width if 'side' in views else 0.0, near.width, near.height
            self.anomalies += (Anomaly(number, kind, KINDS[kind].group, s, t, 0.0, seconds, size),)
        wear_ground(rng, self._world, 0, 60)
        surroundings(rng, self._world, place, -15, 120)
        behind = max(thing.s for thing in self.anomalies)
        self._world.items = [item for item in self._world.items
                             if not isinstance(item, Billboard) or item.s > behind]

    def __len__(self) -> int:
        return round(self.seconds * self.rate_hz)

    def ego(self, seconds: float) -> Camera:
        """Return the camera at a time as if the engine did not shake it."""
        del seconds
        return self._camera

    def draw(self, index: int) -> DriveFrame:
        """Return the frame of this index, 0 to len - 1."""
        seconds = index / self.rate_hz
        # The engine shakes the camera, so that no two pictures are the same.
        shake = np.sin([5.1 * seconds, 3.7 * seconds + 1])
        camera = replace(self._camera, t=float(self._camera.t + .02 * shake[0]),
                         horizon=float(self._camera.horizon + .0012 * self.size[0] * shake[1]))
        canvas = paint_world(self._world, camera, self.size, self._things)
        picture = develop(canvas.image, self._world.weather,
                          np.random.default_rng([5, self.seed, index]))
        numbers = np.asarray(canvas.owners, np.uint16)[canvas.ids]
        frame, _ = canvas.frame(picture)
        labels = label_things(numbers, [thing.number for thing in self.anomalies])
        return DriveFrame(frame, round(seconds * 1e9), *labels, self.camera_matrix)
