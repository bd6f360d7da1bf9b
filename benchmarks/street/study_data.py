# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of one split that the study shows to a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from vl4ad_ros.evaluation.video_file import VideoFile
from vl4ad_workshop.training.real.labelled import DatasetError
from vl4ad_workshop.training.street.camvid import CamVid
from vl4ad_workshop.training.street.coco_instances import CocoInstances, instances_file
from vl4ad_workshop.training.street.composites import (
    ANIMALS, Composite, composites, KNOWN_METRES, METRES, Objects)
from vl4ad_workshop.training.street.data_folders import DataFolders
from vl4ad_workshop.training.street.indian_roads import IndianRoads
from vl4ad_workshop.training.street.recipe import StreetRecipe
from vl4ad_workshop.training.street.road_frames import file_sum, road_files, RoadFrames, VIDEOS
from vl4ad_workshop.training.street.road_picture import RoadPicture
from vl4ad_workshop.training.street.training_data import (
    instance_objects, lane_grounds, with_ground)

ADDED = 'cow'
"""The kind whose word is added to the known ones; it must have cut-outs."""
_MOTORWAY_STEP = 3  # every how many frames of a video one gets objects


class Skipped(ValueError):
    """A row that cannot be measured; the message says which data are missing."""


@dataclass(frozen=True)
class Split:
    """
    Which files count.

    :ivar camvid: split of CamVid.
    :ivar instances: split of COCO instances.
    :ivar other_instances: the other one.
    :ivar indian: part of the photographs of Indian roads.
    :ivar seed: of the composites.
    """

    camvid: str
    instances: str
    other_instances: str
    indian: str
    seed: int


SPLITS = {'validation': Split('val', 'train2017', 'val2017', 'choose', 11),
          'test': Split('test', 'val2017', 'train2017', 'report', 12)}
"""Validation chooses constants, test reports."""


class StudyData:
    """Local data sets, read when a row first needs them."""

    def __init__(self, folders: DataFolders, split: Split, recipe: StreetRecipe,
                 most: int | None = None) -> None:
        """
        Remember where the data are.

        :param folders: where each data set is.
        :param split: which files count.
        :param recipe: sizes, and how objects are pasted.
        :param most: largest number of pictures of each kind, for a trial run.
        """
        self.folders, self.split, self.recipe, self._most = folders, split, recipe, most

    @cached_property
    def validation(self) -> StudyData:
        """The same folders with the split that chooses constants."""
        return StudyData(self.folders, SPLITS['validation'], self.recipe, self._most)

    @cached_property
    def streets(self) -> CamVid:
        """The labelled streets."""
        if not self.folders.camvid:
            raise Skipped('CamVid is missing')
        try:
            return CamVid(self.folders.camvid, self.split.camvid)
        except DatasetError as error:
            raise Skipped(str(error)) from error

    @cached_property
    def objects(self) -> Objects:
        """The objects of the split."""
        return self._objects(self.split.instances)

    @cached_property
    def street_composites(self) -> list[Composite]:
        """Unusual and known objects on labelled streets, for every second street."""
        streets = (self.streets[i] for i in self._some(range(0, len(self.streets), 2)))
        return list(composites(with_ground(streets, self.recipe), self.objects.among(METRES),
                               self.objects.among(KNOWN_METRES), self.split.seed,
                               recipe=self.recipe.composites))

    @cached_property
    def animal_composites(self) -> list[Composite]:
        """
        Animals only, on every second labelled street.

        If the split has no `ADDED`, those of the other split are used for it.
        """
        animals = self.objects.among(ANIMALS)
        if ADDED not in animals.names:
            animals = animals.joined(self._objects(self.split.other_instances).among([ADDED]))
        if not len(animals):
            raise Skipped('COCO instances has no animal that can be cut out')
        streets = (self.streets[i] for i in self._some(range(0, len(self.streets), 2)))
        return list(composites(with_ground(streets, self.recipe), animals, Objects(()),
                               self.split.seed + 100, recipe=self.recipe.composites))

    @cached_property
    def motorway_composites(self) -> list[Composite]:
        """Unusual objects on the frames of clean roads, all of whose other pixels are normal."""
        frames = [f for video in self.videos
                  for f in RoadFrames(video, self.recipe.ego_lane, _MOTORWAY_STEP)]
        places = lane_grounds((frames[i] for i in self._some(range(len(frames)))), self.recipe)
        return [replace(made, picture=_all_normal(made.picture)) for made in composites(
            places, self.objects.among(METRES), Objects(()), self.split.seed + 200,
            recipe=self.recipe.composites)]

    @property
    def videos(self) -> list[Path]:
        """The videos of clean roads."""
        found = [f for path in self.folders.road_frames for f in road_files(path)
                 if f.suffix.lower() in VIDEOS]
        if not found:
            raise Skipped('a video of a clean road is missing')
        return found

    @cached_property
    def animals(self) -> IndianRoads:
        """The photographs of Indian roads with animals."""
        if not self.folders.indian_roads:
            raise Skipped('the photographs of Indian roads are missing')
        return IndianRoads(self.folders.indian_roads, self.split.indian)

    def street_numbers(self, step: int = 1) -> Sequence[int]:
        """Return the numbers of the labelled streets that count."""
        return self._some(range(0, len(self.streets), step))

    def frames(self, video: Path) -> VideoFile:
        """Open a video."""
        return VideoFile(video)

    def refuse_trained(self, record: dict[str, object]) -> None:
        """
        Refuse files that a bundle was trained on.

        :param record: `TrainingData.record` of its training.
        :raises SystemExit: if a test picture or a video took part in the training.
        """
        trained = set(record.get('coco_panoptic', ()))
        if self.folders.coco_instances:
            for split in (self.split.instances, self.split.other_instances):
                if instances_file(self.folders.coco_instances, split).is_file():
                    both = trained & CocoInstances(self.folders.coco_instances, split,
                                                   self.recipe.evaluation_pictures).names
                    if both:
                        raise SystemExit(
                            f'the bundle was trained on {len(both)} pictures of COCO instances, '
                            f'such as {min(both)}; train it with this folder among --data')
        sums = set(dict(record.get('clean_roads', {})).values())
        for path in self.folders.road_frames:
            for file in road_files(path):
                if file_sum(file) in sums:
                    raise SystemExit(f"the bundle was trained on '{file}'; give other footage of "
                                     'a clean road')

    def _objects(self, split: str) -> Objects:
        if not self.folders.coco_instances:
            raise Skipped('COCO instances is missing')
        try:
            return instance_objects(self.folders, self.recipe, split)
        except DatasetError as error:
            raise Skipped(str(error)) from error

    def _some(self, numbers: Sequence[int]) -> Sequence[int]:
        if self._most is None or len(numbers) <= self._most:
            return numbers
        return [numbers[i * len(numbers) // self._most] for i in range(self._most)]


def _all_normal(picture: RoadPicture) -> RoadPicture:
    """Return a picture whose pixels all count as normal unless an unusual object is there."""
    return replace(picture, labels=picture.labels.clip(min=0))
