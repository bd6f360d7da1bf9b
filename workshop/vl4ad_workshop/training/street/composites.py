# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Places cut-out objects on roads at plausible sizes, with exact masks and street words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.composing.pasting import CutOut, paste, sharpness
from vl4ad_workshop.street.street_words import OBJECT, WORDS
from vl4ad_workshop.training.street.label_words import word_index
from vl4ad_workshop.training.street.recipe import CompositeRecipe, Polygon
from vl4ad_workshop.training.street.road_frames import polygon_mask
from vl4ad_workshop.training.street.road_picture import RoadPicture

METRES: Mapping[str, float] = {
    'cow': 1.4, 'dog': 0.6, 'horse': 1.6, 'sheep': 0.9, 'elephant': 2.8, 'bear': 1.2,
    'zebra': 1.4, 'giraffe': 3.5, 'cat': 0.35, 'bird': 0.4, 'suitcase': 0.7, 'chair': 0.9,
    'couch': 0.9, 'refrigerator': 1.7, 'toilet': 0.8, 'tv': 0.7, 'potted plant': 0.8,
    'oven': 0.9, 'microwave': 0.4, 'umbrella': 0.9, 'bench': 0.9, 'teddy bear': 0.5,
    'backpack': 0.5, 'handbag': 0.4, 'vase': 0.4, 'fire hydrant': 0.7, 'parking meter': 1.2,
    'boat': 1.5, 'bed': 0.9, 'laptop': 0.3, 'sink': 0.4, 'surfboard': 1.8, 'sports ball': 0.25,
    'keyboard': 0.2, 'camel': 2.1, 'goat': 0.8, 'rhinoceros': 1.6}
"""Typical heights of unusual objects that could be on a road, by the names of COCO and DAVIS."""
ANIMALS = frozenset(('cow', 'dog', 'horse', 'sheep', 'elephant', 'bear', 'zebra', 'giraffe',
                     'cat', 'bird', 'camel', 'goat', 'rhinoceros'))
"""Those of `METRES` that are animals."""
KNOWN_METRES: Mapping[str, float] = {
    'person': 1.7, 'bicycle': 1.1, 'motorcycle': 1.2, 'car': 1.5, 'truck': 2.8, 'bus': 3.0,
    'cyclist': 1.7, 'motorcyclist': 1.65}
"""Heights of known things, which are pasted with their own street words; riders are included."""
_PERSON = 'person'
_TRIES = 30  # for one object; most roads have a place for most objects
_NEAREST = 6  # pixels below the horizon: objects are not put farther away
_LEAST_VISIBLE, _MOST_HIDDEN = 40, 0.1  # pixels, share of an object
_LEAST_ROAD = 50  # pixels
_HORIZON_SHARE, _HORIZON_MARGIN = 0.04, 4  # share of road in a row; pixels


@dataclass(frozen=True, eq=False)
class Ground:
    """
    Where objects may stand in a picture.

    :ivar road: boolean (H, W).
    :ivar horizon: its row in pixels, which sets the sizes; flat ground is assumed.
    """

    road: np.ndarray
    horizon: float

    @staticmethod
    def of_labels(labels: np.ndarray) -> Ground | None:
        """
        Return the ground of a labelled picture, or None without a road.

        :param labels: int8 (H, W), indices into the street words.
        """
        road = labels == WORDS.index('road')
        rows = np.flatnonzero(road.mean(axis=1) > _HORIZON_SHARE)
        return Ground(road, float(rows[0] - _HORIZON_MARGIN)) if len(rows) else None

    @staticmethod
    def of_lane(lane: Polygon, horizon: float, size: tuple[int, int]) -> Ground:
        """
        Return the ground of a camera that looks ahead in its lane.

        :param lane: the part that is road.
        :param horizon: its row as a fraction of the height.
        :param size: rows and columns of the picture.
        """
        return Ground(polygon_mask(lane, size), horizon * size[0])


@dataclass(frozen=True)
class Placed:
    """
    An object in a composite.

    :ivar name: what it is.
    :ivar height: in pixels.
    :ivar known: whether it is a known thing.
    """

    name: str
    height: float
    known: bool


@dataclass(frozen=True, eq=False)
class Composite:
    """
    A picture with pasted objects.

    :ivar picture: the picture; its labels have the street words of the objects.
    :ivar instances: int16 (H, W), number of the object that a pixel shows, from 1; 0 for none.
    :ivar placed: the objects in the order of their numbers.
    """

    picture: RoadPicture
    instances: np.ndarray
    placed: tuple[Placed, ...]


class Objects:
    """Cut-outs by their names; a name is drawn first, so that rare names are as frequent."""

    def __init__(self, cut_outs: Iterable[CutOut]) -> None:
        """Keep the cut-outs in the order in which they come."""
        self._by_name: dict[str, list[CutOut]] = {}
        for cut in cut_outs:
            self._by_name.setdefault(cut.name, []).append(cut)
        self.names = tuple(sorted(self._by_name))

    def __len__(self) -> int:
        """Return the number of cut-outs."""
        return sum(map(len, self._by_name.values()))

    def among(self, names: Iterable[str]) -> Objects:
        """Return the cut-outs with these names."""
        wanted = set(names)
        return Objects(c for n in self.names if n in wanted for c in self._by_name[n])

    def joined(self, other: Objects) -> Objects:
        """Return the cut-outs of both."""
        return Objects(c for objects in (self, other) for n in objects.names
                       for c in objects._by_name[n])

    def draw(self, rng: np.random.Generator, person_share: float = 0.0) -> CutOut:
        """
        Draw one.

        :param rng: draws a name, and then one of its cut-outs.
        :param person_share: probability of a person, if there are any.
        """
        name = self.names[rng.integers(len(self.names))]
        if rng.random() < person_share and _PERSON in self._by_name:
            name = _PERSON
        choices = self._by_name[name]
        return choices[rng.integers(len(choices))]


def compose(picture: RoadPicture, ground: Ground, unusual: Objects, known: Objects,
            rng: np.random.Generator, recipe: CompositeRecipe = CompositeRecipe()) -> Composite:
    """
    Paste up to `recipe.most` objects on the road of a picture.

    Places are even in the logarithm of the distance, so that far objects are as frequent as near
    ones. An object that finds no place is left out.

    :param picture: the picture, which is not changed.
    :param ground: where objects may stand.
    :param unusual: objects that become 'object'; may be empty.
    :param known: objects that keep their street words; may be empty.
    :param rng: draws the objects, places and sizes.
    :param recipe: how objects are pasted.
    """
    rgb, labels = picture.rgb, picture.labels.copy()
    instances = np.zeros(labels.shape, np.int16)
    placed: list[Placed] = []
    rows, columns = np.nonzero(ground.road)
    far_enough = rows > ground.horizon + _NEAREST
    rows, columns = rows[far_enough], columns[far_enough]
    if len(rows) >= _LEAST_ROAD:
        picture_blur = sharpness(rgb)
        for _ in range(rng.integers(recipe.least, recipe.most + 1)):
            is_known = rng.random() < recipe.known_share
            if not len(known if is_known else unusual):
                is_known = not is_known
            for _ in range(_TRIES if len(unusual) or len(known) else 0):
                cut = (known if is_known else unusual).draw(
                    rng, recipe.person_share if is_known else 0.0)
                metres = (KNOWN_METRES if is_known else METRES)[cut.name]
                place = _draw_place(rows, columns, ground.horizon, rng)
                if place is None:
                    continue
                x, y = place
                height = metres * (y - ground.horizon) / recipe.camera_height
                if not recipe.lowest <= height <= recipe.highest * len(rgb):
                    continue
                blur = max(0.0, picture_blur + rng.uniform(*recipe.blur))
                pasted, mask = paste(
                    rgb, cut, (x, y), height, blur, bool(rng.random() < 0.5),
                    rng if rng.random() < recipe.noise_share else None)
                hides = instances[mask] > 0
                if len(hides) < _LEAST_VISIBLE or hides.mean() > _MOST_HIDDEN:
                    continue
                rgb = pasted
                placed.append(Placed(cut.name, float(height), is_known))
                instances[mask] = len(placed)
                labels[mask] = word_index(cut.name) if is_known else WORDS.index(OBJECT)
                break
    made = RoadPicture(picture.name, rgb, labels, picture.clean)
    return Composite(made, instances, tuple(placed))


def composites(pictures: Iterable[tuple[RoadPicture, Ground]], unusual: Objects, known: Objects,
               seed: int, each: int = 1,
               recipe: CompositeRecipe = CompositeRecipe()) -> Iterator[Composite]:
    """
    Paste objects on several pictures; composites without an object are left out.

    :param pictures: with their grounds.
    :param seed: of objects, places and sizes; every composite has its own random numbers.
    :param each: number of composites of a picture.

    The other arguments are those of `compose`.
    """
    for number, (picture, ground) in enumerate(pictures):
        for again in range(each):
            made = compose(picture, ground, unusual, known,
                           np.random.default_rng((seed, number, again)), recipe)
            if made.placed:
                yield made


def _draw_place(rows: np.ndarray, columns: np.ndarray, horizon: float,
                rng: np.random.Generator) -> tuple[float, float] | None:
    """Draw a foot point (x, y) on the road, or None where the drawn row has no road."""
    span = math.log(max(rows[-1] - horizon, _NEAREST + 1)) - math.log(_NEAREST)
    y = horizon + math.exp(math.log(_NEAREST) + span * rng.random())
    # The rows are sorted, because np.nonzero goes from row to row.
    first, last = np.searchsorted(rows, (y - 2, y + 2))
    if first == last:
        return None
    choice = int(rng.integers(first, last))
    return float(columns[choice]), float(rows[choice])
