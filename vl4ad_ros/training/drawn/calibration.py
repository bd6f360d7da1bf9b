# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose ensemble weights and threshold of a bundle on validation pictures and drives."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
import itertools
import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.alert_metrics import Alert, FrameResult, score_alerts, Truth, TruthFrame
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.sample_drive import ROAD_AHEAD, TRACK_LIMITS
from vl4ad_ros.obstacles.monitor import ObstacleMonitor
from vl4ad_ros.obstacles.regions import RegionLimits
from vl4ad_ros.runtime.bundle import Calibration, write_manifest
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.runtime.letterbox import Letterbox
from vl4ad_ros.scenes.drive import Drive
from vl4ad_ros.scenes.kinds import KINDS
from vl4ad_ros.training.drawn.pictures import PictureSet

# Exponents of the out-of-vocabulary classifier that are tried; FC-CLIP's are 0.4 and 0.8.
ALPHAS, BETAS = (0.0, 0.2, 0.4), (0.0, 0.2, 0.4, 0.8)
THRESHOLDS = np.linspace(-0.8, -0.04, 20)


@dataclass(frozen=True)
class Choice:
    """
    What validation chose.

    :ivar alpha, beta: exponents of the ensemble. :ivar ap: pixel AP with them.
    :ivar threshold: uncertainty above which a pixel is anomalous.
    :ivar missed, false_alerts, anomalies: on the drives, with that threshold.
    """

    alpha: float
    beta: float
    ap: float
    threshold: float = 0.0
    missed: int = 0
    false_alerts: int = 0
    anomalies: int = 0


def anomaly_labels(segments: np.ndarray, kinds: list[str]) -> np.ndarray:
    """Label pixels of a picture: 1 where the kind is no known one, 255 where ignored, else 0."""
    table = np.array([KINDS[k].group != 'known' for k in kinds] + [255], np.int16)
    table[-1] = 255
    return table[segments].astype(np.uint8)


def calibrate(bundle: Path, pictures: PictureSet, drives: Sequence[Drive]) -> Choice:
    """
    Rewrite the manifest's ensemble and calibration by what does best on validation data.

    The ensemble is the one of highest pixel AP on `pictures` with the bundle's own prompts. The
    score 0.5 is put where, on `drives` and with the demo's limits, missed anomalies and false
    alerts together are fewest;
    0 at the median of normal pixels and 1 near the top of the range.
    """
    detector = Detector.open(bundle)
    labels = np.stack([anomaly_labels(s, k) for s, k in zip(pictures.segments, pictures.kinds)])
    choices, normal, top = [], {}, {}
    for alpha, beta in tqdm(list(itertools.product(ALPHAS, BETAS)), 'ensemble weights'):
        u = uncertainties(detector, pictures, alpha, beta)
        metrics = PixelMetrics()
        for score, label in zip(u, labels):
            metrics.add(score, label)
        choices.append(Choice(alpha, beta, metrics.result().ap or 0.0))
        normal[alpha, beta] = float(np.median(u[labels == 0]))
        top[alpha, beta] = float(np.quantile(u[labels == 1], 0.99))
    detector.close()
    best = max(choices, key=lambda c: c.ap)
    ends = normal[best.alpha, best.beta], top[best.alpha, best.beta]
    path = bundle / 'manifest.json'
    manifest = json.loads(path.read_text())
    del manifest['files']
    manifest['ensemble'].update(alpha=best.alpha, beta=best.beta)
    write_manifest(bundle, manifest)
    best = choose_threshold(Detector.open(bundle), drives, best, ends)
    manifest['calibration'] = knots(*ends, best.threshold)
    write_manifest(bundle, manifest)
    return best


def knots(normal: float, top: float, threshold: float) -> dict[str, list[float]]:
    """Return the manifest's calibration: `normal` is 0, `threshold` 0.5, `top` 1."""
    u = (min(normal, threshold - 0.05), threshold, max(top, threshold + 0.02))
    return {'u': [round(v, 4) for v in u], 'score': [0.0, 0.5, 1.0]}


def choose_threshold(detector: Detector, drives: Sequence[Drive], choice: Choice,
                     ends: tuple[float, float]) -> Choice:
    """Return `choice` with the threshold of fewest missed anomalies and false alerts."""
    prompts = detector.encode(detector.default_vocabulary)
    counts = np.zeros((len(THRESHOLDS), 3), int)
    for number, drive in enumerate(drives):
        maps: list[tuple[np.ndarray, Letterbox]] = []
        truths: dict[int, TruthFrame] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            frames = pool.map(drive.draw, range(len(drive)))
            for i, shot in enumerate(tqdm(frames, f'validation drive {number + 1}', len(drive))):
                prediction = detector.detect(shot.frame.image, prompts)
                maps.append((prediction.uncertainty, prediction.letterbox))
                truths[i] = TruthFrame.of(shot.anomaly, shot.anomaly_ids)
        truth = Truth(truths, [int(1e9 * i / drive.rate_hz) for i in range(len(drive))])
        for row, threshold in zip(counts, THRESHOLDS):
            row += _alert_counts(maps, truth, knots(*ends, float(threshold)))
    cost = counts[:, 0] + counts[:, 1]
    # The middle of the best stretch is the least likely to be best by accident.
    winner = np.flatnonzero(cost == cost.min())
    winner = int(winner[len(winner) // 2])
    missed, false_alerts, anomalies = map(int, counts[winner])
    return replace(choice, threshold=float(THRESHOLDS[winner]), missed=missed,
                   false_alerts=false_alerts, anomalies=anomalies)


def _alert_counts(maps: Sequence[tuple[np.ndarray, Letterbox]], truth: Truth,
                  calibration: dict[str, list[float]]) -> np.ndarray:
    """Return missed anomalies, false alerts and anomalies of one drive."""
    curve = Calibration(tuple(calibration['u']), tuple(calibration['score']))
    monitor = ObstacleMonitor(RegionLimits(roi=ROAD_AHEAD), TRACK_LIMITS)
    results = []
    for i, (u, letterbox) in enumerate(maps):
        confirmed = monitor.update(letterbox.to_image(curve(u))).confirmed
        results.append(FrameResult(i, 0, tuple(
            Alert(str(t.id), '', t.region.score, t.region.box) for t in confirmed)))
    scores = score_alerts(results, truth)
    return np.array([len(scores.anomalies) - len(scores.found), len(scores.false_events),
                     len(scores.anomalies)])


def uncertainties(detector: Detector, pictures: PictureSet, alpha: float,
                  beta: float) -> np.ndarray:
    """Return u (n, H, W) float16 of every picture with the bundle's prompts."""
    prompts = detector.encode(detector.default_vocabulary)
    seen = detector.bundle.ensemble.seen
    weight = np.zeros_like(prompts.ensemble_weight)
    for i, c in enumerate(prompts.vocabulary.classes):
        weight[i] = beta if seen.isdisjoint(c.concepts) else alpha
    prompts = replace(prompts, ensemble_weight=weight)
    out = np.empty(pictures.segments.shape, np.float16)
    for i, image in enumerate(pictures.images):
        prediction = detector.detect(np.asarray(image), prompts)
        out[i] = prediction.letterbox.to_image(prediction.uncertainty)
    return out
