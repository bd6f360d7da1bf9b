# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the prediction for each frame to detections and alerts, for every caller alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.obstacles.drivable import DrivableRegion
from vl4ad_ros.obstacles.ground_view import GroundView, Placement
from vl4ad_ros.obstacles.labels import ANOMALY
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.regions import find_regions, Region, RegionLimits
from vl4ad_ros.obstacles.scene_time import Moment, SceneTime, TimeLimits
from vl4ad_ros.obstacles.severity import judge, Severity, SeverityLimits
from vl4ad_ros.obstacles.sizes import SizeLimits
from vl4ad_ros.obstacles.tracks import Track, Tracker, TrackLimits

MAX_MOVE_DIAGONALS = 0.1
"""Largest move of an obstacle from one frame to the next, as a fraction of the image diagonal."""


@dataclass(frozen=True)
class Limits:
    """
    The limits that decide which regions become detections, and which detections become alerts.

    :ivar regions: which regions are reported.
    :ivar tracks: how many frames confirm an obstacle and how many release it.
    :ivar time: which frames belong to the same scene.
    :ivar name_floor: smallest mean mass, 0 to 1, with which an anomaly class names a region. The
        mass of a class is the share of probability that the network gives to it.
    :ivar sizes: which regions are reported by their size in metres, or by their area in the image.
    :ivar severity: what makes an obstacle severe.
    :ivar drivable: names of known classes or of their concepts that are drivable: a region counts
        only if it stands where these are, see `DrivableRegion`. If nothing is drivable in a frame,
        all regions count. Without names, all regions count.
    :raises ValueError: if a limit is out of its range; the message names the limit.
    """

    regions: RegionLimits = RegionLimits()
    tracks: TrackLimits = TrackLimits()
    time: TimeLimits = TimeLimits()
    name_floor: float = 0.3
    sizes: SizeLimits = SizeLimits()
    severity: SeverityLimits = SeverityLimits()
    drivable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.name_floor <= 1:
            raise ValueError(f'name_floor must be from 0 to 1, not {self.name_floor}')


@dataclass(frozen=True)
class Finding:
    """
    One anomalous region, with the class that names it.

    :ivar region: the region, in pixels of the image. Its score belongs to the class `ANOMALY`.
    :ivar name: the anomaly class with the largest mean mass in the region, or ``''`` if that mass
        is below `Limits.name_floor`.
    :ivar mass: mean mass of the class `name` over the region, 0 to 1; 0 without a name.
    :ivar id: identifier of an alert, which stays the same from frame to frame; ``''`` for a
        detection.
    :ivar place: where it stands on the ground and how large it is, in the frame of the vehicle at
        the stamp of the frame; None if that is not known. An alert that the frame does not show
        stands where it is expected, with a covariance that grows from frame to frame.
    :ivar severity: how severe it is; None without a place.
    """

    region: Region
    name: str = ''
    mass: float = 0.0
    id: str = ''
    place: Placement | None = None
    severity: Severity | None = None

    @property
    def caption(self) -> str:
        """What it is, and if it has a place how far away and how severe, as `caption` says it."""
        return caption(self.name, self.mass, self.region.score, self.place, self.severity)


@dataclass(frozen=True)
class Result:
    """
    The detections and alerts of one frame.

    :ivar detections: the regions of this frame, largest first.
    :ivar alerts: the confirmed obstacles, oldest first. An obstacle that this frame does not show
        keeps its last known region until `TrackLimits.release_after` frames have missed it. An
        empty tuple says that there is no confirmed obstacle. None says that this is not known.
    :ivar unknown: the reason why `alerts` is None, as a sentence; ``''`` if it is not None.
    :ivar moment: how the frame follows the frames before it.
    :ivar reset: the reason why tracking started anew with this frame, as a sentence; ``''`` if it
        did not.
    :ivar left_over: number of regions that exceed `RegionLimits.max_count`. They are neither
        reported nor tracked.
    :ivar view: the ground as this frame shows it; None if it is not known.
    """

    detections: tuple[Finding, ...]
    alerts: tuple[Finding, ...] | None
    unknown: str
    moment: Moment
    reset: str
    left_over: int
    view: GroundView | None = None

    @property
    def obstacles(self) -> tuple[Finding, ...] | None:
        """
        The alerts whose place is known.

        None says that no place can be given: the alerts or the ground are not known, or there are
        alerts and none of them has a place. An empty tuple says that there is no alert.
        """
        if self.alerts is None or self.view is None:
            return None
        placed = tuple(alert for alert in self.alerts if alert.place is not None)
        return placed if placed or not self.alerts else None


class Pipeline:
    """
    Turns the predictions for the frames of one camera into detections and alerts.

    Frames are processed in the order in which they are given. The pipeline has no clock and no
    randomness: the same predictions, stamps and limits give the same results.

    `Result.alerts` is None while the pipeline cannot know whether there are obstacles. This is
    the case until `TrackLimits.confirm_window` frames have been processed since the start or since
    a reset, and for a frame that came late.

    Two frames that show the same object confirm it here, because the limits ask for two. A
    stand-in takes the place of the `Prediction` that `Detector.detect` returns; it has the four
    members that the pipeline reads.

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> score = np.zeros((90, 160), np.float32)
    >>> score[40:60, 80:110] = 0.9
    >>> prediction = SimpleNamespace(score=score, image_size=(90, 160),
    ...                              mask=lambda threshold: 255 * (score > threshold).astype('u1'),
    ...                              anomaly_class_in=lambda box, threshold: ('cow', 0.8))
    >>> limits = Limits(tracks=TrackLimits(confirm_hits=2, confirm_window=2))
    >>> pipeline = Pipeline()
    >>> first = pipeline.process(prediction, 1_000_000_000, 1_030_000_000, limits)
    >>> first.alerts is None, first.unknown
    (True, 'warming up: 1 of 2 frames since the start')
    >>> second = pipeline.process(prediction, 1_100_000_000, 1_130_000_000, limits)
    >>> for alert in second.alerts:
    ...     print(alert.id, alert.caption, alert.region.box)
    1 cow 0.80 (80.0, 40.0, 30.0, 20.0)
    """

    def __init__(self) -> None:
        """Start without obstacles and without a frame."""
        self._time = SceneTime()
        self._tracker = Tracker()
        self._named: dict[int, Finding] = {}
        self._image_size: tuple[int, int] | None = None
        self._frames = 0
        self._since = 'the start'

    def process(self, prediction: Prediction, stamp_ns: int, received_ns: int,
                limits: Limits = Limits(), view: GroundView | None = None,
                motion: Motion | None = None) -> Result:
        """
        Process the next frame.

        :param prediction: what the detector returned for the frame. The pipeline reads its score
            map, float32 (H, W), 0 to 1, where (H, W) is the size of the image in pixels.
        :param stamp_ns: time stamp of the header of the frame, in ns; 0 or less is unusable.
        :param received_ns: time at which the frame was received, in ns, on a clock that all
            frames share. It is used only where a stamp is unusable.
        :param limits: the limits for this frame. They may differ from frame to frame; obstacles
            keep their ids.
        :param view: the ground as this frame shows it; None if it is not known, and then no
            finding has a place.
        :param motion: of the vehicle at the time of the frame; None if it is not known.
        :returns: detections and alerts in pixels of the image, with their places in metres.
        """
        moment = self._time.judge(stamp_ns, received_ns, limits.time)
        regions = find_regions(prediction.score, limits.regions,
                               prediction.mask(limits.regions.threshold))
        found = self._find(regions.kept, prediction, limits, view, motion)
        detections = tuple(found.values())
        if moment.step == 'late':
            return Result(
                detections, None, f'the frame came {-moment.seconds:.2f} s late and is left out '
                'of tracking', moment, '', regions.left_over, view)
        reset = self._reset_reason(prediction.image_size, moment, limits.time)
        if reset:
            self._tracker.reset()
            self._frames, self._since = 0, f'a reset ({reset})'
        self._image_size = prediction.image_size
        self._frames += 1
        self._tracker.limits = limits.tracks
        tracks = self._tracker.update(
            tuple(found), MAX_MOVE_DIAGONALS * math.hypot(*prediction.image_size),
            [one.place for one in detections], moment.seconds,
            None if moment.unusable else motion)  # Odometry is found by the stamp.
        confirmed = [track for track in tracks if track.confirmed]
        self._named = {
            track.id: self._missed(track, limits, view, motion) if track.missed
            else replace(found[track.region], id=str(track.id)) for track in confirmed}
        window = limits.tracks.confirm_window
        if self._frames < window:
            return Result(
                detections, None, f'warming up: {self._frames} of {window} frames since '
                f'{self._since}', moment, reset, regions.left_over, view)
        return Result(detections, tuple(self._named[track.id] for track in confirmed), '', moment,
                      reset, regions.left_over, view)

    def _reset_reason(self, image_size: tuple[int, int], moment: Moment,
                      limits: TimeLimits) -> str:
        """Return the reason why the tracks do not apply to this frame, or ``''`` if they do."""
        if moment.step == 'back':
            return (f'the stamps went back by {-moment.seconds:.2f} s, which is {limits.late_s} s '
                    'or more')
        if moment.step == 'gap':
            return (f'there was no frame for {moment.seconds:.2f} s by the stamps, which is more '
                    f'than {limits.max_gap_s} s')
        if self._image_size not in (None, image_size):
            (old_height, old_width), (height, width) = self._image_size, image_size
            return f'the image size changed from {old_width}x{old_height} to {width}x{height}'
        return ''

    @staticmethod
    def _find(regions: tuple[Region, ...], prediction: Prediction, limits: Limits,
              view: GroundView | None, motion: Motion | None) -> dict[Region, Finding]:
        """Name, place and judge the regions, and leave out those of a wrong size or place."""
        found = {}
        drivable = (DrivableRegion.of(prediction, limits.drivable, view)
                    if limits.drivable and regions else None)
        for region in regions:
            place = view.place(region) if view else None
            if (limits.sizes.allow(region, place, prediction.image_size)
                    and (drivable is None or drivable.has(region))):
                name, mass = prediction.anomaly_class_in(region.box, limits.regions.threshold)
                named = bool(name) and mass >= limits.name_floor
                found[region] = Finding(
                    region, name if named else '', mass if named else 0.0, place=place,
                    severity=_severity(place, limits, motion))
        return found

    def _missed(self, track: Track, limits: Limits, view: GroundView | None,
                motion: Motion | None) -> Finding:
        """Return the last alert of a track that this frame misses, where it is expected now."""
        # Its box now shows something else, which must not give it a name.
        last = self._named.get(track.id, Finding(track.region, id=str(track.id)))
        place = track.ground.place(view.pose.position) if track.ground and view else None
        return replace(last, place=place, severity=_severity(place, limits, motion))


def _severity(place: Placement | None, limits: Limits, motion: Motion | None) -> Severity | None:
    speed_mps = motion.speed_mps if motion else None
    return judge(place, speed_mps, limits.severity) if place else None


def caption(name: str, mass: float, score: float, place: Placement | None = None,
            severity: Severity | None = None) -> str:
    """
    Return the text for a region: its class with its mass, or ``anomaly`` with the score.

    >>> from vl4ad_ros.obstacles.ground_view import Placement
    >>> place = Placement(23.2, 0.0, (1.0, 0.0, 0.1), 0.0, 2.0, 1.5)
    >>> caption('cow', 0.81, 0.94), caption('', 0.0, 0.94, place, Severity('warning'))
    ('cow 0.81', 'anomaly 0.94, 23 m, warning')

    :param name: the class that names the region; ``''`` if none does.
    :param mass: mean mass of this class over the region, 0 to 1.
    :param score: mean score of the region, 0 to 1.
    :param place: where it stands, to add its distance; None if that is not known.
    :param severity: its severity, to add the level; None if it is not known.
    """
    return ', '.join([f'{name} {mass:.2f}' if name else f'{ANOMALY} {score:.2f}',
                      *where(place, severity)])


def where(place: Placement | None, severity: Severity | None) -> list[str]:
    """
    Return the parts of a caption that need a place: ``['23 m', 'warning']``.

    :param place: where something stands; None if that is not known.
    :param severity: how severe it is; None if that is not known.
    """
    parts = []
    if place is not None:
        distance_m = place.distance_m
        parts.append(f'{distance_m:.1f} m' if distance_m < 9.95 else f'{distance_m:.0f} m')
    if severity is not None:
        parts.append(severity.level)
    return parts
