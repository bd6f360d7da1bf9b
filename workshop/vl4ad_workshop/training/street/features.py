# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Computes the frozen features of pictures once, and keeps them on disk for all trainings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
import json
import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vl4ad_workshop.street.classifier import CHANNELS, Classifier, STRIDES
from vl4ad_workshop.training.street.recipe import StreetRecipe
from vl4ad_workshop.training.street.road_picture import IGNORE, padded, RoadPicture, scaled

_INDEX, _MAPS, _LABELS = 'pictures.json', 'maps.bin', 'labels.bin'


@dataclass(frozen=True)
class _Record:
    name: str
    height: int
    width: int
    clean: bool
    first_value: int
    first_label: int


class FeatureSet:
    """
    The features and labels of some pictures, in one folder.

    The maps are those of `Classifier.features` as float16, at the strides 4, 8, 16 and 32. The
    labels are int8 at stride 4. Both are read from disk where they are used.

    :ivar key: stands for the data and all settings.
    :ivar sizes: rows and columns of each picture in the network's input.
    """

    def __init__(self, folder: Path) -> None:
        """
        Open a folder that `FeatureSet.compute` has written.

        :raises OSError: if a file is missing.
        """
        self._folder = folder
        index = json.loads((folder / _INDEX).read_text())
        self.key = index['key']
        self._records = [_Record(*r) for r in index['pictures']]
        self.sizes = [(r.height, r.width) for r in self._records]

    @staticmethod
    def compute(folder: Path, key: str, pictures: Iterable[RoadPicture], classifier: Classifier,
                recipe: StreetRecipe, scales: Sequence[float] = (1.0,),
                count: int | None = None) -> FeatureSet:
        """
        Compute the features, or open the folder if it has them already.

        :param folder: is written; a run that was stopped starts this part anew.
        :param key: stands for the data and all settings; another key computes anew.
        :param pictures: read only if they are needed.
        :param classifier: the frozen network.
        :param recipe: size of the network's input.
        :param scales: sizes of the pictures, as multiples of that at which they fit it.
        :param count: number of pictures, for the progress bar.
        """
        index = folder / _INDEX
        with suppress(OSError, ValueError, KeyError):
            if json.loads(index.read_text())['key'] == key:
                return FeatureSet(folder)
        folder.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)
        records: list[_Record] = []
        first_value = first_label = 0
        with (folder / _MAPS).open('wb') as maps, (folder / _LABELS).open('wb') as labels:
            for picture in tqdm(pictures, f'features of {folder.name}', count):
                for scale in scales:
                    fitted = padded(scaled(picture, (recipe.height, recipe.width), scale),
                                    recipe.padding_rgb)
                    records.append(_Record(fitted.name, *fitted.rgb.shape[:2], fitted.clean,
                                           first_value, first_label))
                    for values in features_of(classifier, fitted.rgb):
                        first_value += values.size
                        values.tofile(maps)
                    small = np.ascontiguousarray(fitted.labels[2::4, 2::4])
                    first_label += small.size
                    small.tofile(labels)
        written = index.with_suffix('.part')
        written.write_text(json.dumps({
            'key': key, 'pictures': [list(vars(r).values()) for r in records]}))
        os.replace(written, index)
        return FeatureSet(folder)

    def __len__(self) -> int:
        """Return the number of pictures, each scale counted."""
        return len(self._records)

    @property
    def names(self) -> list[str]:
        """The names of the pictures."""
        return [r.name for r in self._records]

    def maps(self, index: int) -> list[np.ndarray]:
        """Return the four maps of a picture: float16 (c, H / stride, W / stride), read-only."""
        record = self._records[index]
        start, maps = record.first_value, []
        for channels, stride in zip(CHANNELS, STRIDES):
            shape = channels, record.height // stride, record.width // stride
            maps.append(self._values[start:start + np.prod(shape)].reshape(shape))
            start += maps[-1].size
        return maps

    def labels(self, index: int) -> np.ndarray:
        """Return the labels of a picture: int8 (H / 4, W / 4), read-only."""
        record = self._records[index]
        shape = record.height // STRIDES[0], record.width // STRIDES[0]
        start = record.first_label
        return self._all_labels[start:start + shape[0] * shape[1]].reshape(shape)

    def is_clean(self, index: int) -> bool:
        """Return whether a picture certainly shows no unusual object."""
        return self._records[index].clean

    def label_counts(self, words: int) -> np.ndarray:
        """Return the number of labelled cells of each of `words` words: int64 (words,)."""
        labels = self._all_labels[self._all_labels != IGNORE]
        return np.bincount(labels, minlength=words)

    @cached_property
    def _values(self) -> np.ndarray:
        return np.memmap(self._folder / _MAPS, np.float16, 'r')

    @cached_property
    def _all_labels(self) -> np.ndarray:
        return np.fromfile(self._folder / _LABELS, np.int8)


@torch.inference_mode()
def features_of(classifier: Classifier, rgb: np.ndarray) -> list[np.ndarray]:
    """
    Return the classifier's maps of a picture.

    :param classifier: the frozen network.
    :param rgb: uint8 (H, W, 3); both sides are multiples of 32.
    :return: float16 (c, H / stride, W / stride) for each stride.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
    return [m[0].half().numpy() for m in classifier.features(pixels)]
