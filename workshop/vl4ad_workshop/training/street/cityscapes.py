# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes' fine annotations with street words as labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary
from vl4ad_workshop.training.real.cityscapes import Cityscapes, STUFF, THINGS
from vl4ad_workshop.training.street.label_words import word_index
from vl4ad_workshop.training.street.road_picture import IGNORE, RoadPicture

_NAMES = tuple({**STUFF, **THINGS}.values())


class CityscapesRoads:
    """
    One split.

    Its people and cars are not cut out for pasting: known things must come from the same pictures
    as unusual ones, or the head learns to tell the sources apart.
    """

    def __init__(self, root: Path, split: str) -> None:
        """
        List the pictures.

        :param root: the folder that holds leftImg8bit/ and gtFine/.
        :param split: 'train' or 'val'.
        :raises DatasetError: if files are missing; the message shows the layout.
        """
        self._data = Cityscapes(root, split, Vocabulary(
            tuple(PromptClass(name, (name,)) for name in _NAMES)))

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._data)

    def __getitem__(self, index: int) -> RoadPicture:
        """
        Read one picture.

        :raises DatasetError: if the picture or its labels cannot be read or differ in size.
        """
        words = np.array([*map(word_index, _NAMES), IGNORE], np.int8)
        read = self._data[index]
        return RoadPicture(Path(self._data.name(index)).stem, read.image, words[read.class_map()])

    def __iter__(self) -> Iterator[RoadPicture]:
        """Read all pictures."""
        return (self[i] for i in range(len(self)))


def is_cityscapes(root: Path) -> bool:
    """Return whether a folder has the layout of Cityscapes."""
    return (root / 'leftImg8bit').is_dir() and (root / 'gtFine').is_dir()
