# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with labelled segments, as every data set returns them, and reading their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np


class DatasetError(ValueError):
    """A data set that cannot be used; the message names the path and says what to do."""


@dataclass(frozen=True)
class Labelled:
    """
    One picture.

    :ivar image: (H, W, 3) uint8 RGB.
    :ivar segments: (H, W) int16, index into `kinds`; -1 has no label.
    :ivar kinds: class index of each segment.
    :ivar crowd: whether a segment is a group of objects, which is not used for masks.
    """

    image: np.ndarray
    segments: np.ndarray
    kinds: tuple[int, ...]
    crowd: tuple[bool, ...]

    def class_map(self) -> np.ndarray:
        """Return the class of each pixel, crowds included, (H, W) int16; -1 has no label."""
        return np.array([*self.kinds, -1], np.int16)[self.segments]


class Dataset(Protocol):
    """Labelled pictures by number."""

    def __len__(self) -> int:
        """Return the number of pictures."""

    def name(self, index: int) -> str:
        """Return the path of a picture."""

    def __getitem__(self, index: int) -> Labelled:
        """Read a picture."""


def read_png(path: Path | str) -> np.ndarray:
    """
    Read a label file as it is: (H, W) integers, or (H, W, 3) in OpenCV's order B, G, R.

    :raises DatasetError: if it cannot be read.
    """
    return _read(path, cv2.IMREAD_UNCHANGED)


def read_image(path: Path | str) -> np.ndarray:
    """
    Read a picture as (H, W, 3) uint8 RGB, turned upright as its EXIF data says.

    :raises DatasetError: if it cannot be read.
    """
    return cv2.cvtColor(_read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def labelled(image: Path | str, label: Path | str, ids: np.ndarray, known: np.ndarray,
             kinds: np.ndarray, crowd: np.ndarray) -> Labelled:
    """
    Combine a picture and its label.

    :param image: file of the picture.
    :param label: file of the label, for error messages.
    :param ids: (H, W) segment ids of the label file.
    :param known: (s,) ids of the segments with a class.
    :param kinds: (s,) class index of each of them.
    :param crowd: (s,) bool, whether each is a group of objects.
    :raises DatasetError: if sizes differ.
    """
    pixels = read_image(image)
    if pixels.shape[:2] != ids.shape:
        raise DatasetError(f'{image} is {pixels.shape[1]}x{pixels.shape[0]} pixels but its label '
                           f'{label} is {ids.shape[1]}x{ids.shape[0]}; extract both again')
    order = np.argsort(known)
    place = np.searchsorted(known, ids, sorter=order).clip(max=max(len(known) - 1, 0))
    index = order[place] if len(known) else np.zeros(ids.shape, int)
    found = known[index] == ids if len(known) else np.zeros(ids.shape, bool)
    return Labelled(pixels, np.where(found, index, -1).astype(np.int16),
                    tuple(kinds.tolist()), tuple(crowd.tolist()))


def require(path: Path, layout: str) -> Path:
    """
    Return `path` if it exists.

    :param layout: the expected files, for the error message.
    :raises DatasetError: if it is missing.
    """
    if not path.exists():
        raise DatasetError(f"'{path}' is missing; expected below data.root:\n{layout}\n"
                           'docs/training.md says where to get the files')
    return path


def _read(path: Path | str, flags: int) -> np.ndarray:
    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        state = 'cannot be decoded' if Path(path).exists() else 'is missing'
        raise DatasetError(f'{path} {state}; extract the data set again')
    return pixels
