# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose the threshold of a bundle on validation pictures and drives."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.evaluation.alert_metrics import FrameResult, score_alerts, Truth, TruthFrame
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.obstacles.pipeline import Limits, Pipeline
from vl4ad_ros.obstacles.regions import RegionLimits
from vl4ad_workshop.demo.sample_drive import ROAD_AHEAD, TRACK_LIMITS
from vl4ad_workshop.scenes.drive import Drive
from vl4ad_workshop.scenes.kinds import kinds_in
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.drawn.selection import anomaly_labels
from vl4ad_workshop.training.score_curve import knots

THRESHOLDS = np.linspace(-0.8, -0.04, 20)


@dataclass(frozen=True)
class Choice:
    """
    The chosen threshold and its result on the validation drives.

    :ivar threshold: uncertainty above which a pixel is anomalous.
    :ivar missed: number of anomalies without an alert.
    :ivar false_alerts: number of alerts without an anomaly.
    :ivar anomalies: number of anomalies.
    """

    threshold: float
    missed: int
    false_alerts: int
    anomalies: int


def calibrate(bundle: Path, pictures: PictureSet, drives: Sequence[Drive]) -> Choice:
    """
    Choose the calibration on validation data and write it to the manifest.

    The score is 0.5 at the threshold with the fewest missed anomalies plus false alerts on
    `drives`, with the demo's limits. It is 0 at the median of normal pixels, and 1 near the
    largest uncertainty of anomalous pixels.

    :param bundle: folder of the bundle, whose manifest is replaced.
    :param pictures: validation pictures.
    :param drives: validation drives.
    """
    detector = Detector.open(bundle)
    prompts = detector.encode(detector.default_vocabulary)
    anomalies = {k.name for k in kinds_in('masks', 'words', 'unseen')}
    normal, anomalous = [], []
    for image, segments, kinds in zip(pictures.images, pictures.segments, pictures.kinds):
        prediction = detector.detect(np.asarray(image), prompts)
        u = prediction.letterbox.to_image(prediction.uncertainty)
        label = anomaly_labels(segments, kinds, anomalies)
        normal.append(u[label == 0])
        anomalous.append(u[label == 1])
    ends = (float(np.median(np.concatenate(normal))),
            float(np.quantile(np.concatenate(anomalous), 0.99)))
    choice = choose_threshold(detector, drives, ends)
    detector.close()
    manifest = json.loads((bundle / 'manifest.json').read_text())
    del manifest['files']
    manifest['calibration'] = knots(*ends, choice.threshold)
    write_manifest(bundle, manifest)
    return choice


def choose_threshold(detector: Detector, drives: Sequence[Drive],
                     ends: tuple[float, float]) -> Choice:
    """Return the threshold with the fewest missed anomalies plus false alerts."""
    prompts = detector.encode(detector.default_vocabulary)
    counts = np.zeros((len(THRESHOLDS), 3), int)
    for number, drive in enumerate(drives):
        predictions: list[Prediction] = []
        truths: dict[int, TruthFrame] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            frames = pool.map(drive.draw, range(len(drive)))
            for i, shot in enumerate(tqdm(frames, f'validation drive {number + 1}', len(drive))):
                predictions.append(detector.detect(shot.frame.image, prompts))
                truths[i] = TruthFrame.of(shot.anomaly, shot.anomaly_ids)
        truth = Truth(truths, [int(1e9 * i / drive.rate_hz) for i in range(len(drive))])
        for row, threshold in zip(counts, THRESHOLDS):
            row += _alert_counts(predictions, truth, knots(*ends, float(threshold)))
    cost = counts[:, 0] + counts[:, 1]
    # If several thresholds are best, the middle one is the most robust choice.
    winner = np.flatnonzero(cost == cost.min())
    winner = int(winner[len(winner) // 2])
    missed, false_alerts, anomalies = map(int, counts[winner])
    return Choice(float(THRESHOLDS[winner]), missed, false_alerts, anomalies)


def _alert_counts(predictions: Sequence[Prediction], truth: Truth,
                  calibration: dict[str, list[float]]) -> np.ndarray:
    """Return missed anomalies, false alerts and anomalies of one drive."""
    curve = Calibration(tuple(calibration['u']), tuple(calibration['score']))
    pipeline, limits = Pipeline(), Limits(RegionLimits(roi=ROAD_AHEAD), TRACK_LIMITS)
    # A stamp of 0 means that there is none, so the pipeline uses the bag time.
    results = [FrameResult.of(i, pipeline.process(
        replace(prediction, calibration=curve), 0, truth.times_ns[i], limits))
        for i, prediction in enumerate(predictions)]
    scores = score_alerts(results, truth)
    return np.array([len(scores.anomalies) - len(scores.found), len(scores.false_events),
                     len(scores.anomalies)])
