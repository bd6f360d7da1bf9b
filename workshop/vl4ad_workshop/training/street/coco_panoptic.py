# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO panoptic (arXiv 1801.00868) with street words as labels, and its objects as cut-outs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np

from vl4ad_ros.composing.pasting import CutOut
from vl4ad_workshop.training.real.labelled import DatasetError, read_image, read_png
from vl4ad_workshop.training.street.cutting import cut_out
from vl4ad_workshop.training.street.label_words import coco_word_index
from vl4ad_workshop.training.street.road_picture import IGNORE, RoadPicture

SPLITS = ('train2017', 'val2017')
_ANNOTATIONS = ('annotations', 'panoptic_segmentation/annotations')


@dataclass(frozen=True)
class _Segment:
    id: int
    category: str
    crowd: bool


class CocoPanopticRoads:
    """
    One split in the standard layout, or in that of lightly-ai/coco128_yolo.

    The standard layout is annotations/panoptic_SPLIT.json, panoptic_SPLIT/*.png and SPLIT/*.jpg.
    The other one has the first two below panoptic_segmentation/annotations/, and the pictures in
    images/SPLIT/. Annotated pictures whose file is missing are left out.
    """

    def __init__(self, root: Path, split: str, without: Collection[str] = (),
                 excluded: Collection[str] = ()) -> None:
        """
        Read the list of pictures.

        :param root: the folder of the layout.
        :param split: one of `SPLITS`.
        :param without: categories whose pixels are ignored, and which are not cut out.
        :param excluded: names of pictures that are left out, such as '000000000139'.
        :raises DatasetError: if files are missing or the list is no list of COCO panoptic.
        """
        file = panoptic_file(root, split)
        if file is None:
            raise DatasetError(
                f"'{root}' has no annotations/panoptic_{split}.json of COCO panoptic")
        self._without = frozenset(without)
        self._labels = _first_folder(file.parent / f'panoptic_{split}', root / f'panoptic_{split}')
        self._images = _first_folder(root / split, root / 'images' / split)
        try:
            content = json.loads(file.read_bytes())
            categories = {c['id']: c['name'] for c in content['categories']}
            listed = {a['file_name']: tuple(
                _Segment(s['id'], categories[s['category_id']], bool(s['iscrowd']))
                for s in a['segments_info']) for a in content['annotations']}
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f'{file} is not an annotation file of COCO panoptic ({error!r}); '
                               'fetch it again') from None
        self._segments = {Path(name).stem: segments for name, segments in sorted(listed.items())
                          if Path(name).stem not in excluded
                          and (self._images / f'{Path(name).stem}.jpg').exists()}
        self._names = list(self._segments)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._names)

    def name(self, index: int) -> str:
        """Return the name of a picture, which is COCO's number."""
        return self._names[index]

    def __getitem__(self, index: int) -> RoadPicture:
        """
        Read one picture.

        :raises DatasetError: if the picture or its labels cannot be read or differ in size.
        """
        name = self._names[index]
        rgb, ids = self._read(name)
        labels = np.full(ids.shape, IGNORE, np.int8)
        for segment in self._segments[name]:
            if not segment.crowd and segment.category not in self._without:
                labels[ids == segment.id] = coco_word_index(segment.category)
        return RoadPicture(name, rgb, labels)

    def __iter__(self) -> Iterator[RoadPicture]:
        """Read all pictures."""
        return (self[i] for i in range(len(self)))

    def cut_outs(self, index: int, categories: Collection[str],
                 least_height: int) -> Iterator[CutOut]:
        """
        Cut the objects of some categories out of a picture.

        :param index: number of the picture.
        :param categories: their names.
        :param least_height: in pixels; smaller and incomplete objects are left out.
        """
        name = self._names[index]
        wanted = [s for s in self._segments[name] if s.category in categories and not s.crowd
                  and s.category not in self._without]
        if not wanted:
            return
        rgb, ids = self._read(name)
        for segment in wanted:
            if cut := cut_out(rgb, ids == segment.id, segment.category, least_height):
                yield cut

    def _read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture and the id of the segment of each pixel."""
        rgb = read_image(self._images / f'{name}.jpg')
        label = self._labels / f'{name}.png'
        blue, green, red = np.moveaxis(read_png(label)[..., :3].astype(np.int64), 2, 0)
        if rgb.shape[:2] != red.shape:
            raise DatasetError(f'{label} and its picture differ in size; fetch both again')
        return rgb, red + 256 * green + 65536 * blue


def panoptic_file(root: Path, split: str) -> Path | None:
    """Return the list of a split in either layout, or None."""
    return next((file for folder in _ANNOTATIONS
                 if (file := root / folder / f'panoptic_{split}.json').is_file()), None)


def _first_folder(*folders: Path) -> Path:
    """Return the first folder that exists."""
    for folder in folders:
        if folder.is_dir():
            return folder
    raise DatasetError(f"'{folders[0]}' is missing; COCO panoptic needs its pictures and labels")
