# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Follow regions from frame to frame, so that only persistent ones become alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from vl4ad_ros.obstacles import ground_tracks
from vl4ad_ros.obstacles.ground_tracks import GroundMatcher, GroundPairs, GroundState
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.regions import Region

MIN_IOU = 0.1
"""Smallest overlap (intersection over union) that pairs a region with a track."""
MAX_MOVE_SIDES = 1.5
"""Largest move of a box centre per frame without overlap, in lengths of the longer box side."""
MAX_GROWTH = 3.0
"""Largest factor between the longer sides of two boxes that are paired without overlap."""


@dataclass(frozen=True)
class TrackLimits:
    """
    When a track is confirmed, and when it ends.

    A track is confirmed when `confirm_hits` of the last `confirm_window` frames show it. It stays
    confirmed until it ends.

    :ivar confirm_hits: number of frames, 1 to 60 and at most `confirm_window`.
    :ivar confirm_window: number of frames, 1 to 60.
    :ivar release_after: number of consecutive frames without the obstacle that end its track,
        1 to 120.
    :raises ValueError: if a limit is out of its range; the message names the limit.
    """

    confirm_hits: int = 3
    confirm_window: int = 5
    release_after: int = 5

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, high in (('confirm_hits', 60), ('confirm_window', 60), ('release_after', 120)):
            if not 1 <= getattr(self, name) <= high:
                raise ValueError(f'{name} must be from 1 to {high}, not {getattr(self, name)}')
        if self.confirm_hits > self.confirm_window:
            raise ValueError(f'confirm_hits ({self.confirm_hits}) must not exceed '
                             f'confirm_window ({self.confirm_window})')


@dataclass(frozen=True)
class Track:
    """
    One obstacle over time.

    :ivar id: number from 1 on, which no other track of the tracker ever gets.
    :ivar region: the region in the newest frame that shows the obstacle.
    :ivar hits: how many of the last `TrackLimits.confirm_window` frames show it.
    :ivar confirmed: whether it has had `TrackLimits.confirm_hits` hits.
    :ivar missed: number of frames since the one that showed it last; 0 if this frame shows it.
    :ivar ground: where it is on the ground at the newest frame; None if the newest frame that
        shows it gives it no place.
    """

    id: int
    region: Region
    hits: int
    confirmed: bool
    missed: int
    ground: GroundState | None = None


class Tracker:
    """
    Gives the regions of one obstacle in successive frames the same id.

    Where the ground is known, tracks and regions are paired by their places (`GroundMatcher`).

    The others are paired in the image, the best pair first. Pairs whose boxes overlap (`MIN_IOU`)
    come first. Small boxes may move by more than their size between two frames. Therefore boxes
    without overlap are paired too, if they have similar sizes (`MAX_GROWTH`) and their centres are
    near (`MAX_MOVE_SIDES`). If both places are known, only boxes that overlap are paired, and only
    if the obstacle can have jumped that far: a box whose lower part is not found stands elsewhere.

    A track without a region keeps its last box, and on the ground it keeps its velocity. The
    distance in which it is searched grows with each frame that misses it, until the track ends.
    When two obstacles merge, the track that fits the merged region best continues. When an
    obstacle splits, the part that fits it best keeps the id, and the other part must be confirmed
    anew.

    :ivar limits: when tracks are confirmed and when they end. It may be replaced between two
        frames; the tracks are kept.
    """

    def __init__(self, limits: TrackLimits = TrackLimits()) -> None:
        """Start without tracks."""
        self.limits = limits
        self._next_id = 1
        self._tracks: list[tuple[Track, tuple[bool, ...]]] = []
        self._matcher = GroundMatcher()
        self._motion: Motion | None = None

    def reset(self) -> None:
        """Forget all tracks; their ids are not used again."""
        self._tracks = []
        self._motion = None

    def update(self, regions: Sequence[Region], max_move: float = math.inf,
               places: Sequence[Placement | None] | None = None, seconds: float = 0.0,
               motion: Motion | None = None) -> tuple[Track, ...]:
        """
        Process the regions of the next frame.

        :param regions: the regions, in pixels of the image.
        :param max_move: largest distance in pixels by which a box centre may have moved if the
            boxes do not overlap. It limits `MAX_MOVE_SIDES` for large boxes.
        :param places: where each region stands on the ground; None where that is not known.
        :param seconds: time since the frame before, 0 or more.
        :param motion: of the vehicle at the time of the frame; None if it is not known.
        :returns: all tracks that have not ended, oldest first.
        """
        places = places or [None] * len(regions)
        tracks = self._predicted(seconds, motion)
        paired = self._matcher.match([track.ground for track in tracks], places, seconds)
        matches, states = paired.matches, paired.states
        for i, j in _pair(tracks, regions, max_move, paired).items():
            matches[i] = j
            states[i] = ground_tracks.begin(places[j], motion is not None)
        stepped = [self._step(replace(tracks[i], ground=states[i]), seen,
                              regions[matches[i]] if i in matches else None)
                   for i, (_, seen) in enumerate(self._tracks)]
        for j in sorted(set(range(len(regions))) - set(matches.values())):
            born = Track(self._next_id, regions[j], hits=0, confirmed=False, missed=0,
                         ground=ground_tracks.begin(places[j], motion is not None))
            stepped.append(self._step(born, (), regions[j]))
            self._next_id += 1
        self._motion = motion
        self._tracks = [(t, seen) for t, seen in stepped if t.missed < self.limits.release_after
                        and (t.confirmed or t.hits)]
        return tuple(track for track, _ in self._tracks)

    def _predicted(self, seconds: float, motion: Motion | None) -> list[Track]:
        """Return the tracks as they are expected in the next frame."""
        shift, before = None, self._motion
        if before is not None:
            shift = before.shift_to(
                motion or before.later(before.stamp_ns + round(1e9 * seconds)), seconds)
        states = ground_tracks.predict([t.ground for t, _ in self._tracks], seconds, shift)
        if (motion is None) != (before is None):
            states = [state and ground_tracks.restart_velocity(state, motion is not None)
                      for state in states]
        return [replace(track, ground=state) for (track, _), state in zip(self._tracks, states)]

    def _step(self, track: Track, seen: tuple[bool, ...],
              region: Region | None) -> tuple[Track, tuple[bool, ...]]:
        seen = (*seen, region is not None)[-self.limits.confirm_window:]
        hits = sum(seen)
        return Track(
            track.id, region or track.region, hits,
            track.confirmed or hits >= self.limits.confirm_hits,
            track.missed + 1 if region is None else 0, track.ground), seen


def _pair(tracks: Sequence[Track], regions: Sequence[Region], max_move: float,
          paired: GroundPairs) -> dict[int, int]:
    """
    Pair what is left in the image, the best pairs first; of equal pairs, the older track first.

    :returns: the index of the region by the index of the track.
    """
    if len(paired.matches) == min(len(tracks), len(regions)):
        return {}
    affinity = _affinity(tracks, regions, max_move)
    # Where both places are known, being near in the image is not enough.
    affinity[(~np.isnan(paired.metres) & (affinity <= 1)) | np.isinf(paired.metres)] = 0
    affinity[list(paired.matches)] = 0
    affinity[:, list(paired.matches.values())] = 0
    rows, columns = np.nonzero(affinity > 0)
    order = np.argsort(-affinity[rows, columns], kind='stable')
    matches: dict[int, int] = {}
    taken = set()
    for i, j in zip(rows[order].tolist(), columns[order].tolist()):
        if i not in matches and j not in taken:
            matches[i] = j
            taken.add(j)
    return matches


def _affinity(tracks: Sequence[Track], regions: Sequence[Region], max_move: float) -> np.ndarray:
    """
    Return how well the boxes of each track and each region fit together.

    :returns: float64 (tracks, regions): 1 to 2 for boxes that overlap, 0 to 1 for boxes that are
        near each other, and 0 or less for boxes that cannot belong to one obstacle.
    """
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
    nearness = 1 - distance / np.minimum(MAX_MOVE_SIDES * long * (1 + missed), max_move)
    return np.where(iou >= MIN_IOU, 1 + iou, np.where(long <= MAX_GROWTH * short, nearness, 0))
