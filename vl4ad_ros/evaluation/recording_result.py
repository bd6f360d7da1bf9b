# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of one recording as plain values, and the sum of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.figures import totals
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics


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
    """

    id: str
    name: str
    first_s: float
    last_s: float
    frames: int
    score: float
    verdict: str


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
    Everything that the evaluation of one recording found, as plain values.

    Nothing in it depends on the machine or on its speed. `asdict` and `of` convert it to JSON and
    back; `pixels` is stored by itself.

    :ivar name: name of the recording, without its folder.
    :ivar complete: whether all frames were evaluated; False after an interruption.
    :ivar figures: as `figures.described` returns them.
    :ivar pixels: (2, 65536) int64, the counts of `PixelMetrics`; zeros without ground truth.
    :ivar frames: the processed frames, in their order.
    :ivar alerts: the alerts, in the order in which they were raised.
    :ivar objects: the objects of the ground truth, in the order of their ids.
    :ivar moments: the frames that are worth looking at, the worst of each kind first.
    """

    name: str
    complete: bool
    figures: Mapping[str, Any]
    pixels: np.ndarray
    frames: tuple[FrameRow, ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    objects: tuple[ObjectRow, ...] = ()
    moments: tuple[Moment, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return all but the pixels as values for JSON; each list of rows becomes columns."""
        return {'name': self.name, 'complete': self.complete, 'figures': dict(self.figures),
                'frames': {column: [getattr(row, column) for row in self.frames]
                           for column in ('index', 'time_s', 'score', 'flagged')},
                'alerts': [asdict(row) for row in self.alerts],
                'objects': [asdict(row) for row in self.objects],
                'moments': [asdict(row) for row in self.moments]}

    @staticmethod
    def of(content: Mapping[str, Any], pixels: np.ndarray) -> RecordingResult:
        """
        Return the result that was stored.

        :param content: as `as_json` returned it, possibly after JSON made lists of its tuples.
        :param pixels: (2, 65536) int64.
        :raises KeyError: if an entry is missing.
        :raises TypeError: if a row has other fields.
        """
        columns = content['frames']
        rows = zip(*(columns[name] for name in ('index', 'time_s', 'score', 'flagged')))
        moments = [{**row, 'rank': tuple(row['rank']), 'box': tuple(row['box'])}
                   for row in content['moments']]
        return RecordingResult(
            content['name'], content['complete'], content['figures'], pixels,
            tuple(FrameRow(*row) for row in rows),
            tuple(AlertRow(**row) for row in content['alerts']),
            tuple(ObjectRow(**row) for row in content['objects']),
            tuple(Moment(**row) for row in moments))


@dataclass(frozen=True)
class Failure:
    """
    A recording that could not be read.

    :ivar name: name of the recording, without its folder.
    :ivar error: the reason, as a sentence.
    """

    name: str
    error: str

    @property
    def figures(self) -> Mapping[str, Any]:
        """The reason as a figure, as `figures.totals` takes it."""
        return {'error': self.error}


def merged(results: Sequence[RecordingResult | Failure]) -> dict[str, Any]:
    """
    Return the figures of several recordings together.

    :param results: the results; recordings that could not be read count as failed.
    :returns: as `figures.totals` returns them: sums, rates over the summed duration, and the
        metrics over the pixels of all recordings.
    """
    return totals([r.figures for r in results], PixelMetrics.of(pooled(results)).result())


def pooled(results: Sequence[RecordingResult | Failure]) -> np.ndarray:
    """Return the sum of the pixel counts of all results: (2, 65536) int64."""
    found = np.zeros((2, 1 << 16), np.int64)
    for result in results:
        if isinstance(result, RecordingResult):
            found += result.pixels
    return found
