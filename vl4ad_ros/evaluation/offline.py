# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates every frame of a recording in order, offline, with the code that the node runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vl4ad_ros.evaluation.alert_metrics import AlertLog, FrameResult, score_alerts
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.figures import described, quality
from vl4ad_ros.evaluation.flagged_pixels import FlaggedPixels
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Pipeline, Result
from vl4ad_ros.settings import Settings


def evaluate(bag: CameraBag, detector: Detector, settings: Settings = Settings(),
             on_frame: Callable[[BagFrame, Result], None] = lambda frame, result: None,
             on_refused: Callable[[BagFrame, BagError], None] = lambda frame, error: None,
             pooled: PixelMetrics | None = None) -> dict[str, Any]:
    """
    Return the figures of a recording that do not depend on the speed of the machine.

    As in the node, a frame that cannot be decoded or has more than `image.max_pixels` pixels is
    refused: it is counted in `frames_refused`, and the evaluation goes on with the next frame.
    An alert is taken to be available at the time of its frame, so `time_to_alert_s` is a lower
    bound that a real machine does not reach.

    :param bag: the recording.
    :param detector: the model; `settings.model_bundle` and `settings.model_backend` are not used.
    :param settings: the parameters of the node: prompts, threshold, region and alert limits, the
        largest image, and the camera. TF is not read: `camera.height_m` and its like give the
        pose of the camera, or nothing is known in metres.
    :param on_frame: called after each processed frame with the frame and its result.
    :param on_refused: called for each refused frame with the frame and the reason.
    :param pooled: gets the pixels of this recording, too, for metrics over several recordings.
    :returns: figures by name, as `metrics.json` holds them (see docs/evaluation.md).
    :raises BagError: if the bag is damaged, or if every frame was refused.
    :raises VocabularyError: if the prompts cannot be used.
    :raises BackendError: if the inference fails.
    """
    prompts = detector.encode(settings.vocabulary(detector.default_vocabulary))
    pipeline, ground = Pipeline(), RecordedGround(bag, settings.mounting)
    truth = bag.truth()
    log, pixels, flagged = AlertLog(truth), PixelMetrics(), FlaggedPixels()
    results: list[FrameResult] = []
    refused: list[BagError] = []
    for frame, label, ids in bag.labelled_frames():
        motion = ground.motion(frame)
        try:
            image = bag.decode(frame, settings.image_max_pixels, settings.image_max_value)
        except BagError as error:
            refused.append(error)
            on_refused(frame, error)
            continue
        prediction = detector.detect(image, prompts)
        view = ground.view(frame, prediction.image_size, settings.mounting)
        result = pipeline.process(
            prediction, frame.stamp_ns, frame.time_ns, settings.limits, view, motion)
        results.append(FrameResult.of(frame.index, result))
        log.add(results[-1])
        if label is not None:
            bag.check_size(frame.index, label, prediction.score)
            for metrics in (pixels, pooled):
                if metrics is not None:
                    metrics.add(prediction.score, label)
            if ids is not None:
                flagged.add(prediction.mask(settings.threshold), label, ids)
        on_frame(frame, result)
    if not results:
        raise BagError(f'0 of {len(refused)} frames could be processed; the first: {refused[0]}')
    if ground.unknown:
        bag.notes.append(f'{ground.unknown} of {len(results)} frames have no positions in metres: '
                         f'{ground.reason}')
    counts = {'frames_recorded': len(results) + len(refused) + bag.lost,
              'frames_processed': len(results), 'frames_refused': len(refused),
              'frames_unknown': sum(r.alerts is None for r in results)}
    return described(
        counts | quality(bag, truth, log.events, pixels.result() if truth else None,
                         score_alerts(results, truth) if truth else None)
        | (flagged.figures(truth) if truth else {}),
        {'model': detector.bundle.name, 'backend': detector.backend.name})
