# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates every frame of a recording in order, offline, with the code that the node runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
import time
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.alert_metrics import (
    Alert, AlertEvent, AlertLog, AlertScores, FrameResult, MIN_PIXELS, score_alerts, Truth)
from vl4ad_ros.evaluation.approach import Approach
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.distance_error import distance_pairs
from vl4ad_ros.evaluation.driven_way import driven_way
from vl4ad_ros.evaluation.figures import described, quality
from vl4ad_ros.evaluation.flagged_pixels import FlaggedPixels
from vl4ad_ros.evaluation.moments import find_alerts, find_misses, reported
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.evaluation.recording_result import (
    AlertRow, FrameRow, Moment, ObjectRow, RecordingResult)
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.obstacles.pipeline import Pipeline, Result
from vl4ad_ros.settings import Settings
from vl4ad_ros.signals import undisturbed

_QUANTILE = 0.999
"""Share of the cells of a picture whose score is at most that of the timeline."""


@dataclass(frozen=True, eq=False)
class EvaluatedFrame:
    """
    One processed frame with everything that was computed for it.

    :ivar frame: the camera message.
    :ivar image: (H, W, 3) uint8 RGB.
    :ivar prediction: what the detector returned.
    :ivar result: its detections and alerts.
    :ivar label: (H, W) uint8 with 0 for normal, 1 for anomalous and 255 for ignored pixels; None
        without ground truth for this frame.
    :ivar seconds: time from the stored message to the alerts, by the clock of this process.
    """

    frame: BagFrame
    image: np.ndarray
    prediction: Prediction
    result: Result
    label: np.ndarray | None
    seconds: float


class OfflineRun:
    """
    Evaluates one recording, and can be asked for the result of the frames so far at any time.

    As in the node, a frame that cannot be decoded or has more than `image.max_pixels` pixels is
    refused: it is counted in `frames_refused`, and the evaluation goes on with the next frame.
    An alert is taken to be available at the time of its frame, so `time_to_alert_s` is a lower
    bound that a real machine does not reach.
    """

    def __init__(self, bag: CameraBag, detector: Detector,
                 settings: Settings = Settings()) -> None:
        """
        Read the ground truth and encode the prompts.

        :param bag: the recording.
        :param detector: the model; `settings.model_bundle` and `settings.model_backend` are not
            used.
        :param settings: the parameters of the node: prompts, threshold, region and alert limits,
            the largest image, and the camera. If `camera.height_m` and its like do not give the
            pose of the camera, the TF of the recording does.
        :raises BagError: if the ground truth cannot be read or does not belong to the frames.
        :raises VocabularyError: if the prompts cannot be used.
        """
        self._bag, self._detector, self._settings = bag, detector, settings
        self._prompts = detector.encode(settings.vocabulary(detector.default_vocabulary))
        self._pipeline, self._ground = Pipeline(), RecordedGround(bag, settings)
        self._truth = bag.truth()
        self._pixels, self._flagged = PixelMetrics(), FlaggedPixels()
        self._results: list[FrameResult] = []
        self._rows: list[FrameRow] = []
        self._refused: list[BagError] = []

    @property
    def frames_read(self) -> int:
        """Number of frames that were processed or refused so far."""
        return len(self._results) + len(self._refused)

    @property
    def alerts(self) -> dict[int, tuple[Alert, ...]]:
        """The alerts of the frames so far, by the index of the frame; empty if unknown."""
        return {result.index: result.alerts or () for result in self._results}

    def run(self, on_frame: Callable[[EvaluatedFrame], None] = lambda frame: None,
            on_refused: Callable[[BagFrame, BagError], None] = lambda frame, error: None) -> None:
        """
        Evaluate all frames.

        Ctrl-C and SIGTERM take effect between two frames, so that the result of those before is
        whole.

        :param on_frame: called after each processed frame.
        :param on_refused: called for each refused frame with the frame and the reason.
        :raises BagError: if the bag is damaged.
        :raises BackendError: if the inference fails.
        """
        for frame, label, ids in self._bag.labelled_frames():
            with undisturbed():
                motion = self._ground.motion(frame)
                began = time.perf_counter()
                try:
                    image = self._bag.decode(frame, self._settings.image_max_pixels,
                                             self._settings.image_max_value)
                except BagError as error:
                    self._refused.append(error)
                    on_refused(frame, error)
                    continue
                prediction = self._detector.detect(image, self._prompts)
                view = self._ground.view(frame, prediction.image_size)
                result = self._pipeline.process(prediction, frame.stamp_ns, frame.time_ns,
                                                self._settings.limits, view, motion)
                seconds = time.perf_counter() - began
                self._add(frame, prediction, result, label, ids)
                on_frame(EvaluatedFrame(frame, image, prediction, result, label, seconds))

    def result(self, name: str = '') -> RecordingResult:
        """
        Return the result of the frames so far.

        :param name: name of the recording without its folder.
        :raises BagError: if every frame was refused.
        """
        if not self._results:
            first = f'; the first: {self._refused[0]}' if self._refused else ''
            raise BagError(f'0 of {self.frames_read} frames could be processed{first}')
        self._note_ground()
        complete = self.frames_read == len(self._bag.times_ns)
        truth = self._truth_so_far()
        events = self._events(truth)
        scores = score_alerts(self._results, truth) if truth else None
        way = driven_way(self._bag, self._settings.ground_frame_id, self.frames_read)
        pairs = distance_pairs(self._results, truth, way.distances) if truth else []
        counts = {'frames_recorded': self.frames_read + self._bag.lost,
                  'frames_processed': len(self._results), 'frames_refused': len(self._refused),
                  'frames_unknown': sum(r.alerts is None for r in self._results)}
        figures = described(
            counts | quality(self._bag, truth, events, self._pixels.result() if truth else None,
                             scores, way, pairs, self.frames_read)
            | (self._flagged.figures(truth) if truth else {}),
            {'model': self._detector.bundle.name, 'backend': self._detector.backend.name})
        return RecordingResult(
            str(self._bag.path), figures, self._pixels.counts, True, name, complete,
            tuple(self._rows), self._alert_rows(events), self._object_rows(truth, scores),
            self._moments(truth, scores, events), tuple(
                (round(p.published_m, 3), round(p.true_m, 3)) for p in pairs))

    def path_ahead(self, frame: BagFrame, reach_m: float) -> np.ndarray:
        """Return where the vehicle went after a frame; see `RecordedGround.path_ahead`."""
        return self._ground.path_ahead(frame, reach_m)

    def score(self, image: np.ndarray) -> Prediction:
        """Return the prediction for a single image, (H, W, 3) uint8 RGB, with the same prompts."""
        return self._detector.detect(image, self._prompts)

    def _add(self, frame: BagFrame, prediction: Prediction, result: Result,
             label: np.ndarray | None, ids: np.ndarray | None) -> None:
        self._results.append(FrameResult.of(frame.index, result))
        mask = prediction.mask(self._settings.threshold)
        cells = prediction.cell_score.ravel()
        place = int(_QUANTILE * (cells.size - 1))
        self._rows.append(FrameRow(
            frame.index, round(self._seconds(frame.index), 3),
            round(float(np.partition(cells, place)[place]), 4),
            round(float(np.count_nonzero(mask) / mask.size), 5)))
        if label is None:
            return
        self._bag.check_size(frame.index, label, prediction.score)
        self._pixels.add(prediction.score, label)
        if ids is not None:
            self._flagged.add(mask, label, ids)

    def _note_ground(self) -> None:
        """Note in the recording, once, how many of the frames so far have no positions."""
        ground = self._ground
        if ground.unknown:
            self._bag.note(f'{ground.unknown} of {len(self._results)} frames have no positions '
                           f'in metres: {ground.reason}')

    def _seconds(self, index: int) -> float:
        return (self._bag.times_ns[index] - self._bag.times_ns[0]) / 1e9

    def _truth_so_far(self) -> Truth | None:
        """Return the ground truth without the frames that were not read yet."""
        truth = self._truth
        return truth and replace(truth, frames={
            index: frame for index, frame in truth.frames.items() if index < self.frames_read})

    def _events(self, truth: Truth | None) -> list[AlertEvent]:
        log = AlertLog(truth)
        for result in self._results:
            log.add(result)
        return log.events

    def _alert_rows(self, events: list[AlertEvent]) -> tuple[AlertRow, ...]:
        rows, by_id = [], reported(self._results)
        for event in events:
            reports = [alert for index, alert in by_id[event.alert.id]
                       if event.first <= index <= event.last]
            rows.append(AlertRow(
                event.alert.id, event.alert.label, round(self._seconds(event.first), 3),
                round(self._seconds(event.last), 3), len(reports),
                round(max(alert.score for alert in reports), 4), _verdict(event),
                **asdict(Approach.of(reports))))
        return tuple(rows)

    def _object_rows(self, truth: Truth | None, scores: AlertScores | None
                     ) -> tuple[ObjectRow, ...]:
        if truth is None or scores is None or not truth.has_objects:
            return ()
        rows = []
        for number in sorted(scores.anomalies):
            sizes = {index: frame.objects[number][0] for index, frame in truth.frames.items()
                     if number in frame.objects}
            large = [index for index, pixels in sizes.items() if pixels >= MIN_PIXELS]
            seconds = scores.seconds.get(number)
            rows.append(ObjectRow(
                number, truth.name(number), round(self._seconds(min(large)), 3),
                round(self._seconds(max(large)), 3), max(sizes.values()),
                None if seconds is None else round(seconds, 3)))
        return tuple(rows)

    def _moments(self, truth: Truth | None, scores: AlertScores | None,
                 events: list[AlertEvent]) -> tuple[Moment, ...]:
        times_ns = self._bag.times_ns
        if truth is None or scores is None:
            return tuple(find_alerts(self._results, events, 'alert', times_ns))
        return (*find_misses(self._results, truth, scores, times_ns[0]),
                *find_alerts(self._results, scores.false_events, 'false alert', times_ns))


def evaluate(bag: CameraBag, detector: Detector, settings: Settings = Settings(),
             on_frame: Callable[[BagFrame, Result], None] = lambda frame, result: None,
             on_refused: Callable[[BagFrame, BagError], None] = lambda frame, error: None
             ) -> dict[str, Any]:
    """
    Return the figures of a recording that do not depend on the speed of the machine.

    :param bag: the recording.
    :param detector: the model, as `OfflineRun` takes it.
    :param settings: the parameters of the node, as `OfflineRun` takes them.
    :param on_frame: called after each processed frame with the frame and its result.
    :param on_refused: called for each refused frame with the frame and the reason.
    :returns: figures by name, as `metrics.json` holds them (see docs/evaluation.md).
    :raises BagError: if the bag is damaged, or if every frame was refused.
    :raises VocabularyError: if the prompts cannot be used.
    :raises BackendError: if the inference fails.
    """
    run = OfflineRun(bag, detector, settings)
    run.run(lambda done: on_frame(done.frame, done.result), on_refused)
    return dict(run.result().figures)


def _verdict(event: AlertEvent) -> str:
    if not event.judged:
        return 'unknown'
    if event.objects:
        return 'true'
    return 'ignored' if event.excused else 'false'
