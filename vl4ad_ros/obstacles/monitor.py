# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles of one camera over time: the same steps in the node and in offline evaluation."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.obstacles.regions import find_regions, Region, RegionLimits
from vl4ad_ros.obstacles.tracks import Track, Tracker, TrackLimits

REACH = 0.1  # of the image diagonal that an obstacle may move in one frame


@dataclass(frozen=True)
class Obstacles:
    """
    What one frame showed.

    :ivar regions: of this frame, confirmed or not, largest first.
    :ivar confirmed: confirmed tracks, oldest first, with the last known box of those that were
        missed for less than `TrackLimits.release_after` frames.
    """

    regions: tuple[Region, ...]
    confirmed: tuple[Track, ...]


class ObstacleMonitor:
    """Finds and follows obstacles in the score maps of one camera, in the order of its frames."""

    def __init__(self, region_limits: RegionLimits = RegionLimits(),
                 track_limits: TrackLimits = TrackLimits()) -> None:
        """Start without obstacles."""
        self._region_limits = region_limits
        self._tracker = Tracker(track_limits)

    def set_limits(self, region_limits: RegionLimits, track_limits: TrackLimits) -> None:
        """Use these limits from the next frame on; obstacles keep their ids."""
        self._region_limits = region_limits
        self._tracker.limits = track_limits

    def update(self, score: np.ndarray) -> Obstacles:
        """Take the next frame's score, float (H, W), 0..1, as `find_regions` does."""
        regions = find_regions(score, self._region_limits)
        tracks = self._tracker.update(regions, REACH * math.hypot(*score.shape))
        return Obstacles(regions, tuple(track for track in tracks if track.confirmed))

    def reset(self) -> None:
        """Forget all obstacles, as after a jump in time or a change of the image size."""
        self._tracker.reset()
