# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of one recording as plain values, and the merging of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.distance_error import DistancePair
from vl4ad_ros.evaluation.figures import totals
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics

_COLUMNS = ('index', 'time_s', 'score', 'flagged')


@dataclass(frozen=True)
class FrameRow:
    """
    One processed frame on the timeline.

    :ivar index: index of the frame in the recording.
    :ivar time_s: seconds in the recording since its first frame.
    :ivar score: the score that one in a thousand cells of the picture exceeds, 0..1.
    :ivar flagged: share of the pixels above the threshold, 0..1.
    """

    index: int
    time_s: float
    score: float
    flagged: float


@dataclass(frozen=True)
class AlertRow:
    """
    One alert id from the frame in which it was raised to the last one in which it was reported.

    :ivar id: the id.
    :ivar name: the class when it was raised, or 'anomaly'.
    :ivar first_s: when it was raised, seconds since the first frame.
    :ivar last_s: when it was reported last, seconds since the first frame.
    :ivar frames: number of frames in which it was reported.
    :ivar score: its highest score, 0..1.
    :ivar verdict: ``true`` if it overlapped an object, ``false`` if it is a false alert,
        ``ignored`` if it lay on ignored pixels, and ``unknown`` without ground truth.
    :ivar first_m: its distance when it first had a place, in metres; None if it never had one.
    :ivar nearest_m: its smallest distance, in metres; None if it never had a place.
    :ivar severity: the highest level of severity that it had; ``''`` if it never had one.
    """

    id: str
    name: str
    first_s: float
    last_s: float
    frames: int
    score: float
    verdict: str
    first_m: float | None = None
    nearest_m: float | None = None
    severity: str = ''


@dataclass(frozen=True)
class ObjectRow:
    """
    One object of the ground truth that is large enough to be found.

    :ivar number: its id in the ground truth.
    :ivar name: its kind, or ``anomaly <id>``.
    :ivar first_s: when it became large enough, seconds since the first frame.
    :ivar last_s: when it was large enough for the last time, seconds since the first frame.
    :ivar pixels: its largest number of pixels.
    :ivar alerted_after_s: time to its first alert in seconds; None if it was never alerted.
    """

    number: int
    name: str
    first_s: float
    last_s: float
    pixels: int
    alerted_after_s: float | None


@dataclass(frozen=True)
class Moment:
    """
    A frame that is worth looking at.

    :ivar kind: ``miss``, ``false alert`` or, without ground truth, ``alert``.
    :ivar index: index of the frame in the recording.
    :ivar time_s: seconds since the first frame.
    :ivar rank: the larger, the worse: pixels of a missed object that was never alerted count
        before those of one that was; false alerts count by the number of their frames.
    :ivar text: what there is to see, as a sentence.
    :ivar box: x, y, width and height of the missed object or of the alert, in pixels.
    :ivar caption: the name at the box.
    """

    kind: str
    index: int
    time_s: float
    rank: tuple[float, ...]
    text: str
    box: tuple[float, float, float, float]
    caption: str


@dataclass(frozen=True, eq=False)
class RecordingResult:
    """
    What the evaluation of one recording gave, as plain values; it can be pickled.

    Nothing in it depends on the machine or on its speed. `as_json` and `of` convert it to JSON
    and back; `pixels` is stored by itself, and `lines` are not stored.

    :ivar recording: the recording, as the user named it.
    :ivar figures: its figures by name, as `offline.evaluate` returns them. Those of a recording
        that could not be read are ``{'error': reason}``.
    :ivar pixels: the counters of its pixels (`PixelMetrics.counts`), (2, 65536) int64; None if it
        could not be read.
    :ivar enough: whether enough of its frames could be used.
    :ivar name: name of the recording without its folder, different from those of all others.
    :ivar complete: whether all frames were evaluated; False after an interruption.
    :ivar frames: the processed frames, in their order.
    :ivar alerts: the alerts, in the order in which they were raised.
    :ivar objects: the objects of the ground truth, in the order of their ids.
    :ivar moments: the frames that are worth looking at, the worst of each kind first.
    :ivar distances: the published and the true distance of each obstacle whose object is known,
        in metres, in the order of the frames.
    :ivar lines: the result lines of `--format dlr2`; empty without it.
    """

    recording: str
    figures: Mapping[str, Any]
    pixels: np.ndarray | None = None
    enough: bool = False
    name: str = ''
    complete: bool = True
    frames: tuple[FrameRow, ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    objects: tuple[ObjectRow, ...] = ()
    moments: tuple[Moment, ...] = ()
    distances: tuple[tuple[float, float], ...] = ()
    lines: tuple[str, ...] = ()

    @staticmethod
    def failed(recording: str, reason: str, name: str = '') -> RecordingResult:
        """Return the result of a recording that could not be read."""
        return RecordingResult(recording, {'error': reason}, name=name, complete=False)

    def as_json(self) -> dict[str, Any]:
        """Return what repeated runs have in common as values for JSON, without the pixels."""
        return {'name': self.name, 'complete': self.complete, 'figures': dict(self.figures),
                'frames': {column: [getattr(row, column) for row in self.frames]
                           for column in _COLUMNS},
                'alerts': [asdict(row) for row in self.alerts],
                'objects': [asdict(row) for row in self.objects],
                'moments': [asdict(row) for row in self.moments],
                'distances': [list(pair) for pair in self.distances]}

    @staticmethod
    def of(content: Mapping[str, Any], pixels: np.ndarray, recording: str) -> RecordingResult:
        """
        Return the result that was stored.

        :param content: as `as_json` returned it, possibly after JSON made lists of its tuples.
        :param pixels: (2, 65536) int64.
        :param recording: the recording, as the user named it.
        :raises KeyError: if an entry is missing.
        :raises TypeError: if a row has other fields.
        """
        rows = zip(*(content['frames'][name] for name in _COLUMNS))
        moments = [{**row, 'rank': tuple(row['rank']), 'box': tuple(row['box'])}
                   for row in content['moments']]
        return RecordingResult(
            recording, content['figures'], pixels, True, content['name'], content['complete'],
            tuple(FrameRow(*row) for row in rows),
            tuple(AlertRow(**row) for row in content['alerts']),
            tuple(ObjectRow(**row) for row in content['objects']),
            tuple(Moment(**row) for row in moments),
            tuple((published, true) for published, true in content['distances']))


def merged(results: Sequence[RecordingResult]) -> dict[str, Any]:
    """
    Return the figures of several recordings, of each and of all together.

    Counts are summed as integers, so the result does not depend on the process that each recording
    was evaluated in.

    :param results: one for each recording, in the order in which they are reported.
    :returns: `recordings`, a list with the figures of each and its name as `recording`, and
        `total`, as `figures.totals` returns it.
    """
    pooled = PixelMetrics()
    for result in results:
        if result.pixels is not None:
            pooled.add_counts(result.pixels)
    found = [{'recording': result.recording, **result.figures} for result in results]
    pairs = [DistancePair(*pair) for result in results for pair in result.distances]
    return {'recordings': found, 'total': totals(found, pooled.result(), pairs)}
