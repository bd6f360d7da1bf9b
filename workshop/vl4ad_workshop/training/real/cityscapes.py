# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes' fine annotations (arXiv 1604.01685) from local folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.training.real.labelled import (
    DatasetError, Labelled, labelled, read_png, require)

LAYOUT = """  leftImg8bit/SPLIT/CITY/*_leftImg8bit.png
  gtFine/SPLIT/CITY/*_gtFine_instanceIds.png   (SPLIT is train or val)"""

# Label ids of the 19 evaluated classes; objects ("things") are labelled as separate instances.
STUFF = {7: 'road', 8: 'sidewalk', 11: 'building', 12: 'wall', 13: 'fence', 17: 'pole',
         19: 'traffic light', 20: 'traffic sign', 21: 'vegetation', 22: 'terrain', 23: 'sky'}
THINGS = {24: 'person', 25: 'rider', 26: 'car', 27: 'truck', 28: 'bus', 31: 'train',
          32: 'motorcycle', 33: 'bicycle'}


class Cityscapes:
    """One split; a label belongs to the class of the vocabulary that lists its name."""

    def __init__(self, root: Path, split: str, vocabulary: Vocabulary) -> None:
        images = require(root / 'leftImg8bit' / split, LAYOUT)
        self._labels = require(root / 'gtFine' / split, LAYOUT)
        self._files = sorted(images.glob('*/*_leftImg8bit.png'))
        if not self._files:
            raise DatasetError(f"'{images}' holds no picture; expected below data.root:\n{LAYOUT}")
        kind = {concept: i for i, c in enumerate(vocabulary.classes) for concept in c.concepts}
        absent = [n for n in {**STUFF, **THINGS}.values() if n not in kind]
        if absent:
            raise DatasetError(f"the vocabulary has no class with the concept '{absent[0]}'; set "
                               'data.vocabulary to cityscapes, or add the concept to a class')
        self._kind = {i: kind[n] for i, n in {**STUFF, **THINGS}.items()}

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._files)

    def name(self, index: int) -> str:
        """Return the path of a picture."""
        return str(self._files[index])

    def __getitem__(self, index: int) -> Labelled:
        """Read a picture and its segments."""
        image = self._files[index]
        label = self._labels / image.parent.name / image.name.replace(
            '_leftImg8bit', '_gtFine_instanceIds')
        ids = read_png(label).astype(np.int64)
        # An instance is label id * 1000 + number; an id alone is stuff, or a group of objects.
        present = np.unique(ids)
        label_id = np.where(present < 1000, present, present // 1000)
        known = np.isin(label_id, list(self._kind))
        present, label_id = present[known], label_id[known]
        return labelled(image, label, ids, present,
                        np.array([self._kind[i] for i in label_id.tolist()], np.int64),
                        (present < 1000) & np.isin(label_id, list(THINGS)))
