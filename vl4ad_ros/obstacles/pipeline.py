# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the prediction of each frame to its detections and alerts: node, evaluation and bench."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.obstacles.regions import find_regions, Region, RegionLimits
from vl4ad_ros.obstacles.scene_time import Moment, SceneTime, TimeLimits
from vl4ad_ros.obstacles.tracks import Track, Tracker, TrackLimits

ANOMALY = 'anomaly'
"""The class of every detection; its score is the region's."""
MAX_MOVE = 0.1
"""Share of the image diagonal that an obstacle may move from one frame to the next."""


@dataclass(frozen=True)
class Limits:
    """
    What makes a region a detection, and a detection an alert.

    :ivar regions: which regions count.
    :ivar tracks: how many frames confirm a region and release it again.
    :ivar time: which frames belong together.
    :ivar name_floor: 0..1, mean mass from which an anomaly class names a region.
    :raises ValueError: if a limit is out of range; the message names it.
    """

    regions: RegionLimits = RegionLimits()
    tracks: TrackLimits = TrackLimits()
    time: TimeLimits = TimeLimits()
    name_floor: float = 0.3

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.name_floor <= 1:
            raise ValueError(f'name_floor must be 0..1, not {self.name_floor}')


@dataclass(frozen=True)
class Finding:
    """
    One region and what it may be.

    :ivar region: in pixels of the image; its score is that of `ANOMALY`.
    :ivar name: the anomaly class that has most mass in the region, ``''`` if none has
        `Limits.name_floor`.
    :ivar mass: 0..1, that class's own mean mass over the region; 0 without a name.
    :ivar id: of the alert, the same from frame to frame; ``''`` for a detection.
    """

    region: Region
    name: str = ''
    mass: float = 0.0
    id: str = ''

    @property
    def caption(self) -> str:
        """What it is, with the score of exactly that: ``cow 0.81`` or ``anomaly 0.94``."""
        return caption(self.name, self.mass, self.region.score)


@dataclass(frozen=True)
class Result:
    """
    What one frame showed.

    :ivar detections: regions of this frame, largest first.
    :ivar alerts: confirmed obstacles, oldest first, with the last known region of those that were
        missed in fewer than `TrackLimits.release_after` frames. None means that nothing is known:
        see `unknown`.
    :ivar unknown: why there are no alerts, a sentence; ``''`` if there are.
    :ivar moment: the frame's place in time.
    :ivar reset: why tracking began anew with this frame, a sentence; ``''`` if it did not.
    :ivar left_over: regions beyond the largest `RegionLimits.max_count`, which are neither
        reported nor tracked.
    """

    detections: tuple[Finding, ...]
    alerts: tuple[Finding, ...] | None
    unknown: str
    moment: Moment
    reset: str
    left_over: int


class Pipeline:
    """
    Follows what is anomalous in the frames of one camera, in the order in which they are given.

    It works on arrays and numbers only and has no clock: the same frames, stamps and limits give
    the same results.

    An empty tuple of alerts says that there is no confirmed obstacle. So there are no alerts at
    all (None) while that cannot be known: until `TrackLimits.confirm_window` frames have been seen
    since the start or a reset, and for a frame that came late.

    Example::

        pipeline = Pipeline()
        result = pipeline.process(detector.detect(image, prompts), stamp_ns, received_ns)
        for alert in result.alerts or ():
            print(alert.id, alert.caption, alert.region.box)
    """

    def __init__(self) -> None:
        """Start without obstacles."""
        self._time = SceneTime()
        self._tracker = Tracker()
        self._named: dict[int, Finding] = {}
        self._image_size: tuple[int, int] | None = None
        self._frames = 0
        self._since = 'the start'

    def process(self, prediction: Prediction, stamp_ns: int, received_ns: int,
                limits: Limits = Limits()) -> Result:
        """
        Take the next frame.

        :param prediction: of the frame.
        :param stamp_ns: of its header, ns.
        :param received_ns: when the frame was received, ns; counts only where stamps are unusable.
        :param limits: may change from frame to frame; obstacles keep their ids.
        """
        moment = self._time.judge(stamp_ns, received_ns, limits.time)
        regions = find_regions(prediction.score, limits.regions)
        found = {region: self._describe(region, prediction, limits) for region in regions.kept}
        detections = tuple(found.values())
        if moment.step == 'late':
            return Result(
                detections, None, f'the frame came {-moment.seconds:.2f} s late and is left out '
                'of tracking', moment, '', regions.left_over)
        reset = self._reset_reason(prediction.image_size, moment, limits.time)
        if reset:
            self._tracker.reset()
            self._frames, self._since = 0, f'a reset ({reset})'
        self._image_size = prediction.image_size
        self._frames += 1
        self._tracker.limits = limits.tracks
        tracks = self._tracker.update(regions.kept, MAX_MOVE * math.hypot(*prediction.image_size))
        confirmed = [track for track in tracks if track.confirmed]
        self._named = {track.id: self._alert(track, found) for track in confirmed}
        window = limits.tracks.confirm_window
        if self._frames < window:
            return Result(
                detections, None, f'warming up: {self._frames} of {window} frames since '
                f'{self._since}', moment, reset, regions.left_over)
        return Result(detections, tuple(self._named[track.id] for track in confirmed), '', moment,
                      reset, regions.left_over)

    def _reset_reason(self, image_size: tuple[int, int], moment: Moment,
                      limits: TimeLimits) -> str:
        """Return why what was tracked says nothing about this frame, or ``''``."""
        if moment.step == 'back':
            return f'stamps went back by {-moment.seconds:.2f} s, {limits.late_s} s or more'
        if moment.step == 'gap':
            return (f'no frame for {moment.seconds:.2f} s by the stamps, more than '
                    f'{limits.max_gap_s} s')
        if self._image_size not in (None, image_size):
            (old_height, old_width), (height, width) = self._image_size, image_size
            return f'the image size changed from {old_width}x{old_height} to {width}x{height}'
        return ''

    @staticmethod
    def _describe(region: Region, prediction: Prediction, limits: Limits) -> Finding:
        name, mass = prediction.anomaly_class_in(region.box, limits.regions.threshold)
        return Finding(region, name, mass) if name and mass >= limits.name_floor else (
            Finding(region))

    def _alert(self, track: Track, found: dict[Region, Finding]) -> Finding:
        """Return what is said of a track; one that is missed keeps what was said of it last."""
        if track.missed:
            # Its box shows something else now, which must not name it.
            return self._named.get(track.id, Finding(track.region, id=str(track.id)))
        return replace(found[track.region], id=str(track.id))


def caption(name: str, mass: float, score: float) -> str:
    """
    Return a name with its own number: the class and its mass, or 'anomaly' and the score.

    :param name: ``''`` if no class names the region.
    :param mass: of the class, 0..1.
    :param score: of the region, 0..1.
    """
    return f'{name} {mass:.2f}' if name else f'{ANOMALY} {score:.2f}'
