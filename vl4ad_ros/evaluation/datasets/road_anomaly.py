# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
RoadAnomaly: 60 images from the web.

K. Lis et al., "Detecting the Unexpected via Image Resynthesis", ICCV 2019 (arXiv:1904.07595).
"""

from __future__ import annotations

import json
from pathlib import Path

from vl4ad_ros.evaluation.component_metrics import ANOMALY_TRACK
from vl4ad_ros.evaluation.datasets.dataset import (
    base_of, Dataset, DatasetError, make_dataset, picture, PICTURES, Sample)
from vl4ad_ros.files import read_regular

_LIST = 'frame_list.json'
_LARGEST_LIST = 1 << 24


def road_anomaly(root: Path, images: Path) -> Dataset:
    """
    Find the images in ``frames/NAME.jpg`` and their labels in ``frames/NAME.labels/``.

    Labels have 0 (background), 1 (road) and 2 (anomaly), and no value for ignored pixels. The
    list ``frame_list.json`` says which images belong to the data set.

    :param root: the folder ``RoadAnomaly_jpg`` or ``RoadAnomaly``, or one that has it.
    :param images: not used.
    :raises DatasetError: if there are none, or if the list cannot be read.
    """
    base = base_of(root, ('RoadAnomaly_jpg', 'RoadAnomaly', 'RoadAnomaly/RoadAnomaly_jpg'), _LIST)
    frames = base / 'frames'
    return make_dataset(
        'road-anomaly', 'RoadAnomaly (2019)', root,
        f'{_LIST}, frames/NAME.jpg or .webp, and frames/NAME.labels/labels_semantic.png',
        (Sample(name, '', picture(frames, name), frames / f'{name}.labels' / 'labels_semantic.png')
         for name in _names(base / _LIST)), '0-1:0,2:1', ANOMALY_TRACK, 60)


def _names(file: Path) -> list[str]:
    """Return the names in the list without their endings."""
    try:
        names = json.loads(read_regular(file, _LARGEST_LIST))
    except (OSError, ValueError) as error:
        raise DatasetError(f"'{file}' cannot be read: {error}; expected a JSON list with the "
                           'names of the images') from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"'{file}' has something else; expected a JSON list with the names of "
                           'the images')
    return [name[:-len(Path(name).suffix)] if Path(name).suffix in PICTURES else name
            for name in names]
