# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO panoptic (arXiv 1801.00868) from local folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.training.real.labelled import (
    DatasetError, Labelled, labelled, read_png, require)

LAYOUT = """  annotations/panoptic_SPLIT.json
  panoptic_SPLIT/*.png   (segment id = R + 256 G + 65536 B)
  SPLIT/*.jpg            (SPLIT is train2017 or val2017)"""


class CocoPanoptic:
    """One split; its categories, sorted by id, correspond to the classes of the vocabulary."""

    def __init__(self, root: Path, split: str, vocabulary: Vocabulary) -> None:
        path = require(root / 'annotations' / f'panoptic_{split}.json', LAYOUT)
        self._images = require(root / split, LAYOUT)
        self._labels = require(root / f'panoptic_{split}', LAYOUT)
        try:
            content = json.loads(path.read_bytes())
            categories = {c['id']: c['name'] for c in content['categories']}
            annotations = content['annotations']
            rows = [(s['id'], s['category_id'], s['iscrowd'])
                    for a in annotations for s in a['segments_info']]
            # Kept as arrays, because a million dictionaries would need much memory per worker.
            self._files = [a['file_name'] for a in annotations]
            self._ends = np.cumsum([0] + [len(a['segments_info']) for a in annotations])
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f'{path} is not an annotation file of COCO panoptic ({error!r}); '
                               'extract panoptic_annotations_trainval2017.zip again') from None
        if not self._files:
            raise DatasetError(f'{path} lists no picture; extract it again')
        _check(categories, vocabulary, path)
        table = np.array(rows, np.int64).reshape(-1, 3)
        self._ids, self._crowd = table[:, 0], table[:, 2].astype(bool)
        known = np.array(sorted(categories))
        strange = set(table[:, 1].tolist()) - set(categories)
        if strange:
            raise DatasetError(f'{path} has segments of categories {sorted(strange)}, which it '
                               'does not list; extract it again')
        self._kinds = np.searchsorted(known, table[:, 1])

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._files)

    def name(self, index: int) -> str:
        """Return the path of a picture."""
        return str(self._images / Path(self._files[index]).with_suffix('.jpg'))

    def __getitem__(self, index: int) -> Labelled:
        """Read a picture and its segments."""
        label = self._labels / self._files[index]
        blue, green, red = np.moveaxis(read_png(label)[..., :3].astype(np.int64), 2, 0)
        part = slice(self._ends[index], self._ends[index + 1])
        return labelled(self.name(index), label, red + 256 * green + 65536 * blue,
                        self._ids[part], self._kinds[part], self._crowd[part])


def _check(categories: dict[int, str], vocabulary: Vocabulary, path: Path) -> None:
    names = [c.name for c in vocabulary.classes]
    if len(categories) != len(names):
        raise DatasetError(f'{path} has {len(categories)} categories and the vocabulary '
                           f'{len(names)} classes; set data.vocabulary to one whose classes are '
                           'the categories, sorted by id')
    for place, key in enumerate(sorted(categories)):
        if categories[key] in names and names[place] != categories[key]:
            raise DatasetError(
                f"{path}: category {key} '{categories[key]}' is number {place} of the sorted ids "
                f"but the vocabulary's class {place} is '{names[place]}'; sort the vocabulary's "
                'classes like the category ids')
