# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts as lines of text while a replay runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vl4ad_ros.evaluation.alert_metrics import AlertEvent, AlertLog, FrameResult, Truth


class LiveLines:
    """Writes one line when an alert is raised and one when it is cleared."""

    def __init__(self, times_ns: Sequence[int], truth: Truth | None,
                 write: Callable[[str], None]) -> None:
        """Speak about a bag whose frames were recorded at `times_ns`."""
        self._times, self._truth, self._write = times_ns, truth, write
        self._appeared = truth.appearances() if truth else {}
        self._log = AlertLog(truth)

    def add(self, result: FrameResult) -> None:
        """Take the next result."""
        raised, cleared = self._log.add(result)
        now = self._seconds(result.index)
        for event in raised:
            x, y, width, height = event.alert.box
            self._write(f'{now:6.1f} s  raised   #{event.alert.id} {event.alert.label}, '
                        f'{width:.0f} x {height:.0f} px at ({x + width / 2:.0f}, '
                        f'{y + height / 2:.0f}){self._judge(event, result)}')
        for event in cleared:
            lasted = now - self._seconds(event.first)
            self._write(f'{now:6.1f} s  cleared  #{event.alert.id} {event.alert.label}, '
                        f'after {lasted:.1f} s')

    def _judge(self, event: AlertEvent, result: FrameResult) -> str:
        if not event.judged:
            return ''
        known = [i for i in event.objects if i in self._appeared]
        if known:
            first = min(known, key=self._appeared.get)
            since = self._times[result.index] - self._times[self._appeared[first]] + result.age_ns
            return f', {max(0, since) / 1e9:.2f} s after {self._truth.name(first)} appeared'
        if event.objects:
            return f', {self._truth.name(min(event.objects))} still far away'
        return ', at the edge of something' if event.excused else ', nothing is there'

    def _seconds(self, index: int) -> float:
        return (self._times[index] - self._times[0]) / 1e9
