# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Alert events against ground-truth objects: found or not, how soon, and how many are false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import IGNORE
from vl4ad_ros.obstacles.pipeline import ANOMALY, caption, Result

MIN_PIXELS = 100
MIN_SHARE = 0.1
MIN_IGNORED = 0.25

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Alert:
    """
    One confirmed obstacle of one frame.

    :ivar id: the same for as long as the obstacle is followed.
    :ivar score: 0..1, of the region: how anomalous it is.
    :ivar box: x, y, width, height in pixels of the camera image.
    :ivar name: the class that it looks like most, ``''`` if none has enough mass.
    :ivar mass: 0..1, of that class.
    """

    id: str
    score: float
    box: Box
    name: str = ''
    mass: float = 0.0

    @property
    def label(self) -> str:
        """What it is called: its class, or 'anomaly'."""
        return self.name or ANOMALY

    @property
    def caption(self) -> str:
        """What it is called, with the score of exactly that."""
        return caption(self.name, self.mass, self.score)


@dataclass(frozen=True)
class FrameResult:
    """
    What came out for one frame of the bag.

    :ivar index: of the frame in the bag.
    :ivar age_ns: from the frame's publication to the arrival of its answer; 0 offline.
    :ivar alerts: all confirmed obstacles of the frame; None if nothing is known of them, since
        tracking was warming up or left the frame out.
    """

    index: int
    age_ns: int
    alerts: tuple[Alert, ...] | None

    @staticmethod
    def of(index: int, result: Result) -> FrameResult:
        """Return what the pipeline says of a frame, offline."""
        return FrameResult(index, 0, None if result.alerts is None else tuple(
            Alert(a.id, a.region.score, a.region.box, a.name, a.mass) for a in result.alerts))


@dataclass(frozen=True)
class TruthFrame:
    """
    What a frame really shows, without its pixels.

    :ivar objects: pixels and bounding box of each anomalous object, by its id.
    :ivar ignored: the pixels that no rule speaks about, as `numpy.packbits` rows.
    :ivar shape: height and width in pixels.
    """

    objects: Mapping[int, tuple[int, Box]]
    ignored: np.ndarray
    shape: tuple[int, int]

    @staticmethod
    def of(label: np.ndarray, object_ids: np.ndarray) -> TruthFrame:
        """
        Condense one frame.

        :param label: (H, W), 255 where ignored.
        :param object_ids: (H, W) unsigned, 0 where there is no object.
        """
        objects = {}
        for i in np.flatnonzero(np.bincount(object_ids.ravel())):
            if i:
                rows, columns = np.nonzero(object_ids == i)
                x, y = int(columns.min()), int(rows.min())
                objects[int(i)] = rows.size, (
                    x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y)
        return TruthFrame(objects, np.packbits(label == IGNORE, axis=1), label.shape)

    def hits(self, box: Box) -> set[int]:
        """Return the objects whose box covers at least `MIN_SHARE` of an alert's box."""
        return {i for i, (_, other) in self.objects.items()
                if _common(box, other) >= MIN_SHARE * max(box[2] * box[3], 1e-9)}

    def is_ignored(self, box: Box) -> bool:
        """Tell whether at least `MIN_IGNORED` of an alert's box is ignored."""
        x, y = (max(0, int(v)) for v in box[:2])
        right, bottom = int(np.ceil(box[0] + box[2])), int(np.ceil(box[1] + box[3]))
        inside = np.unpackbits(self.ignored[y:bottom], axis=1, count=self.shape[1])[:, x:right]
        return bool(inside.size and inside.mean() >= MIN_IGNORED)


@dataclass(frozen=True)
class Truth:
    """
    What a bag really shows.

    :ivar frames: by frame index; a frame without ground truth is missing.
    :ivar times_ns: bag time of every camera frame, by index.
    :ivar names: what an object is, by its id, where that is known.
    """

    frames: Mapping[int, TruthFrame]
    times_ns: Sequence[int]
    names: Mapping[int, str] = field(default_factory=dict)

    def name(self, number: int) -> str:
        """Return what an object is, or its number."""
        return self.names.get(number, f'anomaly {number}')

    def appearances(self, min_pixels: int = MIN_PIXELS) -> dict[int, int]:
        """Return the first frame index in which each object has at least `min_pixels`."""
        first: dict[int, int] = {}
        for index in sorted(self.frames):
            for i, (pixels, _) in self.frames[index].objects.items():
                if pixels >= min_pixels:
                    first.setdefault(i, index)
        return first


@dataclass
class AlertEvent:
    """
    The life of one alert id, from raised to cleared.

    :ivar alert: as it was when raised.
    :ivar first: frame index in which it was raised.
    :ivar last: last frame index in which it was reported.
    :ivar objects: the ground-truth objects that it overlapped at any time.
    :ivar excused: it lay on ignored pixels at some time.
    :ivar judged: some frame of its life has ground truth.
    """

    alert: Alert
    first: int
    last: int
    objects: set[int] = field(default_factory=set)
    excused: bool = False
    judged: bool = False

    @property
    def is_false(self) -> bool:
        """Tell whether ground truth was there and showed nothing."""
        return self.judged and not self.objects and not self.excused


@dataclass(frozen=True)
class AlertScores:
    """
    Alert events against ground truth.

    :ivar anomalies: objects that reached `MIN_PIXELS` in some frame.
    :ivar found: for each of these that was alerted, the frame index of the first such alert.
    :ivar held: for each found one, the last frame index in which an alert overlapped it.
    :ivar seconds: for each found one, from the bag time of its appearance to that of the alert's
        frame, plus that alert's age.
    :ivar false_events: events that never overlapped an object nor ignored pixels.
    """

    anomalies: tuple[int, ...]
    found: Mapping[int, int]
    held: Mapping[int, int]
    seconds: Mapping[int, float]
    false_events: tuple[AlertEvent, ...]

    @property
    def median_seconds(self) -> float | None:
        """Median time to alert; None if nothing was found."""
        return median(self.seconds.values()) if self.seconds else None


class AlertLog:
    """Turns alerts frame by frame into events; the same for the live lines and the score."""

    def __init__(self, truth: Truth | None = None) -> None:
        """Start with nothing alerted."""
        self._truth = truth
        self._open: dict[str, AlertEvent] = {}
        self.events: list[AlertEvent] = []

    def add(self, result: FrameResult) -> tuple[list[AlertEvent], list[AlertEvent]]:
        """
        Take the next frame; return the events raised and those cleared by it.

        A frame without knowledge of alerts neither raises nor clears any.
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
    """Score the alerts of a replay; `results` in the order of arrival."""
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
    return AlertScores(tuple(appeared), found, held, seconds, tuple(
        e for e in log.events if e.is_false))


def _common(a: Box, b: Box) -> float:
    """Return the area shared by two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
