# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: their definitions, and how they are computed, rounded and printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vl4ad_ros import __version__
from vl4ad_ros.evaluation.alert_figures import (
    ALERT_DEFINITIONS, alert_figures, false_alert_rates)
from vl4ad_ros.evaluation.alert_metrics import (
    AlertEvent, AlertScores, MIN_IGNORED, MIN_PIXELS, MIN_SHARE, Truth)
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.distance_error import distance_figures, DistancePair
from vl4ad_ros.evaluation.driven_way import DrivenWay
from vl4ad_ros.evaluation.frame_times import duration_s
from vl4ad_ros.evaluation.pixel_metrics import PixelScores

DEFINITIONS = {
    'frames_recorded': 'camera messages in the recording, or in the part that was chosen',
    'frames_lost': 'camera messages that are known to be in a damaged part of the recording',
    'frames_published': 'camera messages sent to the node',
    'frames_processed': 'frames with a result; online, frames for which the node published a '
                        'detections message',
    'frames_refused': 'frames that cannot be decoded, or have more pixels than image.max_pixels',
    'frames_unknown': 'processed frames without an alerts message, because tracking was warming '
                      'up or left the frame out',
    'labels': 'labels in the ground truth',
    'frames_labelled': 'frames to which one of these labels belongs',
    'notes': 'what of the recording or of its ground truth is not as it should be',
    'age_ms': 'time from the publication of a frame to the arrival of its detections in the '
              'process that replays',
    'pixel_ap': 'average precision (step sum) over all labelled pixels of all processed frames',
    'pixel_auroc': 'area under the ROC curve of the same pixels',
    'fpr95': 'false-positive rate at the first threshold with a recall of at least 95 %',
    'anomalous_flagged': 'share of the anomalous pixels whose score is above the threshold',
    'known_flagged': 'the same share of the pixels of known things that were pasted as the '
                     'anomalies were; the smaller, the better',
    'known_flagged_by_kind': 'the same for each kind of known thing',
    'anomalies': f'ground-truth objects that have at least {MIN_PIXELS} pixels in some frame',
    'anomalies_alerted': 'those of them that an alert overlapped: at least '
                         f"{MIN_SHARE:.0%} of the alert's box lies in the object's box",
    'time_to_alert_s': 'median, over these objects, of the time in the recording from the first '
                       f'frame with {MIN_PIXELS} pixels of the object to its first alert, plus '
                       'the age of that alert',
    'false_alerts': 'alert ids that never overlapped an object and never had '
                    f'{MIN_IGNORED:.0%} of their box on ignored pixels',
    'alerts': 'alert ids raised, true and false ones',
    'best_f1': 'the largest F1 score of the same pixels at any threshold',
    'best_f1_threshold': 'that threshold',
    'score_precision': 'float16: scores were rounded to half precision before they were counted',
    'frames_dropped_share': 'share of the published frames for which no detections arrived',
    'streaming_ap': 'average precision where each frame is judged by the newest score that had '
                    'arrived when the frame was taken',
    'streaming_frames_without_output': 'labelled frames before the first score arrived',
    'streaming_staleness_ms': 'mean time in the recording from the frame of that score to the '
                              'frame that it is judged by',
    **ALERT_DEFINITIONS,
}
"""What each figure means, by its name."""


def quality(bag: CameraBag, truth: Truth | None, events: Sequence[AlertEvent],
            pixels: PixelScores | None, alerts: AlertScores | None, way: DrivenWay,
            pairs: Sequence[DistancePair], read_frames: int | None = None) -> dict[str, Any]:
    """
    Return the figures that do not depend on how the frames reached the detector.

    :param bag: the recording.
    :param truth: its ground truth; None if it has none.
    :param events: all alert events.
    :param pixels: pixel metrics; None without ground truth.
    :param alerts: alert metrics; None without ground truth.
    :param way: how far the vehicle drove, and how far away the objects were.
    :param pairs: published distances with the true ones.
    :param read_frames: number of frames up to which the recording was evaluated; None for all.
    :returns: figures by name; None is the value of a figure that is undefined.
    """
    duration = duration_s(bag.times_ns[:read_frames])
    minutes = duration / 60
    undefined: dict[str, str] = {}
    found: dict[str, Any] = {
        'frames_lost': bag.lost or None, 'notes': list(bag.notes) or None,
        'duration_s': duration, 'alerts': len(events),
        'alerts_per_minute': len(events) / minutes if minutes else None}
    if truth:
        found |= {'labels': bag.label_count, 'frames_labelled': len(truth.frames)}
    if pixels:
        found |= _pixel_figures(pixels)
        undefined |= {name: pixels.why_undefined for name in _pixel_figures(pixels)
                      if found[name] is None}
    if alerts and truth:
        if truth.has_objects:
            found |= {'anomalies': len(alerts.anomalies), 'anomalies_alerted': len(alerts.found),
                      'time_to_alert_s': alerts.median_seconds}
        found['false_alerts'] = len(alerts.false_events)
        more = alert_figures(alerts, truth, way, minutes, pairs)
        found |= more.figures
        undefined |= more.undefined
    return found | {'undefined': undefined or None}


def _pixel_figures(pixels: PixelScores) -> dict[str, Any]:
    return {name: value for name, value in pixels.as_dict().items() if name in DEFINITIONS}


_SUMMED = ('frames_recorded', 'frames_lost', 'frames_processed', 'frames_refused',
           'frames_unknown', 'labels', 'frames_labelled', 'duration_s', 'alerts', 'anomalies',
           'anomalies_alerted', 'anomalies_missed', 'duplicate_alerts', 'false_alerts')
"""Figures whose total over several recordings is their sum."""


def totals(recordings: Sequence[Mapping[str, Any]], pixels: PixelScores,
           pairs: Sequence[DistancePair] = ()) -> dict[str, Any]:
    """
    Return the figures of several recordings together.

    :param recordings: the figures of each; the value of one that it does not have counts as
        nothing. A recording that could not be read has the figure `error`.
    :param pixels: pixel metrics over the pixels of all of them.
    :param pairs: published distances with the true ones, of all of them.
    :returns: sums of the counts, rates over the summed duration, the pooled pixel metrics and
        errors of distances, and the number of recordings and of those that could not be read.
    """
    found: dict[str, Any] = {'recordings': len(recordings),
                             'recordings_failed': sum('error' in r for r in recordings)}
    for name in _SUMMED:
        values = [r[name] for r in recordings if name in r]
        if values:
            found[name] = sum(values)
    minutes = found.get('duration_s', 0) / 60
    if 'alerts' in found and minutes:
        found['alerts_per_minute'] = found['alerts'] / minutes
    if 'false_alerts' in found:
        ways = [r.get('way_km') for r in recordings if 'false_alerts' in r]
        known = [way for way in ways if way is not None]
        rates, undefined = false_alert_rates(
            found['false_alerts'], minutes,
            1000 * sum(known) if len(known) == len(ways) else None)
        found |= rates | {'undefined': undefined or None}
    sizes = [r['alerts_by_size'] for r in recordings if 'alerts_by_size' in r]
    if sizes:
        found['alerts_by_size'] = {
            name: {count: sum(size[name][count] for size in sizes)
                   for count in ('anomalies', 'alerted')} for name in sizes[0]}
    found |= distance_figures(pairs) if pairs else {}
    found |= _pixel_figures(pixels)
    reasons = found.get('undefined') or {}
    return {name: _rounded(value) for name, value in found.items()
            if value is not None or name in reasons}


def described(figures: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the content of `metrics.json`.

    :param figures: by name; those that are None are left out, unless the figure `undefined` says
        why.
    :param about: facts such as the names of the model and of the backend.
    :returns: rounded figures, the facts, the version of this package, and `definitions`.
    """
    reasons = figures.get('undefined') or {}
    rounded = {k: _rounded(v) for k, v in figures.items() if v is not None or k in reasons}
    return {**rounded, **about, 'version': __version__,
            'definitions': {k: v for k, v in DEFINITIONS.items() if k in rounded}}


def _rounded(value: Any) -> Any:
    """Round to the number of digits that is meaningful."""
    if isinstance(value, dict):
        return {k: float(f'{v:.4g}') if isinstance(v, float) else _rounded(v)
                for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


def table(metrics: Mapping[str, Any]) -> str:
    """
    Return the figures as lines for a terminal.

    :param metrics: as `described` returns them; a line whose figures are missing is left out.
    """
    frames = '{frames_processed} of {frames_published} processed'
    if metrics.get('frames_refused'):
        frames += ', {frames_refused} refused'
    rows = [('frames', frames),
            ('age', '{age_ms[p50]:.0f} ms (p50), {age_ms[p95]:.0f} ms (p95), '
             '{age_ms[max]:.0f} ms (max)'),
            ('ground truth', 'labels matched: {frames_labelled} of {labels}'),
            ('pixels', 'AP {pixel_ap:.3f}, FPR95 {fpr95:.3f}, AUROC {pixel_auroc:.3f}'),
            ('flagged', '{anomalous_flagged:.1%} of the pixels of anomalies, {known_flagged:.1%} '
             'of pasted known things'),
            ('anomalies', '{anomalies_alerted} of {anomalies} alerted'),
            ('time to alert', '{time_to_alert_s:.2f} s (median)'),
            ('false alerts', '{false_alerts} ({false_alerts_per_minute:.1f} per minute)'),
            ('alerts', '{alerts} in {duration_s:.1f} s'),
            ('model', '{model} on {backend}, ROS 2 {ros_distro}'),
            ('notice', '{notice}')]
    lines = []
    for name, text in rows:
        try:
            lines.append(f'  {name:<14}{text.format_map(metrics)}')
        except (KeyError, TypeError):  # A figure is absent or undefined.
            continue
    return '\n'.join(lines)
