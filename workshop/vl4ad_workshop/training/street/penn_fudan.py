# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pedestrians of Penn-Fudan as cut-outs that are pasted in training.

Wang et al., "Object Detection Combining Recognition and Segmentation", ACCV 2007.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vl4ad_ros.composing.pasting import CutOut
from vl4ad_workshop.training.real.labelled import DatasetError, read_image, read_png
from vl4ad_workshop.training.street.cutting import cut_out

_SUFFIX = '_mask.png'


class PennFudan:
    """The layout PNGImages/NAME.png and PedMasks/NAME_mask.png, with a number for each person."""

    def __init__(self, root: Path) -> None:
        """
        List the pictures.

        :param root: the folder of the layout.
        :raises DatasetError: if there is no mask.
        """
        self._root = root
        self._masks = sorted((root / 'PedMasks').glob(f'*{_SUFFIX}'))
        if not self._masks:
            raise DatasetError(f"'{root}' has no masks in PedMasks/; fetch Penn-Fudan again")

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._masks)

    def cut_outs(self, least_height: int) -> Iterator[CutOut]:
        """
        Cut out the people.

        :param least_height: in pixels; smaller and incomplete people are left out.
        :raises DatasetError: if a file cannot be read, or a mask has another size.
        """
        for file in self._masks:
            rgb = read_image(self._root / 'PNGImages' / f'{file.name.removesuffix(_SUFFIX)}.png')
            people = read_png(file)
            if people.shape != rgb.shape[:2]:
                raise DatasetError(f'{file} and its picture differ in size; fetch both again')
            for number in range(1, int(np.max(people)) + 1):
                if cut := cut_out(rgb, people == number, 'person', least_height):
                    yield cut


def is_penn_fudan(root: Path) -> bool:
    """Return whether a folder has the layout of Penn-Fudan."""
    return all((root / part).is_dir() for part in ('PNGImages', 'PedMasks'))
