# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What one replay through the node produced, and the figures that say how good it was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vl4ad_ros import __version__
from vl4ad_ros.evaluation.alert_metrics import (
    AlertEvent, AlertLog, AlertScores, FrameResult, MIN_IGNORED, MIN_PIXELS, MIN_SHARE,
    score_alerts, Truth)
from vl4ad_ros.evaluation.bag_reader import CameraBag, RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics, PixelScores
from vl4ad_ros.evaluation.spool import Entry, Spool

DEFINITIONS = {
    'frames_published': 'camera messages sent to the node',
    'frames_processed': 'frames for which the node answered with a detections message',
    'frames_unknown': 'those of them without an alerts message: tracking was warming up or left '
                      'the frame out',
    'age_ms': "from a frame's publication to the arrival of its detections at another process",
    'pixel_ap': 'average precision (step sum) over all labelled pixels of all scored frames',
    'pixel_auroc': 'area under the ROC curve of the same pixels',
    'fpr95': 'false-positive rate at the first threshold with recall of 95 % or more',
    'anomalies': f'ground-truth objects that reach {MIN_PIXELS} pixels in some frame',
    'anomalies_alerted': 'those overlapped by an alert, which has at least '
                         f"{MIN_SHARE:.0%} of its box inside the object's",
    'time_to_alert_s': f'median bag time from the first frame with {MIN_PIXELS} pixels of the '
                       "object to its first alert, plus that alert's age",
    'false_alerts': 'alert ids that never overlapped an object, nor had '
                    f'{MIN_IGNORED:.0%} of their box on ignored pixels',
    'alerts': 'alert ids raised, true or false',
}


@dataclass(frozen=True)
class ParameterCall:
    """
    Parameters of the node to set while frames flow.

    :ivar at_s: seconds of the bag from its first frame.
    :ivar values: by name; set one by one, in this order.
    """

    at_s: float
    values: Mapping[str, Any]


@dataclass(frozen=True)
class CallMade:
    """When a call was sent and when the node had accepted it; ns since the epoch."""

    sent_ns: int
    answered_ns: int


@dataclass(frozen=True)
class Replay:
    """
    Everything that came back from the node.

    :ivar bag: what was played.
    :ivar truth: what it shows, where the bag says so.
    :ivar results: one per processed frame, in order of arrival.
    :ivar sent_ns: when each published frame went out, ns since the epoch, by frame index.
    :ivar answers: where the detections message of each processed frame lies, by frame index.
    :ivar spool: all raw messages that arrived.
    :ivar namespace: the node's own prefix, as in `/vl4ad_detector`.
    :ivar about: `model`, `backend`, `ros_distro` and other plain facts for the report.
    :ivar calls: one per call of the session, in their order.
    """

    bag: CameraBag
    truth: Truth | None
    results: Sequence[FrameResult]
    sent_ns: Mapping[int, int]
    answers: Mapping[int, Entry]
    spool: Spool
    namespace: str
    about: Mapping[str, Any]
    calls: Sequence[CallMade] = ()

    @cached_property
    def by_index(self) -> dict[int, FrameResult]:
        """The results by frame index."""
        return {r.index: r for r in self.results}

    @cached_property
    def events(self) -> list[AlertEvent]:
        """All alert events, judged where there is ground truth."""
        log = AlertLog(self.truth)
        for result in self.results:
            log.add(result)
        return log.events

    @cached_property
    def alert_scores(self) -> AlertScores | None:
        """Alerts against ground truth; None without."""
        return score_alerts(self.results, self.truth) if self.truth else None

    @cached_property
    def pixel_scores(self) -> PixelScores | None:
        """Scores against ground truth, over the frames whose score arrived; None without."""
        if self.truth is None:
            return None
        metrics = PixelMetrics()
        for index, label, _ in self.bag.truth_maps():
            score = self.score(index)
            if score is not None:
                metrics.add(score, label)
        return metrics.result()

    def mask(self, index: int) -> np.ndarray | None:
        """Return the (H, W) uint8 mask {0, 255} of a frame; None if it did not arrive."""
        return self._map('mask', index, np.uint8)

    def score(self, index: int) -> np.ndarray | None:
        """Return the (H, W) float32 score in 0..1 of a frame; None if it did not arrive."""
        return self._map('score', index, np.float32)

    def _map(self, name: str, index: int, dtype: type) -> np.ndarray | None:
        answer = self.answers.get(index)
        cdr = answer and self.spool.beside(answer, f'{self.namespace}/{name}')
        if not cdr:
            return None
        message = typestore().deserialize_cdr(cdr, RAW)
        return message.data.view(dtype).reshape(message.height, message.width)

    def bag_time_ns(self, time_ns: int) -> int:
        """
        Return where in the bag's time something happened during the replay.

        :param time_ns: ns since the epoch.
        :returns: the recorded time of the newest frame that was out, plus the time since then;
            at most that of the next frame, so that the order stays where a frame had to wait.
        """
        index = max(0, bisect_right(self._sent, time_ns, key=lambda sent: sent[0]) - 1)
        sent_ns, frame = self._sent[index]
        since_ns = int((time_ns - sent_ns) * self.about.get('rate', 1))
        found_ns = self.bag.times_ns[frame] + since_ns
        if index + 1 < len(self._sent):
            found_ns = min(found_ns, self.bag.times_ns[self._sent[index + 1][1]])
        return max(0, found_ns)

    @cached_property
    def _sent(self) -> list[tuple[int, int]]:
        return sorted((sent_ns, index) for index, sent_ns in self.sent_ns.items())

    def metrics(self) -> dict[str, Any]:
        """Return what `metrics.json` holds; a figure that cannot be known is absent."""
        ages = [r.age_ns / 1e6 for r in self.by_index.values()]
        found = {
            'frames_published': len(self.sent_ns),
            'frames_processed': len(self.by_index),
            'frames_unknown': sum(r.alerts is None for r in self.by_index.values()),
            'age_ms': {'p50': float(np.percentile(ages, 50)),
                       'p95': float(np.percentile(ages, 95)), 'max': max(ages)},
            **quality(self.bag.duration_s, self.events, self.pixel_scores, self.alert_scores)}
        return described(found, self.about)


def quality(duration_s: float, events: Sequence[AlertEvent], pixels: PixelScores | None,
            alerts: AlertScores | None) -> dict[str, Any]:
    """Return the figures that do not depend on how the frames reached the detector."""
    minutes = duration_s / 60
    found = {'duration_s': duration_s, 'alerts': len(events),
             'alerts_per_minute': len(events) / minutes if minutes else None}
    if pixels:
        found |= {'pixel_ap': pixels.ap, 'pixel_auroc': pixels.auroc, 'fpr95': pixels.fpr95}
    if alerts:
        false = len(alerts.false_events)
        found |= {'anomalies': len(alerts.anomalies), 'anomalies_alerted': len(alerts.found),
                  'time_to_alert_s': alerts.median_seconds, 'false_alerts': false,
                  'false_alerts_per_minute': false / minutes if minutes else None}
    return found


def described(found: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that are known, rounded, with plain facts and their definitions."""
    rounded = {k: _rounded(v) for k, v in found.items() if v is not None}
    return {**rounded, **about, 'version': __version__,
            'definitions': {k: v for k, v in DEFINITIONS.items() if k in rounded}}


def _rounded(value: Any) -> Any:
    """Return numbers as short as they mean something."""
    if isinstance(value, dict):
        return {k: round(v, 1) for k, v in value.items()}
    return round(value, 5) if isinstance(value, float) else value


def table(metrics: Mapping[str, Any]) -> str:
    """Return the figures as lines for a terminal; only those that are there."""
    rows = [('frames', '{frames_processed} of {frames_published} processed'),
            ('age', '{age_ms[p50]:.0f} ms (p50), {age_ms[p95]:.0f} ms (p95), '
             '{age_ms[max]:.0f} ms (max)'),
            ('pixels', 'AP {pixel_ap:.3f}, FPR95 {fpr95:.3f}, AUROC {pixel_auroc:.3f}'),
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
        except KeyError:
            continue
    return '\n'.join(lines)
