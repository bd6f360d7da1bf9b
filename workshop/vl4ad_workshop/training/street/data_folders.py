# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognises what data a folder holds by its layout, and says what missing data costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from vl4ad_workshop.training.real.labelled import DatasetError
from vl4ad_workshop.training.street import coco_instances, coco_panoptic
from vl4ad_workshop.training.street.camvid import camvid_folder
from vl4ad_workshop.training.street.cityscapes import is_cityscapes
from vl4ad_workshop.training.street.davis import is_davis
from vl4ad_workshop.training.street.indian_roads import is_indian_roads
from vl4ad_workshop.training.street.penn_fudan import is_penn_fudan
from vl4ad_workshop.training.street.road_frames import road_files

_LAYOUTS = """\
  CamVid:          train/, trainannot/, val/, valannot/, test/, testannot/ (or in CamVid/)
  Cityscapes:      leftImg8bit/, gtFine/
  COCO panoptic:   annotations/panoptic_train2017.json (or in panoptic_segmentation/annotations/)
  COCO instances:  annotations/instances_train2017.json, annotations/instances_val2017.json
  DAVIS:           JPEGImages/480p/, Annotations/480p/
  Penn-Fudan:      PNGImages/, PedMasks/
  Indian roads:    images/SPLIT/*, annotations/SPLIT/*.txt
  clean roads:     pictures or videos directly in the folder, or one video"""

_COSTS = {
    'streets': 'CamVid or Cityscapes is missing: roads, pavements, poles and distant people are '
               'learnt from COCO alone and will be much poorer',
    'coco_panoptic': 'COCO panoptic is missing: nothing teaches what an object is, and nothing '
                     'can be pasted, so that the model will miss most unusual objects',
    'coco_instances': 'COCO instances is missing: every fifth picture of COCO panoptic is kept '
                      'for validation instead and not trained on',
    'davis': 'DAVIS is missing: fewer animals and hardly any motorcycle are pasted',
    'penn_fudan': 'Penn-Fudan is missing: fewer people are pasted, so that more of them are taken '
                  'for unusual objects',
    'road_frames': 'pictures or videos of clean roads are missing: bright asphalt will look like '
                   'an object more often',
}


@dataclass(frozen=True)
class DataFolders:
    """
    Where each data set is, None for those that are missing.

    :ivar camvid: labelled streets.
    :ivar cityscapes: labelled streets.
    :ivar coco_panoptic: labelled scenes, and the objects that are pasted in training.
    :ivar coco_instances: the objects that are pasted for validation and tests.
    :ivar davis: further objects that are pasted in training.
    :ivar penn_fudan: people that are pasted in training.
    :ivar indian_roads: photographs for evaluation, never trained on.
    :ivar road_frames: folders of clean roads, or videos.
    """

    camvid: Path | None = None
    cityscapes: Path | None = None
    coco_panoptic: Path | None = None
    coco_instances: Path | None = None
    davis: Path | None = None
    penn_fudan: Path | None = None
    indian_roads: Path | None = None
    road_frames: tuple[Path, ...] = ()

    @staticmethod
    def recognise(paths: Iterable[Path]) -> DataFolders:
        """
        Recognise each folder by its layout; one folder may hold several data sets.

        :param paths: folders, and videos of clean roads.
        :raises DatasetError: for a folder of no known layout, or two of the same layout.
        """
        folders = DataFolders()
        for path in paths:
            if not path.exists():
                raise DatasetError(f"there is no folder '{path}'; give one of these:\n{_LAYOUTS}")
            found = _layouts(path)
            if not found:
                raise DatasetError(f"'{path}' has no known layout; expected one of:\n{_LAYOUTS}")
            for name in found:
                before = getattr(folders, name)
                if name == 'road_frames':
                    folders = replace(folders, road_frames=(*before, path))
                elif before is not None:
                    raise DatasetError(f"'{before}' and '{path}' are both {_title(name)}; give "
                                       'one of them')
                else:
                    folders = replace(folders, **{name: path})
        return folders

    def found(self) -> list[str]:
        """Return a line for each data set that was recognised."""
        lines = [f'{_title(name)}: {path}' for name, path in vars(self).items()
                 if path and name != 'road_frames']
        return lines + [f'{_title("road_frames")}: {path}' for path in self.road_frames]

    def missing(self) -> list[str]:
        """Return a sentence for each missing data set that training uses, with what it costs."""
        is_missing = {'streets': not (self.camvid or self.cityscapes),
                      **{name: not getattr(self, name) for name in _COSTS if name != 'streets'}}
        return [cost for name, cost in _COSTS.items() if is_missing[name]]


def _layouts(path: Path) -> list[str]:
    """Return the names of the fields of `DataFolders` whose layout a folder has."""
    if path.is_dir():
        tests = {
            'camvid': camvid_folder(path) is not None, 'cityscapes': is_cityscapes(path),
            'coco_panoptic': any(coco_panoptic.panoptic_file(path, s)
                                 for s in coco_panoptic.SPLITS),
            'coco_instances': any(coco_instances.instances_file(path, s).is_file()
                                  for s in coco_instances.SPLITS),
            'davis': is_davis(path), 'penn_fudan': is_penn_fudan(path),
            'indian_roads': is_indian_roads(path)}
        if names := [name for name, is_it in tests.items() if is_it]:
            return names
    return ['road_frames'] if road_files(path) else []


def _title(name: str) -> str:
    """Return how people call a data set."""
    return {'camvid': 'CamVid', 'cityscapes': 'Cityscapes', 'coco_panoptic': 'COCO panoptic',
            'coco_instances': 'COCO instances', 'davis': 'DAVIS',
            'penn_fudan': 'Penn-Fudan', 'indian_roads': 'Indian roads (evaluation only)',
            'road_frames': 'clean roads'}[name]
