# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Held-out drawn pictures, grouped by the role of their anomalies in training."""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, NORMAL
from vl4ad_workshop.scenes.frame import Frame
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in, NEAR
from vl4ad_workshop.scenes.still import draw_still

CAMERA = (360, 640)
# Different from the seeds of training, calibration and drives.
SEEDS = {'test': 21, 'validation': 31}
GROUPS = {'masks': 'training masks', 'words': 'CLIP stage only', 'unseen': 'never seen'}
COLUMNS = {**GROUPS, 'near': 'near-OOD'}
ANOMALIES = frozenset(k.name for k in KINDS.values() if k.group != 'known')


def counted(column: str) -> frozenset[str]:
    """Return the kinds that count as anomalies in a column of the tables."""
    if column == 'near':
        return NEAR
    return frozenset(k.name for k in kinds_in(column)) - NEAR


def draw(index: int, group: str, split: str = 'test', size: tuple[int, int] = CAMERA) -> Frame:
    """Draw held-out picture number `index` of `size` (H, W), with anomalies of one group."""
    return draw_still(np.random.default_rng([SEEDS[split], list(GROUPS).index(group), index]),
                      size, groups=('known', group), split=split)


def labels(frame: Frame, kinds: Set[str] = ANOMALIES) -> np.ndarray:
    """Label the pixels of `kinds` 1, of known kinds 0, others 255 (ignored): (H, W) uint8."""
    table = np.array([ANOMALY if k in kinds else NORMAL if KINDS[k].group == 'known' else IGNORE
                      for k in frame.kinds] + [IGNORE], np.uint8)
    return table[frame.segments]


def on_things(frame: Frame) -> np.ndarray:
    """Return the pixels of objects, known or not, in contrast to surfaces: (H, W) bool."""
    return np.array([KINDS[k].role != 'surface' for k in frame.kinds] + [False])[frame.segments]
