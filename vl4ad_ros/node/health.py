# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How one image stream is doing: counts, ages, and the one sentence that matters now."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from threading import Lock
import time

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np

from vl4ad_ros.node.dds import why_images_get_lost, why_no_image_comes
from vl4ad_ros.node.publishers import SourceProblem
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings

_WINDOW = 100
"""Ages are percentiles over this many results."""
_PATIENCE_S, _FIRST_PATIENCE_S = 5.0, 60.0
_PATIENCE = 10
"""A result that takes so many times the usual, and these seconds, does not come any more."""
_CLOCK_SKEW_S = 0.1
"""Clocks of two machines differ by less; a stamp further ahead is a wrong stamp."""
_CLOCK_FAULT_S = 2.0
"""No camera or network delays images by so much: an older one was stamped by another clock."""
_STAMPS = ('zero', 'constant', 'future', 'late', 'back', 'gap')


class Health:
    """
    Count what happens to the images of one stream; read once a second by diagnostics.

    Rates and gaps use the steady clock, so that a paused `/clock` alarms nobody; ages are
    given by the caller from the node's clock.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._ages: deque[float] = deque(maxlen=_WINDOW)
        self._arrivals: deque[float] = deque(maxlen=_WINDOW)
        self._work: deque[float] = deque(maxlen=_WINDOW)
        self._stages: dict[str, deque[float]] = {}
        self._last_good = self._last_received = time.monotonic()
        self._pending_since: float | None = None
        self._last_reason = self._last_reset = self._unknown = ''
        self._lost_since_received = self._image_bytes = 0
        self.faults_in_a_row = 0

    @property
    def patience_s(self) -> float:
        """Seconds after which an image that has no result yet will not get one."""
        with self._lock:
            return self._patience()

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
            if self._pending_since is None:
                self._pending_since = self._last_received

    def lost(self, count: int) -> None:
        """Count images that were published but did not arrive whole."""
        with self._lock:
            self._counts['lost'] += count
            self._lost_since_received += count

    def processed(self, result: Result, stamp_ns: int, received_ns: int, published_ns: int,
                  work_s: float, stages_ms: Mapping[str, float]) -> None:
        """
        Count an answered image.

        :param stamp_ns: of its header, ns.
        :param received_ns, published_ns: the node's clock then, ns.
        :param work_s: seconds that decoding, inference and publishing took.
        :param stages_ms: ms of each stage of the inference.
        """
        arrival_s = (received_ns - stamp_ns) / 1e9
        moment = result.moment
        with self._lock:
            self._counts['processed'] += 1
            self._last_good = time.monotonic()
            self._pending_since = None
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
            self._counts['alerts withheld' if result.unknown else 'alerts published'] += 1
            if result.reset:
                self._counts['resets'] += 1
                self._last_reset = result.reset
            self._counts['regions left over'] += result.left_over
            self.faults_in_a_row = 0

    def refused(self, reason: str) -> None:
        """Count an image that could not be read."""
        with self._lock:
            self._counts['bad'] += 1
            self._pending_since = None
            self._last_reason = reason

    def fault(self, reason: str) -> None:
        """Count an image on which inference failed."""
        with self._lock:
            self._counts['faults'] += 1
            self._pending_since = None
            self.faults_in_a_row += 1
            self._last_reason = reason

    def report(self, settings: Settings, source: SourceProblem | None, publishers: int,
               replaced: int) -> tuple[bytes, str, dict[str, str]]:
        """
        Return level, sentence and values for diagnostics since the last report.

        :param source: what keeps images away, or None.
        :param publishers: how many publishers the topic has.
        :param replaced: images overwritten by a newer one before they were processed.
        """
        with self._lock:
            now = time.monotonic()
            new = self._counts - self._reported
            self._reported = self._counts.copy()
            ages = np.array(self._ages or [0.0])
            p50, p95 = np.percentile(ages, (50, 95))
            level, sentence = self._judge(
                settings, source, publishers, replaced, now, new, p50, p95)
            values = {
                'topic': self.topic, 'publishers': str(publishers), 'replaced': str(replaced),
                **{name: str(self._counts[name]) for name in (
                    'received', 'lost', 'processed', 'bad', 'faults', 'alerts published',
                    'alerts withheld', 'resets', 'regions left over',
                    *(f'stamps {kind}' for kind in _STAMPS))},
                'age p50 (ms)': f'{1e3 * p50:.0f}' if self._ages else '',
                'age p95 (ms)': f'{1e3 * p95:.0f}' if self._ages else '',
                'work p50 (ms)': f'{1e3 * np.median(self._work):.0f}' if self._work else '',
                **{f'{stage} p50 (ms)': f'{np.median(took_ms):.1f}'
                   for stage, took_ms in self._stages.items()},
                'last refusal': self._last_reason,
                'last reset': self._last_reset,
                'alerts withheld because': self._unknown,
            }
        return level, sentence, values

    def _patience(self) -> float:
        return max(_PATIENCE_S, _PATIENCE * np.median(self._work)) if self._work else (
            _FIRST_PATIENCE_S)

    def _judge(self, settings: Settings, source: SourceProblem | None, publishers: int,
               replaced: int, now: float, new: Counter[str], p50: float,
               p95: float) -> tuple[bytes, str]:
        gap = now - self._last_received
        stalled = gap > settings.health_stall_timeout_s
        if source and (source.total or stalled):
            return DiagnosticStatus.ERROR, source.sentence
        if stalled and not publishers:
            return (DiagnosticStatus.ERROR if self._counts['received'] else
                    DiagnosticStatus.WARN), (
                f'nothing publishes {self.topic} (no image for {gap:.1f} s); '
                'remap image:=<topic of the camera>')
        if stalled:
            cause = why_no_image_comes(self.topic) if not self._lost_since_received else (
                f'{self._lost_since_received} got lost on the way: '
                f'{why_images_get_lost(self._image_bytes)}')
            return DiagnosticStatus.ERROR, (
                f'no image for {gap:.1f} s on {self.topic} though it has a publisher: {cause}')
        if self._pending_since is not None and now - self._pending_since > self._patience():
            return DiagnosticStatus.ERROR, (
                f'images come, but no result for {now - self._pending_since:.1f} s: an inference '
                'hangs; end the node and start it again')
        useless = now - self._last_good > settings.health_stall_timeout_s
        if useless and (new['bad'] or new['faults']):
            return DiagnosticStatus.ERROR, f'no image can be used: {self._last_reason}'
        arrival = float(np.median(self._arrivals)) if self._arrivals else 0.0
        if arrival > _CLOCK_FAULT_S:
            return DiagnosticStatus.WARN, (
                f'image stamps are {arrival:.1f} s behind the clock of this node; set the clocks '
                'of both machines (NTP, PTP), or use_sim_time if a recording is played')
        if p95 > settings.health_warn_age_s:
            share = replaced / max(1, self._counts['received'])
            return DiagnosticStatus.WARN, (
                f'results are {1e3 * p50:.0f} ms old (p95 {1e3 * p95:.0f} ms), {share:.0%} of '
                'the images replaced by newer ones; use a smaller image or a faster backend')
        if new['bad'] or new['faults']:
            return DiagnosticStatus.WARN, (
                f"{new['bad'] + new['faults']} images dropped: {self._last_reason}")
        if new['lost']:
            return DiagnosticStatus.WARN, (
                f"{new['lost']} images got lost on the way from the driver: "
                f'{why_images_get_lost(self._image_bytes)}')
        if new['processed'] and not new['alerts published']:
            return DiagnosticStatus.WARN, f'no alerts are published: {self._unknown}'
        if source:
            return DiagnosticStatus.WARN, source.sentence
        if odd := [kind for kind in _STAMPS if new[f'stamps {kind}']]:
            return DiagnosticStatus.WARN, self._about_stamps(odd)
        if new['regions left over']:
            return DiagnosticStatus.WARN, (
                f"{new['regions left over']} regions beyond the largest "
                f'{settings.region_max_count} of each frame were left out; raise region.min_area '
                'or threshold')
        return DiagnosticStatus.OK, f"{new['processed']} results in the last second"

    def _about_stamps(self, odd: list[str]) -> str:
        """Return what is wrong with the stamps, and what follows."""
        said = f'image stamps: {", ".join(odd)}'
        if {'zero', 'constant'} & set(odd):
            return f'{said}; the time of receipt is used instead; check the camera driver'
        if 'back' in odd or 'gap' in odd:
            return f'{said}; tracking began anew: {self._last_reset}'
        if 'late' in odd:
            return f'{said}; these frames are left out of tracking; check the order of the driver'
        return f'{said}; check the clock of the camera driver and use_sim_time'
