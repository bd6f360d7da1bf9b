# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints a line for each alert while a replay runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vl4ad_ros.evaluation.alert_metrics import AlertEvent, AlertLog, FrameResult, Truth
from vl4ad_ros.obstacles.pipeline import where


class AlertPrinter:
    """Writes one line when an alert is raised and one when it is cleared."""

    def __init__(self, times_ns: Sequence[int], truth: Truth | None,
                 write: Callable[[str], None]) -> None:
        """
        Start without alerts.

        :param times_ns: record time of every frame of the recording, nanoseconds since the epoch.
        :param truth: ground truth with which a line compares its alert; None if there is none.
        :param write: called with each line, which has no line break.
        """
        self._times, self._truth, self._write = times_ns, truth, write
        self._appeared = truth.appearances() if truth else {}
        self._log = AlertLog(truth)

    def add(self, result: FrameResult) -> None:
        """
        Write the lines about the next frame.

        :param result: the alerts of the frame.
        """
        raised, cleared = self._log.add(result)
        now = self._seconds(result.index)
        for event in raised:
            alert = event.alert
            x, y, width, height = alert.box
            said = [f'#{alert.id} {alert.label}', *where(alert.place, alert.severity),
                    f'{width:.0f} x {height:.0f} px at ({x + width / 2:.0f}, '
                    f'{y + height / 2:.0f}){self._judgement(event, result)}']
            self._write(f'{now:6.1f} s  raised   {", ".join(said)}')
        for event in cleared:
            lasted = now - self._seconds(event.first)
            self._write(f'{now:6.1f} s  cleared  #{event.alert.id} {event.alert.label}, '
                        f'after {lasted:.1f} s')

    def _judgement(self, event: AlertEvent, result: FrameResult) -> str:
        """Return how the ground truth judges a new alert, as the end of its line."""
        if not event.judged or self._truth is None:
            return ''
        visible = [i for i in event.objects if i in self._appeared]
        if visible:
            first = min(visible, key=lambda i: self._appeared[i])
            since = self._times[result.index] - self._times[self._appeared[first]] + result.age_ns
            return f', {max(0, since) / 1e9:.2f} s after {self._truth.name(first)} appeared'
        if event.objects:
            name = self._truth.name(min(event.objects))
            return f', overlaps {name}, which is too small to be counted'
        return ', on ignored pixels' if event.excused else ', no object is there so far'

    def _seconds(self, index: int) -> float:
        return (self._times[index] - self._times[0]) / 1e9
