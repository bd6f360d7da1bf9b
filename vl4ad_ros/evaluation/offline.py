# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every frame of a bag, in order, through the code that the node runs, but offline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vl4ad_ros.evaluation.alert_metrics import Alert, AlertLog, FrameResult, score_alerts
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.replay import described, quality
from vl4ad_ros.obstacles.monitor import ObstacleMonitor
from vl4ad_ros.runtime.detector import Detector


def evaluate(bag: CameraBag, detector: Detector,
             on_frame: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """
    Return the figures of `metrics.json` that do not depend on time.

    Uses the bundle's own vocabulary and the default limits, as the node does by default. Alerts
    are as old as their frames: `time_to_alert_s` is what an infinitely fast machine would reach.

    :param on_frame: called after each frame.
    :raises BagError: if a frame cannot be decoded.
    """
    prompts = detector.encode(detector.default_vocabulary)
    monitor = ObstacleMonitor()
    truth = bag.truth()
    log, pixels = AlertLog(truth), PixelMetrics()
    results = []
    maps = bag.truth_maps() if truth else iter(())
    ahead = next(maps, None)
    for index, image in enumerate(bag.images()):
        prediction = detector.detect(image, prompts)
        alerts = tuple(
            Alert(str(t.id), prediction.class_in(t.region.box)[1] or 'anomaly', t.region.score,
                  t.region.box) for t in monitor.update(prediction.score).confirmed)
        results.append(FrameResult(index, 0, alerts))
        log.add(results[-1])
        if ahead and ahead[0] == index:
            pixels.add(prediction.score, ahead[1])
            ahead = next(maps, None)
        on_frame()
    found = quality(bag.duration_s, log.events, pixels.result() if truth else None,
                    score_alerts(results, truth) if truth else None)
    return described({'frames_processed': len(results), **found},
                     {'model': detector.bundle.name, 'backend': detector.backend.name})
