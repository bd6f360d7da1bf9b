# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts and ages of the images of one camera."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from threading import Lock
import time

import numpy as np

from vl4ad_ros.images.quality import Quality
from vl4ad_ros.node.assessment import assess, Observations, STAMP_PROBLEMS
from vl4ad_ros.node.frame_watch import Look
from vl4ad_ros.node.publishers import SourceProblem
from vl4ad_ros.obstacles.pipeline import Finding, Result
from vl4ad_ros.obstacles.severity import LEVELS
from vl4ad_ros.settings import Settings

_WINDOW = 100
"""Percentiles are taken over this many results."""
_CLOCK_SKEW_S = 0.1
"""The clocks of two machines may differ by this; a stamp further ahead is a wrong stamp."""
_COUNTS = ('received', 'lost', 'processed', 'bad', 'faults', 'alerts published',
           'alerts withheld', 'resets', 'regions left over',
           *(f'stamps {kind}' for kind in STAMP_PROBLEMS))
_PICTURE_VALUES = (
    'picture brightness', 'picture nearly black (%)', 'picture saturated (%)', 'picture contrast',
    'picture blur', 'picture unchanged (s)', 'uncertainty spread', 'anomalous share p50 (%)')


class Health:
    """
    Counts what happens to the images of one camera; diagnostics read it once a second.

    Rates and gaps are measured with the steady clock, so that a paused `/clock` raises no alarm;
    the caller gives ages by the node's clock. All methods may be called from any thread.

    :ivar topic: of the images.
    :ivar remap: the name by which this topic is remapped.
    :ivar depth: what is taken for full brightness of 16-bit values; '' for other images.
    :ivar no_ground: why the last frame has no positions in metres, a sentence; '' if it has.
    """

    def __init__(self, topic: str, remap: str = 'image') -> None:
        """Start with all counts at zero."""
        self.topic, self.remap = topic, remap
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._ages: deque[float] = deque(maxlen=_WINDOW)
        self._arrivals: deque[float] = deque(maxlen=_WINDOW)
        self._work: deque[float] = deque(maxlen=_WINDOW)
        self._stages: dict[str, deque[float]] = {}
        self._shares: deque[float] = deque(maxlen=_WINDOW)
        self._looks: list[Look] = []
        self._last_looks: Sequence[Look] = ()
        self._last_good = self._last_received = time.monotonic()
        self._last_reason = self._last_reset = self._unknown = ''
        self._most_severe = ''
        self._lost_since_received = self._image_bytes = 0
        self.depth = self.no_ground = ''

    def received(self, size: int) -> None:
        """
        Count an image that arrived.

        :param size: bytes of its data.
        """
        with self._lock:
            self._counts['received'] += 1
            self._image_bytes = size
            self._lost_since_received = 0
            self._last_received = time.monotonic()

    def lost(self, count: int) -> None:
        """
        Count images that were published but did not arrive completely.

        :param count: how many more there are.
        """
        with self._lock:
            self._counts['lost'] += count
            self._lost_since_received += count

    def looked(self, look: Look) -> None:
        """
        Note what a frame says about whether its results mean something.

        :param look: at the frame.
        """
        with self._lock:
            self._shares.append(look.anomalous_share)
            self._looks.append(look)

    def processed(self, result: Result, stamp_ns: int, received_ns: int, published_ns: int,
                  work_s: float, stages_ms: Mapping[str, float]) -> None:
        """
        Count an image whose results were published.

        :param result: of the pipeline.
        :param stamp_ns: of the image's header, in ns.
        :param received_ns: the node's clock when the image arrived, in ns.
        :param published_ns: the node's clock after publishing, in ns.
        :param work_s: seconds that decoding, inference and publishing took.
        :param stages_ms: duration of each stage of the inference, in ms, by name.
        """
        arrival_s = (received_ns - stamp_ns) / 1e9
        moment = result.moment
        with self._lock:
            self._counts['processed'] += 1
            self._last_good = time.monotonic()
            self._work.append(work_s)
            for stage, took_ms in stages_ms.items():
                self._stages.setdefault(stage, deque(maxlen=_WINDOW)).append(took_ms)
            kinds = {moment.unusable, moment.step if moment.step != 'next' else '',
                     '' if arrival_s > -_CLOCK_SKEW_S else 'future'}
            for kind in kinds - {''}:
                self._counts[f'stamps {kind}'] += 1
            if not moment.unusable and arrival_s > -_CLOCK_SKEW_S:
                self._arrivals.append(arrival_s)
                self._ages.append((published_ns - stamp_ns) / 1e9)
            self._unknown = result.unknown
            self._most_severe = _most_severe(result.alerts or ())
            self._counts['alerts withheld' if result.unknown else 'alerts published'] += 1
            if result.reset:
                self._counts['resets'] += 1
                self._last_reset = result.reset
            self._counts['regions left over'] += result.left_over

    def refused(self, reason: str) -> None:
        """
        Count an image that could not be read.

        :param reason: a sentence.
        """
        with self._lock:
            self._counts['bad'] += 1
            self._last_reason = reason

    def fault(self, reason: str) -> None:
        """
        Count an image on which processing failed.

        :param reason: a sentence.
        """
        with self._lock:
            self._counts['faults'] += 1
            self._last_reason = reason

    def report(self, settings: Settings, source: SourceProblem | None, publishers: int,
               replaced: int, hung_s: float) -> tuple[bytes, str, dict[str, str]]:
        """
        Return level, sentence and values for diagnostics since the last report.

        :param settings: hold the limits.
        :param source: what keeps images away, or None.
        :param publishers: how many publishers the topic has.
        :param replaced: images that a newer one replaced before they were processed.
        :param hung_s: seconds that an inference has hung; 0 if none hangs.
        :returns: the level is one of `DiagnosticStatus`; counts are since activation.
        """
        with self._lock:
            # Without a pose in the parameters, nobody may have asked for positions.
            no_ground = self.no_ground if settings.camera_height_m else ''
            seen = self._observe(source, publishers, replaced, no_ground, hung_s)
            values = {
                'topic': self.topic, 'publishers': str(publishers), 'replaced': str(replaced),
                **{name: str(self._counts[name]) for name in _COUNTS},
                'age p50 (ms)': f'{1e3 * seen.age_p50_s:.0f}' if self._ages else '',
                'age p95 (ms)': f'{1e3 * seen.age_p95_s:.0f}' if self._ages else '',
                'work p50 (ms)': f'{1e3 * np.median(self._work):.0f}' if self._work else '',
                **{f'{stage} p50 (ms)': f'{np.median(took_ms):.1f}'
                   for stage, took_ms in self._stages.items()},
                'full brightness': self.depth,
                **_about_pictures(seen),
                'last refusal': self._last_reason,
                'last reset': self._last_reset,
                'alerts withheld because': self._unknown,
                'no positions because': self.no_ground,
                'most severe alert': self._most_severe,
            }
        return *assess(seen, settings), values

    def _observe(self, source: SourceProblem | None, publishers: int, replaced: int,
                 no_ground: str, hung_s: float) -> Observations:
        now = time.monotonic()
        new = self._counts - self._reported
        self._reported = self._counts.copy()
        p50, p95 = np.percentile(self._ages or [0.0], (50, 95))
        if self._looks:
            self._last_looks, self._looks = self._looks, []
        looks = self._last_looks
        return Observations(
            topic=self.topic, remap=self.remap, source=source, publishers=publishers,
            replaced=replaced,
            received=self._counts['received'], new=new,
            since_received_s=now - self._last_received, since_good_s=now - self._last_good,
            hung_s=hung_s,
            lost_since_received=self._lost_since_received, image_bytes=self._image_bytes,
            age_p50_s=float(p50), age_p95_s=float(p95),
            arrival_s=float(np.median(self._arrivals)) if self._arrivals else 0.0,
            last_reason=self._last_reason, last_reset=self._last_reset, unknown=self._unknown,
            no_ground=no_ground,
            quality=Quality.mean([look.quality for look in looks]) if looks else None,
            repeats=looks[-1].repeats if looks else 0,
            unchanged_s=looks[-1].unchanged_s if looks else 0.0,
            spread=max((look.spread for look in looks), default=0.0),
            anomalous_share=float(np.median(self._shares)) if self._shares else 0.0)


def _about_pictures(seen: Observations) -> dict[str, str]:
    """Return the values about the last pictures and their scores; they are '' without any."""
    quality = seen.quality
    values: tuple[str, ...] = () if quality is None else (
        f'{quality.brightness:.0f}', f'{100 * quality.black:.0f}',
        f'{100 * quality.saturated:.0f}', f'{quality.contrast:.1f}', f'{quality.blur:.2f}',
        f'{seen.unchanged_s:.1f}', f'{seen.spread:.3f}', f'{100 * seen.anomalous_share:.1f}')
    return dict(zip_longest(_PICTURE_VALUES, values, fillvalue=''))


def _most_severe(alerts: tuple[Finding, ...]) -> str:
    """Return the level and the place of the most severe alert; '' if none has a place."""
    placed = [(alert.severity, alert.place, alert) for alert in alerts
              if alert.severity and alert.place]
    if not placed:
        return ''
    severity, _, alert = max(
        placed, key=lambda one: (LEVELS.index(one[0].level), -one[1].distance_m))
    return f'{severity.level}: #{alert.id} {replace(alert, severity=None).caption}'
