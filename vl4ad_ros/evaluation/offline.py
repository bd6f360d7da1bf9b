# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every frame of a bag, in order, through the code that the node runs, but offline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vl4ad_ros.evaluation.alert_metrics import AlertLog, FrameResult, score_alerts
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.replay_result import described, quality
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Pipeline, Result
from vl4ad_ros.settings import Settings


def evaluate(bag: CameraBag, detector: Detector, settings: Settings = Settings(),
             on_frame: Callable[[int, Result], None] = lambda stamp_ns, result: None,
             ) -> dict[str, Any]:
    """
    Return the figures of `metrics.json` that do not depend on time.

    Alerts are as old as their frames: `time_to_alert_s` is what an infinitely fast machine would
    reach.

    :param settings: the node's parameters: prompts, threshold, regions and alerts count; the model
        is that of `detector`.
    :param on_frame: called after each frame with its stamp, ns, and result.
    :raises BagError: if a frame cannot be decoded.
    :raises VocabularyError: if the prompts cannot be used.
    """
    prompts = detector.encode(settings.vocabulary(detector.default_vocabulary))
    pipeline = Pipeline()
    truth = bag.truth()
    log, pixels = AlertLog(truth), PixelMetrics()
    results = []
    maps = bag.truth_maps() if truth else iter(())
    ahead = next(maps, None)
    for frame in bag.frames():
        prediction = detector.detect(bag.decode(frame), prompts)
        result = pipeline.process(prediction, frame.stamp_ns, frame.time_ns, settings.limits)
        results.append(FrameResult.of(frame.index, result))
        log.add(results[-1])
        if ahead and ahead[0] == frame.index:
            pixels.add(prediction.score, ahead[1])
            ahead = next(maps, None)
        on_frame(frame.stamp_ns, result)
    found = quality(bag.duration_s, log.events, pixels.result() if truth else None,
                    score_alerts(results, truth) if truth else None)
    return described(
        {'frames_processed': len(results),
         'frames_unknown': sum(r.alerts is None for r in results), **found},
        {'model': detector.bundle.name, 'backend': detector.backend.name})
