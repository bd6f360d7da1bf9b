# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
LostAndFound: small obstacles on the road, in sequences of which about every tenth frame is kept.

P. Pinggera et al., "Lost and Found: Detecting Small Road Hazards for Self-Driving Vehicles", IROS
2016 (arXiv:1609.04653). The subset without known objects is that of SegmentMeIfYouCan,
https://github.com/SegmentMeIfYouCan/road-anomaly-benchmark (datasets/tracks.py).
"""

from __future__ import annotations

from pathlib import Path

from vl4ad_ros.evaluation.component_metrics import OBSTACLE_TRACK
from vl4ad_ros.evaluation.datasets.dataset import base_of, Dataset, make_dataset, PICTURES, Sample

TEST_FRAMES = 1203
"""Number of frames of the complete test split."""
UNLABELLED = (17, 37, 55, 72, 91, 110, 129, 153, 174, 197, 218, 353, 490, 618, 686, 792, 793)
"""Places of the frames of the test split without a labelled pixel, in the order of the names."""
KNOWN = ('15_Rechbergstr_Deckenpfronn', '01_Hanns_Klemm_Str_45_000006',
         '01_Hanns_Klemm_Str_45_000007', '10_Schlossberg_9_000004')
"""Beginnings of the names of frames whose obstacles are children and bicycles."""
_IMAGE, _LABEL = '_leftImg8bit', '_gtCoarse_labelIds.png'


def lost_and_found(root: Path, images: Path) -> Dataset:
    """
    Find the frames of the test split that have labels.

    Labels have 0 (ignored), 1 (free road) and 2 to 200 (obstacles).

    :param root: the folder with ``leftImg8bit`` and ``gtCoarse``, or one that has it as
        ``dataset_LostAndFound`` or ``LostAndFound``.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    return _test('lost-and-found', 'LostAndFound test', root, 1186, ())


def lost_and_found_no_known(root: Path, images: Path) -> Dataset:
    """
    Find the frames of the test split that have labels, without those that show known things.

    :param root: as of `lost_and_found`.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    return _test('lost-and-found-no-known', 'LostAndFound test NoKnown (SegmentMeIfYouCan)', root,
                 1043, KNOWN)


def scene_of(name: str) -> str:
    """
    Return the folder of a frame, such as 04_Maurener_Weg_8.

    :param name: of the frame, such as 04_Maurener_Weg_8_000000_000030.
    """
    return name.rsplit('_', 2)[0]


def base_folder(root: Path) -> Path:
    """
    Return the folder that has ``leftImg8bit``.

    :param root: that folder, or one that has it as ``dataset_LostAndFound`` or
        ``LostAndFound``.
    :raises DatasetError: if `root` is not a folder.
    """
    return base_of(root, ('dataset_LostAndFound', 'LostAndFound'), 'leftImg8bit')


def _test(name: str, title: str, root: Path, expected: int, left_out: tuple[str, ...]) -> Dataset:
    base = base_folder(root)
    pictures = {file.stem.removesuffix(_IMAGE): file
                for file in (base / 'leftImg8bit' / 'test').glob(f'*/*{_IMAGE}.*')
                if file.suffix in PICTURES}
    notes = []
    if pictures and len(pictures) != TEST_FRAMES:
        notes.append(f'the test split has {len(pictures)} of {TEST_FRAMES} frames; the frames '
                     'without labels are left out by their place in the list of all frames, so '
                     'others are left out here')
    frames = [frame for place, frame in enumerate(sorted(pictures)) if place not in UNLABELLED]
    labels = base / 'gtCoarse' / 'test'
    return make_dataset(
        name, title, root, f'leftImg8bit/test/SCENE/FRAME{_IMAGE}.png and '
        f'gtCoarse/test/SCENE/FRAME{_LABEL}',
        (Sample(frame, frame.rsplit('_', 1)[0], pictures[frame],
                labels / pictures[frame].parent.name / f'{frame}{_LABEL}')
         for frame in frames if not left_out or not frame.startswith(left_out)),
        '0:255,1:0,2-200:1', OBSTACLE_TRACK, expected, notes)
