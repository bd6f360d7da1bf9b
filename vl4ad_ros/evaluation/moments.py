# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the frames of a recording that are worth looking at: missed objects, false alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vl4ad_ros.evaluation.alert_metrics import (
    Alert, AlertEvent, AlertScores, FrameResult, MIN_PIXELS, Truth)
from vl4ad_ros.evaluation.approach import Approach
from vl4ad_ros.evaluation.recording_result import Moment

MOST = 6
"""Largest number of moments of each kind in a recording."""
_APART_S = 1.0
"""Least time between two misses where objects have no ids."""


def find_misses(results: Sequence[FrameResult], truth: Truth, scores: AlertScores,
                start_ns: int) -> list[Moment]:
    """
    Return the worst misses: the largest views of objects that no alert overlapped at that time.

    There is one for each object, the view in which it is largest. If objects have no ids, each
    anomalous region of a frame counts, and the views are at least a second apart. Objects that
    were never alerted come first.

    :param results: the processed frames; those whose alerts are unknown are left out.
    :param truth: the ground truth.
    :param scores: the alert metrics.
    :param start_ns: time of the first frame of the recording, nanoseconds.
    :returns: at most `MOST` moments, the worst first.
    """
    views = [(number not in scores.found, pixels, result.index, number, box)
             for result in results if result.alerts is not None and result.index in truth.frames
             for number, pixels, box in _missed(result.alerts, truth, result.index)]
    found: list[Moment] = []
    seen: set[int] = set()
    for never, pixels, index, number, box in sorted(views, key=lambda v: (-v[0], -v[1], v[2])):
        time_s = round((truth.times_ns[index] - start_ns) / 1e9, 3)
        if truth.has_objects:
            repeated = number in seen
        else:
            repeated = any(abs(time_s - other.time_s) < _APART_S for other in found)
        if repeated:
            continue
        seen.add(number)
        name = truth.name(number) if truth.has_objects else 'anomaly'
        found.append(Moment('miss', index, time_s, (float(never), float(pixels)),
                            _sentence(truth, scores, number, name, pixels), box, name))
        if len(found) == MOST:
            break
    return found


def find_alerts(results: Sequence[FrameResult], events: Sequence[AlertEvent], kind: str,
                times_ns: Sequence[int]) -> list[Moment]:
    """
    Return the alerts that lasted longest, each in the frame in which its score was highest.

    :param results: the processed frames.
    :param events: the alerts to choose from.
    :param kind: ``false alert`` or ``alert``.
    :param times_ns: time of each frame of the recording, nanoseconds.
    :returns: at most `MOST` moments, the worst first.
    """
    found = []
    by_id = reported(results)
    for event in events:
        views = [view for view in by_id[event.alert.id] if event.first <= view[0] <= event.last]
        index, alert = max(views, key=lambda view: (view[1].score, -view[0]))
        seconds = (times_ns[event.last] - times_ns[event.first]) / 1e9
        approach = Approach.of([alert for _, alert in views])
        way = (f', first at {approach.first_m:.1f} m, nearest at {approach.nearest_m:.1f} m, '
               f'{approach.severity}' if approach.severity else '')
        text = (f'{kind.capitalize()} #{alert.id}, {alert.label}, in {len(views)} frames '
                f'({seconds:.1f} s){way}.')
        found.append(Moment(kind, index, round((times_ns[index] - times_ns[0]) / 1e9, 3),
                            (float(len(views)), round(alert.score, 4)), text, alert.box,
                            f'#{alert.id} {alert.caption}'))
    return sorted(found, key=lambda moment: moment.rank, reverse=True)[:MOST]


def reported(results: Sequence[FrameResult]) -> Mapping[str, list[tuple[int, Alert]]]:
    """Return the frames in which each alert was reported, with the alert, by its id."""
    found: dict[str, list[tuple[int, Alert]]] = {}
    for result in results:
        for alert in result.alerts or ():
            found.setdefault(alert.id, []).append((result.index, alert))
    return found


def _missed(alerts: Sequence[Alert], truth: Truth, index: int
            ) -> list[tuple[int, int, tuple[float, float, float, float]]]:
    """Return number, pixels and box of the objects of a frame that no alert overlaps."""
    frame = truth.frames[index]
    hit = set().union(*(frame.hits(alert.box) for alert in alerts))
    return [(number, pixels, box) for number, (pixels, box) in frame.objects.items()
            if pixels >= MIN_PIXELS and number not in hit]


def _sentence(truth: Truth, scores: AlertScores, number: int, name: str, pixels: int) -> str:
    text = f'{name[:1].upper()}{name[1:]}, {pixels} pixels, without an alert in this frame'
    if not truth.has_objects:
        return f'{text}.'
    if number in scores.seconds:
        return (f'{text}. Other frames have one, the first {scores.seconds[number]:.2f} s after '
                'it appeared.')
    return f'{text}; it was never alerted.'
