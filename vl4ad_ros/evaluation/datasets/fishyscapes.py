# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Fishyscapes: labels for frames of LostAndFound, and objects pasted into frames of Cityscapes.

H. Blum et al., "The Fishyscapes Benchmark: Measuring Blind Spots in Semantic Segmentation", IJCV
2021 (arXiv:1904.03215). The archives have only labels and differences; the images are those of
the other data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import re

from vl4ad_ros.evaluation.component_metrics import ANOMALY_TRACK
from vl4ad_ros.evaluation.datasets import cityscapes, lost_and_found
from vl4ad_ros.evaluation.datasets.dataset import (
    base_of, Dataset, DatasetError, make_dataset, picture, Sample)

_PATTERNS = ('*_labels.png', '*/*_labels.png')
_RENAMED = '_fishy-labels.png'
_RENAMED_FOLDERS = ('labels/val', '*/labels/val')
_LAF = re.compile(r'(?:\d{4}_)?(?P<frame>\d{2}_.+_\d{6}_\d{6})(?:_labels|_fishy-labels)')
_STATIC = re.compile(r'(?P<name>\d{4}_(?P<frame>[a-z][a-z-]*_\d{6}_\d{6}))_labels')
_VALUES = '0:0,1:1,255:255'
_NEWEST = 'v3'
_IMAGES = ('.png', '.webp', '.jpg')


def fishyscapes_lost_and_found(root: Path, images: Path) -> Dataset:
    """
    Find the labels of the validation of Fishyscapes Lost & Found, and their images.

    The labels are named ``<number>_<frame>_labels.png``, as in the archive, or
    ``labels/val/<frame>_fishy-labels.png``, as the code of SegmentMeIfYouCan expects them. The
    frames belong to both splits of LostAndFound, train and test.

    :param root: the folder with the labels.
    :param images: the folder of LostAndFound.
    :raises DatasetError: if there are none.
    """
    base = lost_and_found.base_folder(images)
    labels = _one_folder(root, [
        *(file for pattern in _PATTERNS for file in root.glob(pattern)),
        *(file for folder in _RENAMED_FOLDERS for file in root.glob(f'{folder}/*{_RENAMED}'))],
        _LAF)
    samples = []
    for file, match in labels:
        frame = match['frame']
        scene = lost_and_found.scene_of(frame)
        places = [picture(base / 'leftImg8bit' / split / scene, f'{frame}_leftImg8bit', _IMAGES)
                  for split in ('train', 'test')]
        image = next((path for path in places if path.exists()), places[0])
        samples.append(Sample(frame, frame.rsplit('_', 1)[0], image, file))
    return make_dataset(
        'fishyscapes-lost-and-found', 'Fishyscapes Lost & Found validation', root,
        '0000_FRAME_labels.png (or labels/val/FRAME_fishy-labels.png), and with --images the '
        'folder of LostAndFound with leftImg8bit/train and leftImg8bit/test', samples, _VALUES,
        ANOMALY_TRACK, 100)


def fishyscapes_static(root: Path, images: Path) -> Dataset:
    """
    Find the labels and overlays of the validation of Fishyscapes Static, and their images.

    The image is the one of Cityscapes plus the signed difference ``rgb`` in
    ``<number>_<frame>_rgb.npz``, clipped to 0..255. The label is a file of its own,
    ``<number>_<frame>_labels.png``; it is not where the difference is not 0.

    :param root: the folder with the labels; of several versions in it, v3 is taken.
    :param images: the folder of Cityscapes.
    :raises DatasetError: if there are none.
    """
    base = cityscapes.base_folder(images)
    labels = _one_folder(root, [file for pattern in _PATTERNS for file in root.glob(pattern)],
                         _STATIC)
    samples = []
    for file, match in labels:
        frame = match['frame']
        samples.append(Sample(
            match['name'], '', cityscapes.image_of(base, frame), file,
            file.with_name(f"{match['name']}_rgb.npz")))
    return make_dataset(
        'fishyscapes-static', 'Fishyscapes Static validation', root,
        '0000_CITY_000000_000000_labels.png and ..._rgb.npz, and with --images the folder of '
        'Cityscapes with leftImg8bit', samples, _VALUES, ANOMALY_TRACK, None)


def _one_folder(root: Path, files: Sequence[Path], wanted: re.Pattern[str]
                ) -> list[tuple[Path, re.Match[str]]]:
    """Return the files with a name of the data set, of the only or newest folder that has any."""
    base_of(root, (), 'labels')
    found = [(file, match) for file in files if (match := wanted.fullmatch(file.stem))]
    folders = {file.parent for file, _ in found}
    newest = [folder for folder in folders if _NEWEST in folder.name]
    if len(folders) > 1 and len(newest) != 1:
        raise DatasetError(
            f"'{root}' has labels in {', '.join(sorted(folder.name for folder in folders))}; "
            'expected one version: name its folder with --root')
    chosen = newest if len(folders) > 1 else list(folders)
    return [(file, match) for file, match in found if file.parent in chosen]
