# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which street word a label of a data set teaches."""

from __future__ import annotations

from vl4ad_workshop.street.street_words import OBJECT, WORDS
from vl4ad_workshop.training.street.road_picture import IGNORE

# Street words for a label, the preferred one first; the first that the model has is taken.
_WORDS = {
    'road': ('road',), 'sidewalk': ('sidewalk',), 'building': ('building',),
    'tree': ('vegetation',), 'vegetation': ('vegetation',), 'terrain': ('terrain',),
    'sky': ('sky',), 'fence': ('fence',), 'wall': ('wall', 'fence'), 'pole': ('pole',),
    'traffic sign': ('traffic sign',), 'stop sign': ('traffic sign',),
    'traffic light': ('traffic light',), 'person': ('person',), 'pedestrian': ('person',),
    'rider': ('rider', 'person'), 'bicycle': ('bicycle',),
    **dict.fromkeys(('bicyclist', 'cyclist', 'motorcyclist'), ('rider', 'bicycle')),
    'motorcycle': ('motorcycle', 'bicycle'), 'car': ('car',), 'truck': ('truck',),
    'bus': ('bus', 'truck'), 'train': ('train', 'bus', 'truck'),
    'pavement-merged': ('sidewalk',), 'sky-other-merged': ('sky',), 'fence-merged': ('fence',),
    'tree-merged': ('vegetation',),
    **dict.fromkeys(('building-other-merged', 'house', 'bridge', 'roof', 'wall-brick',
                     'wall-stone', 'window-other'), ('building',)),
    **dict.fromkeys(('dirt-merged', 'gravel', 'sand', 'grass-merged', 'snow', 'mountain-merged',
                     'rock-merged', 'playingfield'), ('terrain',)),
}
# Surfaces of COCO panoptic that no street has, or that belong to several words.
_IGNORED = ('wall', 'floor', 'ceiling', 'rug', 'window', 'sea', 'river', 'water', 'door', 'light',
            'curtain', 'banner', 'railroad', 'platform', 'flower', 'net', 'mirror', 'stairs')


def word_index(label: str) -> int:
    """
    Return the index of the street word of a street label, such as 'bicyclist'.

    :param label: a class of CamVid, Cityscapes or COCO panoptic that a street word covers.
    :raises KeyError: if no street word covers it.
    """
    return next(WORDS.index(word) for word in _WORDS[label] if word in WORDS)


def coco_word_index(category: str) -> int:
    """
    Return the index of the street word of a category of COCO panoptic.

    Categories that no street word covers are objects, or `IGNORE` if they are surfaces.

    :param category: its name, such as 'cow' or 'wall-tile'.
    """
    if category in _WORDS:
        return word_index(category)
    return IGNORE if category.startswith(_IGNORED) else WORDS.index(OBJECT)
