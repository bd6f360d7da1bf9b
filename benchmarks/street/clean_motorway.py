# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""False alerts on a clean motorway, with the node's defaults and its own pipeline."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.street.pasted_objects import THRESHOLD, threshold_that_keeps
from benchmarks.street.study_data import Skipped, StudyData
from benchmarks.street.subject import Subject
from tqdm import tqdm

from vl4ad_ros.obstacles.pipeline import Pipeline
from vl4ad_ros.settings import Settings

KEPT = 0.8
"""Share of the objects of at least 32 pixels that the threshold keeps."""


def measure(subject: Subject, data: StudyData) -> dict[str, float | None]:
    """
    Return the false alerts a minute at two thresholds, and the minutes of footage.

    One is the bundle's own threshold. The other keeps `KEPT` of the objects on validation
    streets; it needs CamVid and COCO instances.

    :raises Skipped: without footage.
    """
    limits = Settings().limits
    thresholds = {'shipped threshold': THRESHOLD}
    name = f'threshold that keeps {KEPT:.0%}'
    try:
        thresholds[name] = threshold_that_keeps(subject, data, KEPT)
    except Skipped as missing:
        print(f'Only the shipped threshold on clean roads: {missing}')
    prompts = subject.detector.encode(subject.detector.default_vocabulary)
    raised: dict[str, set[tuple[str, str]]] = {name: set() for name in thresholds}
    seconds = 0.0
    for path in data.videos:
        video = data.frames(path)
        pipelines = {name: Pipeline() for name in thresholds}
        frames = 0
        for time_ns, rgb in tqdm(video.frames(), f'clean road {path.name}', video.frame_count):
            frames += 1
            prediction = subject(rgb, prompts)
            for name, threshold in thresholds.items():
                # A stamp of 0 is unusable, so the first frame must not have it.
                result = pipelines[name].process(prediction, time_ns + 1, time_ns + 1, replace(
                    limits, regions=replace(limits.regions, threshold=threshold)))
                raised[name] |= {(path.name, alert.id) for alert in result.alerts or ()}
        seconds += frames / video.rate_hz
    figures: dict[str, float | None] = {
        f'alerts a minute, {name}': 60 * len(alerts) / seconds for name, alerts in raised.items()}
    return {**figures, **{f'score of the {name}': t for name, t in thresholds.items()},
            'minutes': seconds / 60}
