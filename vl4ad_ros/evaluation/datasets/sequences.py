# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Street Obstacle Sequences and Wuppertal Obstacle Sequences: videos that approach obstacles.

K. Maag et al., "Two Video Data Sets for Tracking and Retrieval of Out of Distribution Objects",
ACCV 2022 (arXiv:2210.02074), and the Wuppertal Obstacle Sequences of the same group (zenodo
12188586). The videos have 25 frames per second, and every eighth frame is labelled.
"""

from __future__ import annotations

from pathlib import Path

from vl4ad_ros.evaluation.component_metrics import OBSTACLE_TRACK
from vl4ad_ros.evaluation.datasets.dataset import (
    base_of, Dataset, make_dataset, picture, Sample)

_LABEL = '_semantic_ood.png'


def street_obstacle_sequences(root: Path, images: Path) -> Dataset:
    """
    Find the labelled frames of the Street Obstacle Sequences.

    Labels have 0 (street), 254 (obstacle) and a value for void pixels, which is taken to be 255. A
    frame without a label file is not labelled.

    :param root: the folder ``street_obstacle_sequences``, or one that has it.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    return _sequences('street-obstacle-sequences', 'Street Obstacle Sequences', root,
                      'street_obstacle_sequences', 1129)


def wuppertal_obstacle_sequences(root: Path, images: Path) -> Dataset:
    """
    Find the labelled frames of the Wuppertal Obstacle Sequences; labels are as in the other set.

    :param root: the folder ``wuppertal_obstacle_sequences``, or one that has it.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    return _sequences('wuppertal-obstacle-sequences', 'Wuppertal Obstacle Sequences', root,
                      'wuppertal_obstacle_sequences', 938)


def _sequences(name: str, title: str, root: Path, folder: str, expected: int) -> Dataset:
    base = base_of(root, (folder,), 'semantic_ood')
    samples = []
    for label in (base / 'semantic_ood').glob(f'*/*{_LABEL}'):
        sequence, frame = label.parent.name, label.name.removesuffix(_LABEL)
        samples.append(Sample(
            f'{sequence}/{frame}', sequence,
            picture(base / 'raw_data' / sequence, f'{frame}_raw_data'), label))
    return make_dataset(
        name, title, root, f'raw_data/SEQUENCE/FRAME_raw_data.jpg and '
        f'semantic_ood/SEQUENCE/FRAME{_LABEL}', samples, '0:0,254:1,255:255', OBSTACLE_TRACK,
        expected)
