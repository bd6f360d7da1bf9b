# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Cityscapes: frames without anomalies, for the share of in-distribution pixels that is kept.

M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016
(arXiv:1604.01685).
"""

from __future__ import annotations

from pathlib import Path

from vl4ad_ros.evaluation.datasets.dataset import base_of, Dataset, make_dataset, Sample

_IMAGE = '_leftImg8bit.png'
_TRAIN_IDS, _IDS = '_gtFine_labelTrainIds.png', '_gtFine_labelIds.png'
_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the 19 evaluated classes, by the class table of cityscapesScripts."""


def cityscapes_val(root: Path, images: Path) -> Dataset:
    """
    Find the frames of the split val.

    All 19 evaluated classes are normal, all others are ignored, and nothing is anomalous. The
    labels are those with training ids (0 to 18, 255), which cityscapesScripts writes; without
    them, those with label ids (0 to 33).

    :param root: the folder with ``leftImg8bit`` and ``gtFine``, or one that has it as
        ``cityscapes``.
    :param images: not used.
    :raises DatasetError: if there are none.
    """
    base = base_folder(root)
    labels = base / 'gtFine' / 'val'
    by_training = any(labels.glob(f'*/*{_TRAIN_IDS}'))
    ending = _TRAIN_IDS if by_training else _IDS
    frames = [(file.parent.name, file.name.removesuffix(_IMAGE), file)
              for file in (base / 'leftImg8bit' / 'val').glob(f'*/*{_IMAGE}')]
    return make_dataset(
        'cityscapes', 'Cityscapes val', root,
        f'leftImg8bit/val/CITY/FRAME{_IMAGE} and gtFine/val/CITY/FRAME{_TRAIN_IDS}',
        (Sample(frame, city, file, labels / city / f'{frame}{ending}')
         for city, frame, file in frames),
        '0-18:0,255:255' if by_training else _label_ids(), None, 500)


def base_folder(root: Path) -> Path:
    """
    Return the folder that has ``leftImg8bit``.

    :param root: that folder, or one that has it as ``cityscapes``.
    :raises DatasetError: if `root` is not a folder.
    """
    return base_of(root, ('cityscapes', 'Cityscapes'), 'leftImg8bit')


def image_of(base: Path, frame: str) -> Path:
    """
    Return the file of a frame, which may be in any split.

    :param base: the folder with ``leftImg8bit``.
    :param frame: such as frankfurt_000000_000294.
    """
    city = frame.split('_', 1)[0]
    files = [base / 'leftImg8bit' / split / city / f'{frame}{_IMAGE}'
             for split in ('val', 'train', 'test')]
    return next((file for file in files if file.exists()), files[0])


def _label_ids() -> str:
    normal = ','.join(f'{value}:0' for value in _EVALUATED)
    ignored = ','.join(f'{value}:255' for value in (*range(34), 255) if value not in _EVALUATED)
    return f'{normal},{ignored}'
