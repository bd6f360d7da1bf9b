# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Photographs of Indian roads with boxes around obstacles.

They are those of vsh9705/indian-road-obstacle-detection-dataset on GitHub (licence MIT).
They only measure a model and are never trained on. Half of the files are a hold-out of the whole
project and are never decoded: those whose sha256 begins with 8 to f.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import hashlib
from pathlib import Path

import numpy as np

from vl4ad_ros.images import ConvertError
from vl4ad_ros.images.photo import photo_to_rgb
from vl4ad_workshop.training.real.labelled import DatasetError

CLASSES = ('pothole', 'cart', 'animal', 'barricade', 'rickshaw')
PARTS = {'choose': '0123', 'report': '4567'}
"""First digit of the sha256 of the files that may choose constants, and of those that report."""
_LEAST_WIDTH = 400  # pixels


@dataclass(frozen=True, eq=False)
class BoxedPicture:
    """
    A photograph with boxes around the obstacles of `CLASSES`.

    :ivar name: its path below images/.
    :ivar sha256: of the file, in hexadecimal digits.
    :ivar rgb: uint8 (H, W, 3).
    :ivar boxes: (class, x and y of the middle, width, height); the last four as fractions of the
        picture's sides.
    """

    name: str
    sha256: str
    rgb: np.ndarray
    boxes: tuple[tuple[str, float, float, float, float], ...]


class IndianRoads:
    """The photographs of one part that show an object of a class: images/, annotations/."""

    def __init__(self, root: Path, part: str, kind: str = 'animal') -> None:
        """
        List the photographs with such an object.

        :param root: the folder of the data set.
        :param part: a key of `PARTS`.
        :param kind: one of `CLASSES`.
        :raises DatasetError: if there are no annotations, or one cannot be read.
        """
        self._root, self._digits = root, PARTS[part]
        self._boxes = {}
        if not is_indian_roads(root):
            raise DatasetError(f"'{root}' has no photographs of Indian roads; expected "
                               'images/SPLIT/* and annotations/SPLIT/*.txt')
        for file in sorted((root / 'annotations').glob('*/*.txt')):
            boxes = _read_boxes(file)
            if any(box[0] == kind for box in boxes):
                self._boxes[file.relative_to(root / 'annotations').with_suffix('')] = boxes

    def __iter__(self) -> Iterator[BoxedPicture]:
        """Read the photographs in landscape format that are at least 400 pixels wide."""
        for stem, boxes in self._boxes.items():
            folder = self._root / 'images' / stem.parent
            # The names have spaces, brackets and many extensions; glob would read the brackets.
            for file in sorted(f for f in folder.iterdir() if f.stem == stem.name):
                data = file.read_bytes()
                sha256 = hashlib.sha256(data).hexdigest()
                if sha256[0] not in self._digits:
                    continue
                try:
                    rgb = photo_to_rgb(data)
                except ConvertError:
                    continue
                height, width = rgb.shape[:2]
                if width >= max(height, _LEAST_WIDTH):
                    yield BoxedPicture(str(file.relative_to(self._root / 'images')), sha256, rgb,
                                       boxes)


def is_indian_roads(root: Path) -> bool:
    """Return whether a folder has the layout of the data set."""
    return (root / 'images').is_dir() and any((root / 'annotations').glob('*/*.txt'))


def _read_boxes(file: Path) -> tuple[tuple[str, float, float, float, float], ...]:
    """Read an annotation in YOLO's format: class, x, y, width, height."""
    boxes = []
    for line in file.read_text().splitlines():
        if line.strip():
            try:
                kind, x, y, width, height = line.split()
                boxes.append((CLASSES[int(float(kind))], float(x), float(y), float(width),
                              float(height)))
            except (ValueError, IndexError) as error:
                raise DatasetError(f'{file}: {line!r} is no class with a box ({error})') from None
    return tuple(boxes)
