# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Objects of DAVIS as cut-outs that are pasted in training.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
CVPR 2016: fifty short videos with one mask a frame.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from vl4ad_ros.composing.pasting import CutOut
from vl4ad_workshop.training.real.labelled import DatasetError, read_image, read_png
from vl4ad_workshop.training.street.cutting import cut_out

NAMES: Mapping[str, str] = {
    'bear': 'bear', 'blackswan': 'bird', 'flamingo': 'bird', 'mallard-fly': 'bird',
    'mallard-water': 'bird', 'camel': 'camel', 'cows': 'cow', 'dog': 'dog', 'dog-agility': 'dog',
    'libby': 'dog', 'elephant': 'elephant', 'goat': 'goat', 'rhino': 'rhinoceros',
    'boat': 'boat', 'soccerball': 'sports ball',
    'dance-jump': 'person', 'dance-twirl': 'person', 'hike': 'person', 'hockey': 'person',
    'lucia': 'person', 'parkour': 'person', 'rollerblade': 'person', 'tennis': 'person',
    'car-roundabout': 'car', 'car-shadow': 'car', 'car-turn': 'car', 'drift-chicane': 'car',
    'drift-straight': 'car', 'drift-turn': 'car', 'bus': 'bus',
    'motorbike': 'motorcyclist', 'motocross-bumps': 'motorcyclist',
    'scooter-black': 'motorcyclist', 'scooter-gray': 'motorcyclist',
    'bmx-bumps': 'cyclist', 'bmx-trees': 'cyclist'}
"""
What each video shows.

Videos are left out if their mask joins a person with an unusual object, such as a horse with its
rider, or if the object cannot stand on a road.
"""
_RESOLUTION = '480p'


class Davis:
    """The layout JPEGImages/480p/VIDEO/*.jpg and Annotations/480p/VIDEO/*.png."""

    def __init__(self, root: Path, frames: int) -> None:
        """
        List the videos of `NAMES` that are there.

        :param root: the folder of the layout.
        :param frames: number of frames that are used of each video, evenly spaced.
        :raises DatasetError: if there is none of these videos.
        """
        self._root, self._frames = root, frames
        self.videos = [v for v in NAMES if (root / 'JPEGImages' / _RESOLUTION / v).is_dir()]
        if not self.videos:
            raise DatasetError(f"'{root}' has no video of DAVIS in JPEGImages/{_RESOLUTION}; "
                               'fetch the data set again')

    def cut_outs(self, categories: Collection[str], least_height: int) -> Iterator[CutOut]:
        """
        Cut out the objects of some categories.

        :param categories: values of `NAMES`.
        :param least_height: in pixels; smaller and incomplete objects are left out.
        :raises DatasetError: if a file cannot be read, or a mask has another size.
        """
        for video in self.videos:
            if NAMES[video] in categories:
                for rgb, mask in self._read(video):
                    if cut := cut_out(rgb, mask, NAMES[video], least_height):
                        yield cut

    def _read(self, video: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the picture and the mask of each frame that is used."""
        masks = sorted((self._root / 'Annotations' / _RESOLUTION / video).glob('*.png'))
        count = min(self._frames, len(masks))
        for file in (masks[number * len(masks) // count] for number in range(count)):
            rgb = read_image(self._root / 'JPEGImages' / _RESOLUTION / video / f'{file.stem}.jpg')
            mask = read_png(file)
            mask = (mask if mask.ndim == 2 else mask[..., :3].max(axis=2)) > 0
            if mask.shape != rgb.shape[:2]:
                raise DatasetError(f'{file} and its picture differ in size; fetch both again')
            yield rgb, mask


def is_davis(root: Path) -> bool:
    """Return whether a folder has the layout of DAVIS."""
    return all((root / part / _RESOLUTION).is_dir() for part in ('JPEGImages', 'Annotations'))
