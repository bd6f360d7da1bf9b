# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The words that the street head tells apart, and the names of each.

The words are those of CamVid and Cityscapes, merged where one of them has few pixels. A prompt
belongs to the word whose name is nearest to it.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, ...]] = {
    'road': ('road', 'lane marking', 'street'),
    'sidewalk': ('sidewalk', 'pavement'),
    'building': ('building', 'house', 'bridge'),
    'vegetation': ('vegetation', 'tree', 'bush'),
    'terrain': ('terrain', 'grass', 'dirt'),
    'sky': ('sky',),
    'fence': ('fence', 'wall', 'guard rail'),
    'pole': ('pole',),
    'traffic sign': ('traffic sign',),
    'traffic light': ('traffic light',),
    'person': ('person', 'pedestrian'),
    'car': ('car',),
    'truck': ('truck', 'bus', 'train'),
    'bicycle': ('bicycle', 'motorcycle', 'rider'),
}
"""Names of each word. `OBJECT`, any other thing, follows them and has no name."""
OBJECT = 'object'
WORDS = (*NAMES, OBJECT)
"""The head's classes, in the order of its outputs."""
