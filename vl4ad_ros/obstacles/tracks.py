# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Regions followed from frame to frame, so that only lasting ones become alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.obstacles.regions import Region

MIN_IOU = 0.1
REACH = 1.5  # longer box sides that a centre may move in one frame
MAX_GROWTH = 3.0  # of the longer side, from one sighting to the next without overlap


@dataclass(frozen=True)
class TrackLimits:
    """
    When a track is confirmed and when it ends.

    :ivar confirm_hits: 1..60, a track seen in so many
    :ivar confirm_window: 1..60, of the last so many frames is confirmed, and stays so.
    :ivar release_after: 1..120, a track not seen in so many frames in a row ends.
    :raises ValueError: if a limit is out of range; the message names it.
    """

    confirm_hits: int = 3
    confirm_window: int = 5
    release_after: int = 5

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, high in (('confirm_hits', 60), ('confirm_window', 60), ('release_after', 120)):
            if not 1 <= getattr(self, name) <= high:
                raise ValueError(f'{name} must be 1..{high}, not {getattr(self, name)}')
        if self.confirm_hits > self.confirm_window:
            raise ValueError(f'confirm_hits ({self.confirm_hits}) must not exceed '
                             f'confirm_window ({self.confirm_window})')


@dataclass(frozen=True)
class Track:
    """
    One obstacle over time.

    :ivar id: from 1, never given to another track.
    :ivar region: the last one seen; it stands while the track is missed.
    :ivar hits: frames in which it was seen, of the last `TrackLimits.confirm_window`.
    :ivar confirmed: whether it ever had enough hits.
    :ivar missed: frames since it was last seen; 0 = seen now.
    """

    id: int
    region: Region
    hits: int
    confirmed: bool
    missed: int


class Tracker:
    """
    Gives regions that persist an id.

    Each frame, regions and tracks are paired, best pair first: by overlap (IoU), and where there
    is too little of that, as with small boxes that move by more than their size, by nearness of
    the centres of boxes of similar size. A track without a region keeps its last box, and is
    looked for further afield the longer it is missed, until it is released. Where two obstacles
    merge, the one that the merged region overlaps best lives on; where one splits, the part that
    overlaps it best keeps the id and the other part must be confirmed anew.
    """

    def __init__(self, limits: TrackLimits = TrackLimits()) -> None:
        """Start without tracks; `limits` may be replaced at any time and keeps the tracks."""
        self.limits = limits
        self._next_id = 1
        self._tracks: list[tuple[Track, tuple[bool, ...]]] = []

    def reset(self) -> None:
        """Forget all tracks; ids go on."""
        self._tracks = []

    def update(self, regions: Sequence[Region], reach: float = math.inf) -> tuple[Track, ...]:
        """
        Take the regions of the next frame; return all tracks alive, oldest first.

        :param reach: pixels that a centre may have moved at most where boxes do not overlap.
        """
        matches = _pair([track for track, _ in self._tracks], regions, reach)
        tracks = [self._step(track, seen, regions[matches[i]] if i in matches else None)
                  for i, (track, seen) in enumerate(self._tracks)]
        for j in sorted(set(range(len(regions))) - set(matches.values())):
            born = Track(self._next_id, regions[j], hits=0, confirmed=False, missed=0)
            tracks.append(self._step(born, (), regions[j]))
            self._next_id += 1
        self._tracks = [(t, seen) for t, seen in tracks if t.missed < self.limits.release_after
                        and (t.confirmed or t.hits)]
        return tuple(track for track, _ in self._tracks)

    def _step(self, track: Track, seen: tuple[bool, ...],
              region: Region | None) -> tuple[Track, tuple[bool, ...]]:
        seen = (*seen, region is not None)[-self.limits.confirm_window:]
        hits = sum(seen)
        return Track(
            track.id, region or track.region, hits,
            track.confirmed or hits >= self.limits.confirm_hits,
            track.missed + 1 if region is None else 0), seen


def _pair(tracks: Sequence[Track], regions: Sequence[Region], reach: float) -> dict[int, int]:
    """Return region index by track index, the best pairs first; ties go to the older track."""
    if not tracks or not regions:
        return {}
    affinity = _affinity(tracks, regions, reach)
    rows, columns = np.nonzero(affinity > 0)
    order = np.argsort(-affinity[rows, columns], kind='stable')
    matches: dict[int, int] = {}
    taken = set()
    for i, j in zip(rows[order].tolist(), columns[order].tolist()):
        if i not in matches and j not in taken:
            matches[i] = j
            taken.add(j)
    return matches


def _affinity(tracks: Sequence[Track], regions: Sequence[Region], reach: float) -> np.ndarray:
    """Return [tracks, regions]: 1..2 for overlap, 0..1 for nearness, 0 or less for no relation."""
    a = np.array([track.region.box for track in tracks])[:, None]
    b = np.array([region.box for region in regions])[None]
    missed = np.array([track.missed for track in tracks])[:, None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    common = np.maximum(high - low, 0).prod(-1)
    iou = common / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - common)
    side_a, side_b = a[..., 2:].max(-1), b[..., 2:].max(-1)
    long, short = np.maximum(side_a, side_b), np.minimum(side_a, side_b)
    distance = np.linalg.norm(a[..., :2] + a[..., 2:] / 2 - b[..., :2] - b[..., 2:] / 2, axis=-1)
    nearness = 1 - distance / np.minimum(REACH * long * (1 + missed), reach)
    return np.where(iou >= MIN_IOU, 1 + iou, np.where(long <= MAX_GROWTH * short, nearness, 0))
