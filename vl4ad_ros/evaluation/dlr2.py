# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Result lines as driving_log_replayer_v2 writes them, for tools that read its `result.jsonl`.

The format is that of https://github.com/tier4/driving_log_replayer_v2 (Apache-2.0), `result.py`
and docs/result_format of version 3.18.9: a line with `Condition`, a line without data, and a line
for each frame with `Result` so far, `Stamp` and `Frame`. Readers take the last line for the result
of the whole recording.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

from vl4ad_ros.evaluation.alert_metrics import AlertLog, FrameResult, Truth
from vl4ad_ros.evaluation.bag_reader import BagFrame
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings


class ResultLines:
    """
    The result lines of one recording.

    With ground truth, the result so far is a success if each object that has appeared was alerted
    and no alert is false. An object that has just appeared is a failure until it is alerted.
    Without ground truth, only the last line can be a success: it says whether enough frames could
    be used.
    """

    def __init__(self, truth: Truth | None) -> None:
        """
        Start before the first frame.

        :param truth: ground truth of the recording; None if there is none.
        """
        self._truth = truth
        self._log = AlertLog(truth)
        self._appearances = truth.appearances() if truth else {}
        self._stamp: dict[str, float] = {'System': 0.0, 'ROS': 0.0}
        self._items: dict[str, tuple[bool, str]] = {}

    def first(self, settings: Settings, first_ns: int) -> list[str]:
        """
        Return the two lines before the first frame.

        :param settings: the parameters of the node, whose limits become the condition.
        :param first_ns: time of the first frame in the recording, nanoseconds since the epoch.
        """
        condition = {'Threshold': settings.threshold, 'MinArea': settings.region_min_area,
                     'ConfirmHits': settings.alert_confirm_hits,
                     'ConfirmWindow': settings.alert_confirm_window,
                     'Anomalies': 'all alerted', 'FalseAlerts': 0}
        return [_line({'Condition': condition}),
                _line({'Result': {'Success': False, 'Summary': 'NoData'},
                       'Stamp': {'System': first_ns / 1e9}, 'Frame': {}})]

    def of_frame(self, frame: BagFrame, result: Result) -> str:
        """
        Return the line of the next processed frame.

        `Stamp` has the record time of the frame as `System` and its header stamp as `ROS`, in
        seconds, so the lines are the same each time.

        :param frame: the frame.
        :param result: its result.
        """
        found = FrameResult.of(frame.index, result)
        raised, _ = self._log.add(found)
        self._stamp = {'System': frame.time_ns / 1e9, 'ROS': frame.stamp_ns / 1e9}
        content: dict[str, Any] = {'FrameName': str(frame.index)}
        if self._truth:
            content |= self._judged(frame.index, found)
        content['Alerts'] = {'Info': {
            'Known': found.alerts is not None, 'Reason': result.unknown,
            'Raised': [event.alert.id for event in raised],
            'Boxes': [{'Id': alert.id, 'Label': alert.label, 'Score': round(alert.score, 4),
                       'Box': [round(value, 1) for value in alert.box]}
                      for alert in found.alerts or ()]}}
        return self._with_result(bool(self._truth), content)

    def last(self, figures: Mapping[str, Any], enough: bool) -> str:
        """
        Return the line after the last frame.

        :param figures: as `offline.evaluate` returns them.
        :param enough: whether enough frames could be used.
        """
        self._items['Frames'] = enough, (f'{figures["frames_processed"]} / '
                                         f'{figures["frames_recorded"]}')
        return self._with_result(True, {'Metrics': {
            name: value for name, value in figures.items() if name != 'definitions'}})

    def _judged(self, index: int, found: FrameResult) -> dict[str, Any]:
        """Return what the ground truth says about a frame, and keep the result so far."""
        assert self._truth is not None
        false = [event for event in self._log.events if event.is_false]
        alerted = set().union(*(event.objects for event in self._log.events))
        appeared = {number for number, first in self._appearances.items() if first <= index}
        missed = appeared - alerted
        self._items['FalseAlerts'] = not false, str(len(false))
        now = {event.alert.id for event in false if event.last == index}
        content = {'FalseAlerts': self._item('FalseAlerts', found, not now, {
            'Total': len(false), 'Ids': sorted(now, key=int)})}
        if self._truth.has_objects:
            here = self._truth.frames.get(index)
            hit = set().union(*(here.hits(alert.box) for alert in found.alerts or ())
                              ) if here else set()
            seen = appeared & set(here.objects if here else ())
            self._items['Anomalies'] = (
                not missed, f'{len(appeared) - len(missed)} / {len(appeared)}')
            content['Anomalies'] = self._item('Anomalies', found, seen <= hit, {
                'Visible': sorted(seen), 'Alerted': sorted(seen & hit),
                'MissedSoFar': sorted(missed)})
        return content

    def _item(self, name: str, found: FrameResult, passed: bool,
              info: Mapping[str, Any]) -> dict[str, Any]:
        frame = 'Unknown' if found.alerts is None else _word(passed)
        return {'Result': {'Total': _word(self._items[name][0]), 'Frame': frame}, 'Info': info}

    def _with_result(self, decided: bool, content: Mapping[str, Any]) -> str:
        success = decided and all(passed for passed, _ in self._items.values())
        summary = ', '.join(f'{name} ({_word(passed)}): {text}'
                            for name, (passed, text) in self._items.items()) or 'NotTested'
        return _line({
            'Result': {'Success': success,
                       'Summary': f'{"Passed" if success else "Failed"}: {summary}'},
            'Stamp': self._stamp, 'Frame': content})


def _word(passed: bool) -> str:
    return 'Success' if passed else 'Fail'


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, allow_nan=False)
