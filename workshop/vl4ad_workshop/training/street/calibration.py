# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the ensemble's exponents, the score curve and the threshold on validation composites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, PixelMetrics
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_workshop.training.score_curve import knots
from vl4ad_workshop.training.street.cells import at_cells
from vl4ad_workshop.training.street.composites import Composite
from vl4ad_workshop.training.street.recipe import StreetRecipe
from vl4ad_workshop.training.street.road_picture import IGNORE as NO_LABEL

_TOP_QUANTILE = 0.99  # of the uncertainty of unusual pixels, which becomes the score 1


@dataclass(frozen=True)
class Choice:
    """
    What was chosen, and its result on the validation composites.

    :ivar alpha: exponent of ConSE for classes near a street word, 0..1.
    :ivar beta: the same for other classes.
    :ivar threshold: uncertainty that becomes the score 0.5.
    :ivar ap: average precision of unusual objects, 0..1; None without such objects.
    :ivar kept: share of the objects that count whose median uncertainty is above the threshold.
    :ivar objects: number of those objects.
    :ivar known_flagged: share of the pixels of pasted known things above the threshold, by name.
    :ivar normal_flagged: the same share of all other pixels.
    """

    alpha: float
    beta: float
    threshold: float
    ap: float | None
    kept: float | None
    objects: int
    known_flagged: dict[str, float]
    normal_flagged: float


@dataclass
class Observed:
    """
    The uncertainties of composites, with one pair of exponents.

    :ivar metrics: of all cells with a label.
    :ivar normal: uncertainties of cells without a pasted object.
    :ivar unusual: those of each unusual object, with its height in pixels.
    :ivar known: those of the known things, by name.
    """

    metrics: PixelMetrics = field(default_factory=lambda: PixelMetrics(exact=True))
    normal: list[np.ndarray] = field(default_factory=list)
    unusual: list[tuple[float, np.ndarray]] = field(default_factory=list)
    known: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def add(self, prediction: Prediction, composite: Composite) -> None:
        """Add what the network says of a composite."""
        u = prediction.uncertainty
        instances = at_cells(composite.instances, prediction.letterbox)
        labels = at_cells(composite.picture.labels, prediction.letterbox)
        self.metrics.add(u, cell_truth(composite, instances, labels))
        self.normal.append(u[(instances == 0) & (labels != NO_LABEL)])
        for number, placed in enumerate(composite.placed, 1):
            values = u[instances == number]
            if not values.size:
                continue
            if placed.known:
                self.known[placed.name].append(values)
            else:
                self.unusual.append((placed.height, values))

    def choice(self, alpha: float, beta: float, recipe: StreetRecipe) -> Choice:
        """Return the threshold for these uncertainties, and what it does."""
        normal = np.concatenate(self.normal)
        medians = np.array([np.median(u) for height, u in self.unusual
                            if height >= recipe.counted_height])
        if len(medians):
            threshold = float(np.quantile(medians, 1 - recipe.keep_objects))
        else:
            threshold = float(np.quantile(normal, recipe.fallback_quantile))
        return Choice(
            alpha, beta, threshold, self.metrics.result().ap if self.unusual else None,
            float((medians >= threshold).mean()) if len(medians) else None, len(medians),
            {name: round(float((np.concatenate(u) > threshold).mean()), 4)
             for name, u in sorted(self.known.items())}, float((normal > threshold).mean()))

    def curve(self, threshold: float) -> dict[str, list[float]]:
        """Return the knots of the score for a threshold."""
        unusual = np.concatenate([u for _, u in self.unusual]) if self.unusual else np.zeros(1)
        return knots(float(np.median(np.concatenate(self.normal))),
                     float(np.quantile(unusual, _TOP_QUANTILE)), threshold)


def calibrate(bundle: Path, composites: Iterable[Composite], recipe: StreetRecipe) -> Choice:
    """
    Choose the constants and write them to the bundle's manifest.

    The exponents with the highest average precision are taken. The score is 0 at the median of
    normal cells, 0.5 at the threshold that keeps `recipe.keep_objects` of the objects of at
    least `recipe.counted_height` pixels, and 1 near the largest uncertainty of unusual objects.

    :param bundle: folder of the bundle, whose manifest is replaced.
    :param composites: in the size of the network's input.
    :param recipe: the exponents to try, and what the threshold keeps.
    """
    detector = Detector.open(bundle)
    try:
        manifest = detector.bundle
        prompts = {(alpha, beta): Detector(
            replace(manifest, ensemble=replace(manifest.ensemble, alpha=alpha, beta=beta)),
            detector.backend).encode(manifest.vocabulary)
            for alpha, beta in recipe.ensemble_weights}
        observed = {weights: Observed() for weights in prompts}
        for composite in tqdm(composites, 'validation composites'):
            for weights, words in prompts.items():
                observed[weights].add(detector.detect(composite.picture.rgb, words), composite)
    finally:
        detector.close()
    choices = [(seen.choice(*weights, recipe), seen) for weights, seen in observed.items()]
    choice, seen = max(choices, key=lambda pair: pair[0].ap or 0.0)
    values = json.loads((bundle / 'manifest.json').read_text())
    del values['files']
    values['calibration'] = seen.curve(choice.threshold)
    values['ensemble'] |= {'alpha': choice.alpha, 'beta': choice.beta}
    values['provenance']['validation'] = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in vars(choice).items()}
    write_manifest(bundle, values)
    return choice


def cell_truth(composite: Composite, instances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """
    Return what counts in the figures: uint8, 1 unusual, 0 normal and 255 without a label.

    :param composite: where the cells come from.
    :param instances: number of the object at each cell.
    :param labels: street word at each cell.
    """
    is_unusual = np.array([False, *(not p.known for p in composite.placed)])[instances]
    return np.where(is_unusual, ANOMALY, np.where(labels == NO_LABEL, IGNORE, 0)).astype(np.uint8)
