# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos of clean roads: the lane ahead is road, and nothing is unusual."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros.evaluation.video_file import VideoError, VideoFile
from vl4ad_ros.images import ConvertError
from vl4ad_ros.images.photo import photo_to_rgb
from vl4ad_workshop.street.street_words import WORDS
from vl4ad_workshop.training.real.labelled import DatasetError
from vl4ad_workshop.training.street.recipe import Polygon
from vl4ad_workshop.training.street.road_picture import IGNORE, RoadPicture

PICTURES = ('.jpg', '.jpeg', '.png')
VIDEOS = ('.mp4', '.mov', '.avi', '.mkv', '.webm')


class RoadFrames:
    """
    The frames of a folder, or of one video.

    A camera that looks ahead in its lane is assumed: the polygon is certainly road. Other pixels
    have no label, but the frame counts as clean: nothing in it is an unusual object.
    """

    def __init__(self, path: Path, lane: Polygon, video_step: int) -> None:
        """
        List the files.

        :param path: a folder of pictures and videos, or one video.
        :param lane: the part of each frame that is certainly road.
        :param video_step: every how many frames of a video one is used.
        :raises DatasetError: if there is no picture and no video.
        """
        self._lane, self._step = lane, video_step
        self.files = road_files(path)
        if not self.files:
            raise DatasetError(f"'{path}' has no picture and no video; expected files with one of "
                               f'the extensions {", ".join(PICTURES + VIDEOS)}')

    @property
    def sums(self) -> dict[str, str]:
        """The first 16 digits of the sha256 of each file, by its name."""
        return {f.name: file_sum(f) for f in self.files}

    def __iter__(self) -> Iterator[RoadPicture]:
        """
        Read all frames.

        :raises DatasetError: if a file cannot be read.
        """
        for file in self.files:
            for number, rgb in self._read(file):
                labels = np.full(rgb.shape[:2], IGNORE, np.int8)
                labels[polygon_mask(self._lane, labels.shape)] = WORDS.index('road')
                yield RoadPicture(f'{file.name} {number}', rgb, labels, clean=True)

    def _read(self, file: Path) -> Iterator[tuple[int, np.ndarray]]:
        try:
            if file.suffix.lower() in PICTURES:
                yield 0, photo_to_rgb(file.read_bytes())
                return
            for number, (_, rgb) in enumerate(VideoFile(file).frames()):
                if number % self._step == 0:
                    yield number, rgb
        except ConvertError as error:
            raise DatasetError(f"'{file}' {error}") from error
        except VideoError as error:
            raise DatasetError(str(error)) from error


def road_files(path: Path) -> list[Path]:
    """Return the pictures and videos directly in a folder, or the path itself if it is one."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [f for f in files if f.is_file() and f.suffix.lower() in PICTURES + VIDEOS]


def file_sum(file: Path) -> str:
    """Return the first 16 digits of the sha256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def polygon_mask(corners: Polygon, size: tuple[int, int]) -> np.ndarray:
    """
    Return the pixels inside of a polygon: boolean (H, W).

    :param corners: as fractions of the sides.
    :param size: rows and columns.
    """
    mask = np.zeros(size, np.uint8)
    pixels = np.round(np.array(corners) * (size[1], size[0])).astype(np.int32)
    cv2.fillPoly(mask, [pixels], 1)
    return mask.astype(bool)
