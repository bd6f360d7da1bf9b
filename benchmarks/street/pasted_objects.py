# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pasted objects: unusual ones by their height, and known things that are flagged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.street.study_data import Skipped, StudyData
from benchmarks.street.subject import Subject
import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, PixelMetrics
from vl4ad_ros.inference.detector import Prediction
from vl4ad_workshop.training.street.calibration import cell_truth
from vl4ad_workshop.training.street.cells import at_cells
from vl4ad_workshop.training.street.composites import Composite

BINS = ((0, 24), (24, 48), (48, 96), (96, 10000))
"""Heights in pixels of the network's input, from and below."""
THRESHOLD = 0.5
"""The default threshold of the node, which the bundle's score curve refers to."""
COUNTED = 32
"""Height in pixels from which on an object counts for the share that is kept."""


@dataclass
class ObjectFigures:
    """
    What is counted of composites.

    :ivar by_height: metrics of the objects of each bin against all normal cells.
    :ivar large: the same of all objects of at least 48 pixels.
    :ivar medians: median score of each unusual object that counts.
    :ivar flagged: share of the cells above the threshold of each known thing, by name.
    """

    by_height: list[PixelMetrics] = field(
        default_factory=lambda: [PixelMetrics(exact=True) for _ in BINS])
    large: PixelMetrics = field(default_factory=lambda: PixelMetrics(exact=True))
    medians: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [0] * len(BINS))
    flagged: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def add(self, prediction: Prediction, composite: Composite) -> None:
        """Add what the network says of a composite."""
        instances = at_cells(composite.instances, prediction.letterbox)
        labels = at_cells(composite.picture.labels, prediction.letterbox)
        truth = cell_truth(composite, instances, labels)
        heights = np.array([0.0, *(p.height for p in composite.placed)])[instances]
        self.large.add(prediction.uncertainty, only(truth, heights >= BINS[2][0]))
        for metrics, (low, high) in zip(self.by_height, BINS):
            metrics.add(prediction.uncertainty, only(truth, (heights >= low) & (heights < high)))
        for number, placed in enumerate(composite.placed, 1):
            scores = prediction.cell_score[instances == number]
            if not scores.size:
                continue
            if placed.known:
                self.flagged[placed.name].append(scores > THRESHOLD)
                continue
            place = next(i for i, (low, high) in enumerate(BINS) if low <= placed.height < high)
            self.counts[place] += 1
            if placed.height >= COUNTED:
                self.medians.append(float(np.median(scores)))

    def result(self) -> dict[str, float | None]:
        """Return AP in 0..1 by height, with the numbers of objects."""
        figures: dict[str, float | None] = {'AP, 48 px and more': self.large.result().ap}
        for metrics, (low, high), count in zip(self.by_height, BINS, self.counts):
            name = f'{low}-{high} px' if high < BINS[-1][1] else f'{low} px and more'
            figures[f'AP, {name}'] = metrics.result().ap
            figures[f'objects, {name}'] = count
        kept = float(np.mean(np.array(self.medians) > THRESHOLD)) if self.medians else None
        return {**figures, f'kept at the shipped threshold, {COUNTED} px and more': kept}

    def known_result(self) -> dict[str, float | None]:
        """Return the share of flagged cells of each known thing, and the number of things."""
        figures: dict[str, float | None] = {}
        for name, shares in sorted(self.flagged.items()):
            figures[name] = float(np.concatenate(shares).mean())
            figures[f'{name}: share of the things of which more than half is flagged'] = float(
                np.mean([s.mean() > 0.5 for s in shares]))
            figures[f'{name}: number'] = len(shares)
        return figures


def only(truth: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the truth with anomalous cells outside of `wanted` ignored."""
    return np.where((truth == ANOMALY) & ~wanted, IGNORE, truth).astype(np.uint8)


def observe(subject: Subject, composites: Sequence[Composite], title: str) -> ObjectFigures:
    """Score composites with the bundle's own prompts."""
    if not composites:
        raise Skipped('no object found a place on a road')
    prompts = subject.detector.encode(subject.detector.default_vocabulary)
    figures = ObjectFigures()
    for composite in tqdm(composites, title):
        figures.add(subject(composite.picture.rgb, prompts), composite)
    return figures


def threshold_that_keeps(subject: Subject, data: StudyData, share: float) -> float:
    """
    Return the score that keeps a share of the unusual objects on validation streets.

    :param share: of the objects of at least `COUNTED` pixels; one is kept if its median score is
        above the threshold.
    """
    medians = observe(subject, data.validation.street_composites, 'objects that set a threshold'
                      ).medians
    if not medians:
        raise Skipped('no object is large enough to set a threshold')
    return float(np.quantile(medians, 1 - share))
