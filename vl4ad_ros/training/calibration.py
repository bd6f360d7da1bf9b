# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose ensemble weights and the threshold of a bundle on validation pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
import itertools
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.runtime.bundle import write_manifest
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.scenes.kinds import KINDS
from vl4ad_ros.training.pictures import PictureSet

# Exponents of the out-of-vocabulary classifier that are tried; FC-CLIP's are 0.4 and 0.8.
ALPHAS, BETAS = (0.0, 0.2, 0.4), (0.0, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class Choice:
    """What validation chose: exponents, the uncertainty of best F1, and the AP reached."""

    alpha: float
    beta: float
    threshold: float
    ap: float


def anomaly_labels(segments: np.ndarray, kinds: list[str]) -> np.ndarray:
    """Label pixels of a picture: 1 where the kind is no known one, 255 where ignored, else 0."""
    table = np.array([KINDS[k].group != 'known' for k in kinds] + [255], np.int16)
    table[-1] = 255
    return table[segments].astype(np.uint8)


def calibrate(bundle: Path, pictures: PictureSet) -> Choice:
    """
    Rewrite the manifest's ensemble and calibration by what does best on `pictures`.

    The ensemble is the one of highest AP with the bundle's own prompts; the score 0.5 is put
    at the uncertainty of highest pixel F1, 0 and 1 at the ends of the range seen.
    """
    detector = Detector.open(bundle)
    labels = np.stack([anomaly_labels(s, k) for s, k in zip(pictures.segments, pictures.kinds)])
    best, best_u = None, None
    for alpha, beta in tqdm(list(itertools.product(ALPHAS, BETAS)), 'ensemble weights'):
        u = uncertainties(detector, pictures, alpha, beta)
        metrics = PixelMetrics()
        for score, label in zip(u, labels):
            metrics.add(score, label)
        ap = metrics.result().ap or 0.0
        if best is None or ap > best.ap:
            best, best_u = Choice(alpha, beta, 0.0, ap), u
    detector.close()
    best = replace(best, threshold=best_f1_threshold(best_u[labels != 255],
                                                     labels[labels != 255] == 1))
    path = bundle / 'manifest.json'
    manifest = json.loads(path.read_text())
    manifest['ensemble'].update(alpha=best.alpha, beta=best.beta)
    low, high = float(np.quantile(best_u, 0.001)), float(np.quantile(best_u, 0.999))
    manifest['calibration'] = {
        'u': [round(v, 4) for v in (min(low, best.threshold - 0.1), best.threshold,
                                    max(high, best.threshold + 0.01))],
        'score': [0.0, 0.5, 1.0]}
    write_manifest(bundle, {k: v for k, v in manifest.items() if k != 'files'})
    return best


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


def best_f1_threshold(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Return the score above which F1 is highest; `scores` (n,) float, `anomalous` (n,) bool."""
    order = np.argsort(-scores.astype(np.float32), kind='stable')
    hits = np.cumsum(anomalous[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + anomalous.sum())
    return float(scores[order[int(f1.argmax())]])
