# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
RoadAnomaly21 and RoadObstacle21, the tracks of SegmentMeIfYouCan; only validation has labels.

R. Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation", NeurIPS 2021 Datasets
and Benchmarks (arXiv:2104.14812). Which frames belong to the validation is as in the official
code, https://github.com/SegmentMeIfYouCan/road-anomaly-benchmark (datasets/tracks.py).
"""

from __future__ import annotations

from pathlib import Path

from vl4ad_ros.evaluation.component_metrics import ANOMALY_TRACK, OBSTACLE_TRACK, SizeLimits
from vl4ad_ros.evaluation.datasets.dataset import (
    base_of, Dataset, make_dataset, picture, Sample, stems)

_LABEL = '_labels_semantic.png'
_VALIDATION = 'validation'
_LEFT_OUT = tuple(f'validation_{number}' for number in (19, *range(21, 30)))
"""Beginnings of names that the official code leaves out of the validation of RoadObstacle21."""


def road_anomaly_21(root: Path, images: Path) -> Dataset:
    """
    Find the validation images of the AnomalyTrack.

    :param root: the folder ``dataset_AnomalyTrack``, or one that has it.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    return _track('road-anomaly-21', 'RoadAnomaly21 validation (SegmentMeIfYouCan)', root,
                  'dataset_AnomalyTrack', 'jpg', ANOMALY_TRACK, 10)


def road_obstacle_21(root: Path, images: Path) -> Dataset:
    """
    Find the validation images of the ObstacleTrack; all that is off the road is ignored.

    :param root: the folder ``dataset_ObstacleTrack``, or one that has it.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    return _track('road-obstacle-21', 'RoadObstacle21 validation (SegmentMeIfYouCan)', root,
                  'dataset_ObstacleTrack', 'webp', OBSTACLE_TRACK, 30, _LEFT_OUT)


def _track(name: str, title: str, root: Path, folder: str, ending: str, limits: SizeLimits,
           expected: int, left_out: tuple[str, ...] = ()) -> Dataset:
    base = base_of(root, (folder,), 'labels_masks')
    pictures, labels = base / 'images', base / 'labels_masks'
    names = stems(labels.glob(f'{_VALIDATION}*'), _LABEL) | {
        file.stem for file in pictures.glob(f'{_VALIDATION}*')}
    return make_dataset(
        name, title, root, f'images/{_VALIDATION}*.{ending} and labels_masks/{_VALIDATION}*'
        f'{_LABEL}',
        (Sample(stem, '', picture(pictures, stem), labels / f'{stem}{_LABEL}')
         for stem in names if not left_out or not stem.startswith(left_out)),
        '0:0,1:1,255:255', limits, expected)
