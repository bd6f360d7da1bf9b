# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects of COCO's instance annotations (arXiv 1405.0312) as cut-outs, for evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
import json
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros.composing.pasting import CutOut
from vl4ad_workshop.training.real.labelled import DatasetError, read_image
from vl4ad_workshop.training.street.cutting import cut_out

SPLITS = ('train2017', 'val2017')


class CocoInstances:
    """
    One split: annotations/instances_SPLIT.json, and pictures in SPLIT/ or images/SPLIT/.

    The layout is that of COCO and of Obmutescence/COCO-MINI. Listed pictures whose file is
    missing are left out.
    """

    def __init__(self, root: Path, split: str, most: int) -> None:
        """
        Read the list of objects.

        :param root: the folder of the layout.
        :param split: one of `SPLITS`.
        :param most: number of pictures that are used, the first ones in the order of their names.
        :raises DatasetError: if the list is missing or no list of COCO instances.
        """
        file = instances_file(root, split)
        try:
            content = json.loads(file.read_bytes())
            categories = {c['id']: c['name'] for c in content['categories']}
            files = {i['id']: i['file_name'] for i in content['images']}
            objects: dict[str, list[tuple[str, list[list[float]]]]] = defaultdict(list)
            for a in content['annotations']:
                if not a['iscrowd']:
                    objects[files[a['image_id']]].append(
                        (categories[a['category_id']], a['segmentation']))
        except FileNotFoundError:
            raise DatasetError(f"'{file}' of COCO instances is missing") from None
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f'{file} is not an annotation file of COCO instances ({error!r}); '
                               'fetch it again') from None
        folders = [f for f in (root / split, root / 'images' / split) if f.is_dir()]
        found = {name: path for name in sorted(files.values())
                 if (path := next((f / name for f in folders if (f / name).exists()), None))}
        self._files = list(found.items())[:most]
        self._objects = objects

    @property
    def names(self) -> frozenset[str]:
        """The names of the pictures, such as '000000000139'."""
        return frozenset(Path(name).stem for name, _ in self._files)

    def cut_outs(self, categories: Collection[str], least_height: int) -> Iterator[CutOut]:
        """
        Cut out the objects of some categories.

        :param categories: their names, such as 'cow'.
        :param least_height: in pixels; smaller and incomplete objects are left out.
        """
        for name, path in self._files:
            wanted = [o for o in self._objects.get(name, ()) if o[0] in categories]
            if not wanted:
                continue
            rgb = read_image(path)
            for category, polygons in wanted:
                mask = np.zeros(rgb.shape[:2], np.uint8)
                cv2.fillPoly(mask, [np.round(np.array(p).reshape(-1, 2)).astype(np.int32)
                                    for p in polygons], 1)
                if cut := cut_out(rgb, mask.astype(bool), category, least_height):
                    yield cut


def instances_file(root: Path, split: str) -> Path:
    """Return where the list of a split is expected."""
    return root / 'annotations' / f'instances_{split}.json'
