# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds photos and videos in files and folders, names their results, and reads photos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import os
from pathlib import Path
import re

import numpy as np

from vl4ad_ros.evaluation.video_file import VideoError, VideoFile
from vl4ad_ros.files import FileRefused, read_regular
from vl4ad_ros.images import ConvertError, MAX_PIXELS, photo_to_rgb

PHOTOS = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
"""Endings of the photos that are taken from a folder."""
VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.ts', '.webm', '.wmv')
"""Endings of videos."""
_LARGEST_PHOTO = 1 << 30  # bytes
_LONGEST_STEM = 180  # bytes; names of files have at most 255


class PictureError(ValueError):
    """A photo or folder that cannot be used; the message names it and says what was expected."""


@dataclass(frozen=True)
class Source:
    """
    One photo or video.

    :ivar path: the file.
    :ivar video: whether it is a video.
    :ivar stem: the beginning of the names of its results; no other source of the same call of
        `find_sources` has it.
    """

    path: Path
    video: bool
    stem: str


def find_sources(paths: Iterable[Path]) -> tuple[list[Source], list[PictureError]]:
    """
    Return the photos and videos in files and folders.

    The files of a folder are ordered by name, with numbers by value. Sub-folders, hidden files and
    files with other endings are left out. A file that is given by itself may have any ending; it
    is a video if it has one of `VIDEOS`, or if it is no photo and OpenCV opens it as a video.

    :param paths: files and folders.
    :returns: the sources, and an error for each folder that has none or cannot be read.
    """
    files: list[Path] = []
    errors: list[PictureError] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        try:
            found = sorted((file for file in path.iterdir() if _is_wanted(file)), key=_order)
        except OSError as error:
            errors.append(PictureError(f"the folder '{path}' cannot be read: {error.strerror}"))
            continue
        if not found:
            errors.append(PictureError(
                f"the folder '{path}' has no photos or videos; expected files that end in "
                f'{", ".join(PHOTOS + VIDEOS)} (for a bag, run: vl4ad replay)'))
        files += found
    taken: set[str] = set()
    return [Source(file, _is_video(file), _unique(file, taken)) for file in files], errors


def read_photo(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Read a photo, turned upright as its Exif data say.

    :param path: the file.
    :param max_pixels: width times height of the largest photo that is accepted.
    :returns: (H, W, 3) uint8 RGB.
    :raises PictureError: if the file cannot be read, or is no complete image, or is too large.
    """
    try:
        return photo_to_rgb(read_regular(path, _LARGEST_PHOTO), max_pixels=max_pixels)
    except FileNotFoundError:
        raise PictureError(f"'{path}' does not exist; expected a photo, a video, or a folder of "
                           'these') from None
    except FileRefused as error:
        raise PictureError(str(error)) from error
    except OSError as error:
        raise PictureError(f"'{path}' cannot be read: {error.strerror}") from error
    except ConvertError as error:
        raise PictureError(f"'{path}' {error}") from error


def _is_wanted(file: Path) -> bool:
    return (file.suffix.lower() in PHOTOS + VIDEOS and not file.name.startswith('.')
            and not file.is_dir())


def _order(file: Path) -> tuple[list[str | int], str]:
    """Return a key that sorts image2.png before image10.png."""
    # Text and numbers alternate, so only values of the same type are compared.
    parts: list[str | int] = list(re.split(r'([0-9]+)', file.name.lower()))
    parts[1::2] = map(int, parts[1::2])
    return parts, file.name


def _is_video(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in VIDEOS + PHOTOS or not file.is_file():
        return suffix in VIDEOS
    try:
        read_photo(file)
        return False
    except PictureError:
        try:
            VideoFile(file)
        except VideoError:
            return False
        return True


def _unique(file: Path, taken: set[str]) -> str:
    """Return a stem that is not taken yet, and take it."""
    stem = os.fsencode(file.stem)[:_LONGEST_STEM].decode('utf-8', 'replace')
    number, unique = 1, stem
    # Some file systems do not distinguish upper and lower case.
    while unique.lower() in taken:
        number += 1
        unique = f'{stem}-{number}'
    taken.add(unique.lower())
    return unique
