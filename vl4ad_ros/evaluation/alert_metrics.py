# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compares alerts with ground-truth objects: which were found, how soon, and which alerts are false.

This project defines these metrics, because the common benchmarks judge every frame by itself.
The component metrics of SegmentMeIfYouCan (R. Chan et al., "SegmentMeIfYouCan: A Benchmark for
Anomaly Segmentation", NeurIPS 2021 Datasets and Benchmarks, arXiv:2104.14812) match the segments
of single images, without the identity of an obstacle over time. Time to alert and the rate of
false alerts follow the way in which collision monitors are tested: the time until the vehicle
would react, and how often it would react without a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

import cv2
import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import ANOMALY as ANOMALOUS, IGNORE
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.pipeline import ANOMALY, caption, Result
from vl4ad_ros.obstacles.severity import Severity

MIN_PIXELS = 100
"""Pixels of an object in a frame from which on it should be found."""
MIN_SHARE = 0.1
"""Share of an alert's box that must lie in an object's box, so that the alert overlaps it."""
MIN_IGNORED = 0.25
"""Share of an alert's box on ignored pixels from which on the alert is not counted as false."""

Box = tuple[float, float, float, float]
"""x and y of the upper left corner, width and height, in pixels of the camera image."""


@dataclass(frozen=True)
class Alert:
    """
    One confirmed obstacle in one frame.

    :ivar id: the same in every frame for as long as the obstacle is tracked.
    :ivar score: anomaly score of the region, 0..1.
    :ivar box: x, y, width and height in pixels of the camera image.
    :ivar name: the most probable anomaly class; ``''`` if no class is probable enough.
    :ivar mass: mean probability of that class over the region, 0..1; 0 without a name.
    :ivar place: where it stands on the ground; None if that is not known.
    :ivar severity: how severe it is; None if that is not known.
    """

    id: str
    score: float
    box: Box
    name: str = ''
    mass: float = 0.0
    place: Placement | None = None
    severity: Severity | None = None

    @property
    def label(self) -> str:
        """The class, or 'anomaly' if it has none."""
        return self.name or ANOMALY

    @property
    def caption(self) -> str:
        """What it is, how far away and how severe, such as ``cow 0.81, 23 m, warning``."""
        return caption(self.name, self.mass, self.score, self.place, self.severity)


@dataclass(frozen=True)
class FrameResult:
    """
    The alerts of one processed frame.

    :ivar index: index of the frame in the recording.
    :ivar age_ns: nanoseconds from the publication of the frame to the arrival of its detections;
        0 offline.
    :ivar alerts: all confirmed obstacles of the frame; None if they are unknown, because tracking
        was warming up or left the frame out.
    """

    index: int
    age_ns: int
    alerts: tuple[Alert, ...] | None

    @staticmethod
    def of(index: int, result: Result) -> FrameResult:
        """
        Convert a result of the pipeline.

        :param index: index of the frame in the recording.
        :param result: the result for that frame.
        :returns: its alerts, with an age of 0.
        """
        return FrameResult(index, 0, None if result.alerts is None else tuple(
            Alert(a.id, a.region.score, a.region.box, a.name, a.mass, a.place, a.severity)
            for a in result.alerts))


@dataclass(frozen=True)
class TruthFrame:
    """
    The ground truth of one frame, condensed so that a whole recording fits into memory.

    :ivar objects: number of pixels and bounding box of each anomalous object, by its id.
    :ivar ignored: which pixels are ignored: (H, ceil(W / 8)) uint8, rows of `numpy.packbits`.
    :ivar shape: height and width of the frame in pixels.
    """

    objects: Mapping[int, tuple[int, Box]]
    ignored: np.ndarray
    shape: tuple[int, int]

    @staticmethod
    def of(label: np.ndarray, object_ids: np.ndarray | None) -> TruthFrame:
        """
        Condense the ground truth of one frame.

        :param label: (H, W) uint8 with 0 for normal, 1 for anomalous and 255 for ignored pixels.
        :param object_ids: (H, W) of an unsigned integer type, 0 where there is no object. Objects
            on pixels that are not anomalous are left out. None takes each connected region of
            anomalous pixels for an object of this frame.
        """
        if object_ids is None:
            regions = cv2.connectedComponents((label == ANOMALOUS).astype(np.uint8))[1]
            return TruthFrame.of(label, regions.astype(np.uint32))
        objects = {}
        object_ids = np.where(label == ANOMALOUS, object_ids, 0)
        for i in np.flatnonzero(np.bincount(object_ids.ravel())):
            if i:
                rows, columns = np.nonzero(object_ids == i)
                x, y = int(columns.min()), int(rows.min())
                objects[int(i)] = rows.size, (
                    x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y)
        return TruthFrame(objects, np.packbits(label == IGNORE, axis=1), label.shape)

    def hits(self, box: Box) -> set[int]:
        """
        Return the ids of the objects that an alert overlaps.

        :param box: the box of the alert; at least `MIN_SHARE` of it must lie in an object's box.
        """
        return {i for i, (_, other) in self.objects.items()
                if _common(box, other) >= MIN_SHARE * max(box[2] * box[3], 1e-9)}

    def best_hit(self, box: Box) -> int | None:
        """
        Return the id of the object with which an alert has the largest area in common.

        :param box: the box of the alert.
        :returns: the id; None if the alert overlaps no object, as `hits` decides it.
        """
        return max(sorted(self.hits(box)), key=lambda i: _common(box, self.objects[i][1]),
                   default=None)

    def is_ignored(self, box: Box) -> bool:
        """
        Return whether an alert lies on ignored pixels.

        :param box: the box of the alert; at least `MIN_IGNORED` of it must be ignored.
        """
        x, y = (max(0, int(v)) for v in box[:2])
        right, bottom = int(np.ceil(box[0] + box[2])), int(np.ceil(box[1] + box[3]))
        inside = np.unpackbits(self.ignored[y:bottom], axis=1, count=self.shape[1])[:, x:right]
        return bool(inside.size and inside.mean() >= MIN_IGNORED)


@dataclass(frozen=True)
class Truth:
    """
    The ground truth of a recording.

    :ivar frames: by frame index, without the frames that have no ground truth.
    :ivar times_ns: record time of every camera frame, nanoseconds since the epoch.
    :ivar names: kind of each object by its id, where it is known.
    :ivar has_objects: whether an object has the same id in all frames. Otherwise, only the false
        alerts can be counted.
    """

    frames: Mapping[int, TruthFrame]
    times_ns: Sequence[int]
    names: Mapping[int, str] = field(default_factory=dict)
    has_objects: bool = True

    def name(self, number: int) -> str:
        """
        Return how an object is called in reports.

        :param number: id of the object.
        :returns: its kind, or `anomaly <id>` if that is unknown.
        """
        return self.names.get(number, f'anomaly {number}')

    def appearances(self, min_pixels: int = MIN_PIXELS) -> dict[int, int]:
        """
        Return when the objects appeared.

        :param min_pixels: number of pixels from which on an object counts as visible.
        :returns: index of the first frame in which each object has so many pixels, by object id;
            without the objects that never have them, and empty if objects have no ids.
        """
        first: dict[int, int] = {}
        if not self.has_objects:
            return first
        for index in sorted(self.frames):
            for i, (pixels, _) in self.frames[index].objects.items():
                if pixels >= min_pixels:
                    first.setdefault(i, index)
        return first


@dataclass
class AlertEvent:
    """
    One alert id from the frame in which it was raised to the last frame in which it was reported.

    :ivar alert: the alert as it was raised.
    :ivar first: index of the frame in which it was raised.
    :ivar last: index of the last frame in which it was reported.
    :ivar objects: ids of the ground-truth objects that it overlapped in any frame.
    :ivar excused: whether it lay on ignored pixels in any frame.
    :ivar judged: whether any of its frames has ground truth.
    """

    alert: Alert
    first: int
    last: int
    objects: set[int] = field(default_factory=set)
    excused: bool = False
    judged: bool = False

    @property
    def is_false(self) -> bool:
        """Whether there was ground truth for it, and no object or ignored pixels at its place."""
        return self.judged and not self.objects and not self.excused


@dataclass(frozen=True)
class AlertScores:
    """
    The alert metrics of a recording.

    :ivar anomalies: ids of the objects that have at least `MIN_PIXELS` pixels in some frame.
    :ivar found: index of the first frame in which an alert overlapped the object, by the id of
        each object that was found.
    :ivar held: index of the last such frame, by the same ids.
    :ivar seconds: time to alert by the same ids: seconds in the recording from the appearance of
        the object to the frame of its first alert, plus the age of that alert.
    :ivar false_events: events that never overlapped an object and never lay on ignored pixels.
    :ivar pixels: largest number of pixels of each of the anomalies in a frame, by the same ids.
    :ivar duplicates: number of events that overlapped an anomaly which another event had found
        before, summed over the anomalies.
    :ivar state_changes: how often the picture changed between some alert and none, from one frame
        whose alerts are known to the next.
    """

    anomalies: tuple[int, ...]
    found: Mapping[int, int]
    held: Mapping[int, int]
    seconds: Mapping[int, float]
    false_events: tuple[AlertEvent, ...]
    pixels: Mapping[int, int]
    duplicates: int
    state_changes: int

    @property
    def median_seconds(self) -> float | None:
        """Median time to alert in seconds; None if no object was found."""
        return median(self.seconds.values()) if self.seconds else None


class AlertLog:
    """
    Turns the alerts of successive frames into events.

    :ivar events: all events so far, in the order in which they were raised.
    """

    def __init__(self, truth: Truth | None = None) -> None:
        """
        Start without alerts.

        :param truth: ground truth with which the alerts are compared; None if there is none.
        """
        self._truth = truth
        self._open: dict[str, AlertEvent] = {}
        self.events: list[AlertEvent] = []

    def add(self, result: FrameResult) -> tuple[list[AlertEvent], list[AlertEvent]]:
        """
        Add the next processed frame.

        :param result: its alerts; if they are unknown, no event is raised or cleared.
        :returns: the events that were raised in this frame, and those that were cleared.
        """
        if result.alerts is None:
            return [], []
        ids = {a.id for a in result.alerts}
        cleared = [self._open.pop(i) for i in list(self._open) if i not in ids]
        raised = []
        for alert in result.alerts:
            event = self._open.get(alert.id)
            if event is None:
                event = self._open[alert.id] = AlertEvent(alert, result.index, result.index)
                raised.append(event)
            event.last = result.index
            truth = self._truth and self._truth.frames.get(result.index)
            if truth:
                event.judged = True
                event.objects |= truth.hits(alert.box)
                event.excused |= truth.is_ignored(alert.box)
        self.events += raised
        return raised, cleared


def score_alerts(results: Sequence[FrameResult], truth: Truth) -> AlertScores:
    """
    Compute the alert metrics of a recording.

    Example: an object of 12 x 12 pixels is visible in three frames, and an alert overlaps it in
    the last one, 0.2 s after it appeared.

    >>> label = np.zeros((60, 100), np.uint8)
    >>> label[20:32, 20:32] = 1
    >>> frame = TruthFrame.of(label, 5 * label)
    >>> truth = Truth({0: frame, 1: frame, 2: frame}, [0, 100_000_000, 200_000_000])
    >>> alert = Alert('1', 0.9, (20, 20, 12, 12), 'cow', 0.8)
    >>> results = [FrameResult(0, 0, ()), FrameResult(1, 0, ()), FrameResult(2, 0, (alert,))]
    >>> scores = score_alerts(results, truth)
    >>> scores.anomalies, scores.found, scores.median_seconds, scores.false_events
    ((5,), {5: 2}, 0.2, ())

    :param results: the processed frames, in the order of their results.
    :param truth: ground truth of the recording.
    :returns: the metrics.
    """
    log = AlertLog(truth)
    appeared = truth.appearances()
    found: dict[int, int] = {}
    held: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for result in results:
        log.add(result)
        frame = truth.frames.get(result.index)
        for i in set().union(*(frame.hits(a.box) for a in result.alerts or ())) if frame else ():
            if i not in appeared:
                continue
            held[i] = result.index
            if i not in found:
                found[i] = result.index
                elapsed = truth.times_ns[result.index] - truth.times_ns[appeared[i]]
                seconds[i] = max(0, elapsed + result.age_ns) / 1e9
    pixels = {i: max(frame.objects[i][0] for frame in truth.frames.values() if i in frame.objects)
              for i in appeared}
    hits = sum(i in event.objects for event in log.events for i in found)
    states = [bool(result.alerts) for result in results if result.alerts is not None]
    return AlertScores(
        tuple(appeared), found, held, seconds, tuple(e for e in log.events if e.is_false), pixels,
        hits - len(found), sum(a != b for a, b in pairwise(states)))


def _common(a: Box, b: Box) -> float:
    """Return the area that two boxes have in common, in square pixels."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
