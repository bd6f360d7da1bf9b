# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Public data sets with labels of anomalies, as they are laid out when their archives are unpacked.

Nothing is downloaded: most of these data sets need a registration or a licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vl4ad_ros.evaluation.datasets.cityscapes import cityscapes_val
from vl4ad_ros.evaluation.datasets.dataset import Dataset, DatasetError, Loader, Sample
from vl4ad_ros.evaluation.datasets.fishyscapes import (
    fishyscapes_lost_and_found, fishyscapes_static)
from vl4ad_ros.evaluation.datasets.lost_and_found import lost_and_found, lost_and_found_no_known
from vl4ad_ros.evaluation.datasets.road_anomaly import road_anomaly
from vl4ad_ros.evaluation.datasets.segment_me import road_anomaly_21, road_obstacle_21
from vl4ad_ros.evaluation.datasets.sequences import (
    street_obstacle_sequences, wuppertal_obstacle_sequences)

__all__ = ['Dataset', 'DatasetError', 'LOADERS', 'open_dataset', 'Sample']

LOADERS: Mapping[str, Loader] = {
    'road-anomaly': road_anomaly,
    'road-anomaly-21': road_anomaly_21,
    'road-obstacle-21': road_obstacle_21,
    'lost-and-found': lost_and_found,
    'lost-and-found-no-known': lost_and_found_no_known,
    'fishyscapes-lost-and-found': fishyscapes_lost_and_found,
    'fishyscapes-static': fishyscapes_static,
    'street-obstacle-sequences': street_obstacle_sequences,
    'wuppertal-obstacle-sequences': wuppertal_obstacle_sequences,
    'cityscapes': cityscapes_val,
}
"""How each data set is found, by the name by which users choose it."""


def open_dataset(name: str, root: Path, images: Path | None = None) -> Dataset:
    """
    Find the labelled images of a data set.

    :param name: a key of `LOADERS`.
    :param root: the folder with the data set.
    :param images: the folder with the images on which the data set is built, for those of
        Fishyscapes; None if they are in `root`.
    :raises DatasetError: if the name is unknown, or if there is no such data set.
    """
    if name not in LOADERS:
        raise DatasetError(f"there is no data set '{name}'; expected one of {', '.join(LOADERS)}")
    return LOADERS[name](root, images or root)
