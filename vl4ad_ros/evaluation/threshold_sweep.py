# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts alerts at many thresholds at once, while the network runs once for each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vl4ad_ros.evaluation.alert_metrics import AlertLog, FrameResult
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Limits, Pipeline
from vl4ad_ros.settings import Settings

THRESHOLDS = (0.99, *(step / 50 for step in range(49, 0, -1)))
"""The thresholds that are tried, from the highest to the lowest: 0.99, 0.98, 0.96, ..., 0.02."""
LARGER_AREAS = (8, 4, 2)
"""Multiples of `region.min_area` that are tried with the highest threshold, the largest first."""


@dataclass(frozen=True)
class Candidate:
    """
    The limits that are tried together.

    :ivar threshold: score, 0 to 1, above which a pixel is anomalous.
    :ivar min_area: share of the image, 0 to 1, that a region must have.
    """

    threshold: float
    min_area: float


def candidates(min_area: float) -> tuple[Candidate, ...]:
    """
    Return what is tried, the most cautious limits first.

    The order is fixed before any data are seen, because the bound on false alerts needs that.
    Larger regions are only asked for with the highest threshold, so that small obstacles stay
    visible wherever the threshold alone is enough.

    :param min_area: `region.min_area` of the parameters.
    """
    large = dict.fromkeys(min(1.0, factor * min_area) for factor in LARGER_AREAS)
    return (*(Candidate(THRESHOLDS[0], area) for area in large if area > min_area),
            *(Candidate(threshold, min_area) for threshold in THRESHOLDS))


@dataclass(frozen=True, eq=False)
class SweepCounts:
    """
    What one recording gave at each of C candidates; it can be pickled.

    :ivar recording: the recording, as the user named it.
    :ivar seconds: recorded time in which a false alert would have been counted: the frames whose
        alerts were known, and which had a label if the recording has ground truth.
    :ivar frames: number of frames that were processed.
    :ivar false_alerts: int64 (C,), false alerts. Without ground truth all alerts are false.
    :ivar found: bool (objects, C), whether an alert overlapped the object; without rows if the
        recording has no objects with ids.
    """

    recording: str
    seconds: float
    frames: int
    false_alerts: np.ndarray
    found: np.ndarray


def sweep(name: str, bag: CameraBag, detector: Detector, settings: Settings,
          tried: Sequence[Candidate],
          on_frame: Callable[[BagFrame], None] = lambda frame: None,
          on_refused: Callable[[BagFrame, BagError], None] = lambda frame, error: None
          ) -> SweepCounts:
    """
    Count false alerts and found objects of a recording with each candidate.

    Regions, tracks and alerts are those of the node: each candidate has a pipeline of its own, and
    all get the same predictions. `offline.evaluate` with the limits of one candidate gives the
    same numbers.

    :param name: the recording, as the user named it.
    :param bag: the recording.
    :param detector: the model.
    :param settings: the parameters of the node; `threshold` and `region.min_area` are those of the
        candidates.
    :param tried: the candidates.
    :param on_frame: called after each processed frame.
    :param on_refused: called for each frame that cannot be used, with the reason.
    :raises BagError: if the bag is damaged, or if no frame could be used.
    """
    prompts = detector.encode(settings.vocabulary(detector.default_vocabulary))
    truth, ground = bag.truth(), RecordedGround(bag, settings)
    runs = [(_limits(settings, one), Pipeline(), AlertLog(truth)) for one in tried]
    frames = judged = 0
    for frame in bag.frames():
        motion = ground.motion(frame)
        try:
            image = bag.decode(frame, settings.image_max_pixels, settings.image_max_value)
        except BagError as error:
            on_refused(frame, error)
            continue
        # Names of alerts do not matter here and take time.
        prediction = replace(detector.detect(image, prompts), anomaly_mass=None)
        view = ground.view(frame, prediction.image_size)
        known = False
        for limits, pipeline, log in runs:
            result = pipeline.process(
                prediction, frame.stamp_ns, frame.time_ns, limits, view, motion)
            log.add(FrameResult.of(frame.index, result))
            known = result.alerts is not None  # This depends on the stamps only.
        frames += 1
        judged += known and (truth is None or frame.index in truth.frames)
        on_frame(frame)
    if not frames:
        raise BagError(f'0 of {len(bag.times_ns)} frames of {name} could be processed')
    appeared = list(truth.appearances()) if truth else []
    return SweepCounts(
        name, bag.duration_s * judged / len(bag.times_ns), frames,
        np.array([sum(event.is_false for event in log.events) if truth else len(log.events)
                  for _, _, log in runs], np.int64),
        np.array([[any(number in event.objects for event in log.events) for _, _, log in runs]
                  for number in appeared], bool).reshape(len(appeared), len(runs)))


def _limits(settings: Settings, candidate: Candidate) -> Limits:
    return settings.changed({'threshold': candidate.threshold,
                             'region.min_area': candidate.min_area}).limits
