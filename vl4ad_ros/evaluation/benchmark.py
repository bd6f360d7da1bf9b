# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores a labelled data set with the Detector, and computes its pixel and component metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.evaluation.component_metrics import (
    component_scores, ComponentMetrics, ComponentScores, FrameComponents)
from vl4ad_ros.evaluation.datasets import Dataset, DatasetError, Sample
from vl4ad_ros.evaluation.pixel_metrics import (
    CalibrationCurve, HALF, PixelCounts, PixelMetrics, PixelScores, Retention, round_to, SINGLE)
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.settings import Settings

RECALL = 0.9
"""The recall of anomalous pixels at which VL4AD states the ID retention (Fig. 5)."""

DEFINITIONS = {
    'samples': 'labelled images of the data set that were found',
    'samples_used': 'those of them that could be read',
    'samples_skipped': 'name of each of the others, and why it could not be read',
    'pixels': 'metrics over all labelled pixels of all images together, as Fishyscapes defines '
              'them; best_f1 is the largest F1 score of any threshold',
    'score_precision': 'float16: scores were rounded to half precision before they were counted; '
                       'float32: they were not (--exact)',
    'id_retention': 'share of the normal pixels below the largest threshold that finds the share '
                    'ood_recall of the anomalous pixels',
    'id_retention_cityscapes': 'share of the pixels of Cityscapes below the same threshold',
    'id_kept': 'share of the normal pixels whose score is not above the threshold of the node',
    'calibration': 'for pixels of similar scores, the share that is anomalous; the error is the '
                   'mean distance between score and share',
    'components': 'metrics of SegmentMeIfYouCan over whole objects, at the threshold with the '
                  'best F1 of the pixels of this data set, which no vehicle can know',
    'components_at_threshold': 'the same at the threshold of the node',
    'siou': 'mean over the objects: their pixels that were found, divided by all pixels of the '
            'object and of the segments that touch it',
    'ppv': 'mean over the predicted segments: the share of their pixels that lies on objects',
    'mean_f1': 'mean F1 score of objects and segments over the thresholds 0.25 to 0.75 of sIoU '
               'and PPV',
    'by_size': 'objects by their number of pixels: small below 32 x 32, medium below 96 x 96',
    'by_drive': 'pixels and components of each sequence by itself',
}
"""What each figure means, by its name."""


@dataclass(frozen=True)
class Skipped:
    """
    A sample that was left out.

    :ivar name: of the sample.
    :ivar reason: why it could not be used.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class DriveScores:
    """
    The metrics of one sequence.

    :ivar samples: number of its samples that were used.
    :ivar pixels: its pixel metrics.
    :ivar components: its component metrics, at the thresholds of the whole data set.
    """

    samples: int
    pixels: PixelScores
    components: ComponentScores


@dataclass(frozen=True)
class Kept:
    """
    The pixels of a data set without anomalies that are kept as in-distribution.

    :ivar title: of the data set.
    :ivar threshold: of the score.
    :ivar share: of the pixels that is kept, 0..1.
    :ivar used: number of samples that were used.
    :ivar skipped: those that could not be read.
    """

    title: str
    threshold: float
    share: float
    used: int
    skipped: tuple[Skipped, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by the names that reports use."""
        return {'dataset': self.title, 'threshold': self.threshold, 'id_kept': self.share,
                'samples': self.used + len(self.skipped), 'samples_used': self.used,
                'samples_skipped': [vars(skipped) for skipped in self.skipped]}


@dataclass(frozen=True)
class BenchmarkScores:
    """
    The metrics of a data set with anomalies; None stands for one that is undefined.

    :ivar used: number of samples that were used.
    :ivar skipped: those that could not be read.
    :ivar pixels: pixel metrics.
    :ivar retention: ID retention; undefined without pixels of both kinds.
    :ivar calibration: how often pixels of each score are anomalous.
    :ivar components: component metrics at the threshold with the best F1 of the pixels;
        undefined without an anomalous pixel.
    :ivar threshold: the threshold of the node.
    :ivar at_threshold: component metrics at that threshold.
    :ivar drives: the metrics of each sequence, by its name.
    """

    used: int
    skipped: tuple[Skipped, ...]
    pixels: PixelScores
    retention: Retention | None
    calibration: CalibrationCurve | None
    components: ComponentScores | None
    threshold: float
    at_threshold: ComponentScores
    drives: Mapping[str, DriveScores]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by the names that reports use; None where one is undefined."""
        found: dict[str, Any] = {
            'samples': self.used + len(self.skipped), 'samples_used': self.used,
            'samples_skipped': [vars(skipped) for skipped in self.skipped],
            'pixels': self.pixels.as_dict(),
            'id_retention': self.retention and self.retention.as_dict(),
            'calibration': self.calibration and self.calibration.as_dict(),
            'components': self.components and {
                'threshold': self.pixels.best_f1_threshold, **self.components.as_dict()},
            'components_at_threshold': {
                'threshold': self.threshold, **self.at_threshold.as_dict()}}
        if self.drives:
            found['by_drive'] = {
                name: {'samples': drive.samples, 'pixels': drive.pixels.as_dict(),
                       'components': drive.components.as_dict()}
                for name, drive in self.drives.items()}
        return found

    def undefined(self) -> dict[str, str]:
        """Return why each figure of the whole data set that is undefined is so, by its name."""
        reasons = {f'pixels.{name}': self.pixels.why_undefined
                   for name, value in self.pixels.as_dict().items() if value is None}
        if self.retention is None:
            reasons['id_retention'] = self.pixels.why_undefined
        if self.components is None:
            reasons['components'] = self.pixels.why_undefined
        for name, scores in (('components', self.components),
                             ('components_at_threshold', self.at_threshold)):
            if scores is None:
                continue
            if scores.siou is None:
                reasons[f'{name}.siou'] = 'no object is as large as the limit of the track'
            if scores.ppv is None:
                reasons[f'{name}.ppv'] = reasons[f'{name}.siou_predicted'] = (
                    'no predicted segment is as large as the limit of the track')
            if scores.mean_f1 is None:
                reasons[f'{name}.mean_f1'] = 'there is neither an object nor a predicted segment'
        return reasons


class BenchmarkRun:
    """Scores the samples of data sets with one detector and one set of prompts."""

    def __init__(self, detector: Detector, settings: Settings, folder: Path,
                 precision: str = HALF,
                 advance: Callable[[], None] = lambda: None) -> None:
        """
        Encode the prompts.

        :param detector: the model; `settings.model_bundle` and `settings.model_backend` are not
            used.
        :param settings: the parameters of the node: prompts, threshold, and the largest image.
        :param folder: an existing, empty folder for the scores of the samples, which are needed
            twice: 4 bytes for each cell of the network's output.
        :param precision: `HALF` or `SINGLE`; how the scores are counted.
        :param advance: called after each step; there are two for each sample of a data set with
            anomalies, and one for each sample of another.
        :raises VocabularyError: if the prompts cannot be used.
        """
        self._detector, self._settings, self._folder = detector, settings, folder
        self._precision, self._advance = precision, advance
        self._prompts: Prompts = detector.encode(settings.vocabulary(detector.default_vocabulary))

    def scores(self, dataset: Dataset, recall: float = RECALL) -> BenchmarkScores:
        """
        Compute the metrics of a data set with anomalies.

        :param dataset: the data set.
        :param recall: of anomalous pixels, for the ID retention; above 0 and at most 1.
        :raises DatasetError: if none of its samples can be read.
        :raises BackendError: if the inference fails.
        """
        assert dataset.limits is not None, 'a data set without anomalies has no such metrics'
        pixels, drives = self._metrics(), {
            sample.drive: self._metrics() for sample in dataset.samples if sample.drive}
        boxes: dict[int, Letterbox] = {}
        skipped: list[Skipped] = []
        for number, prediction, label in self._predictions(dataset, skipped):
            pixels.add(prediction.score, label)
            drive = dataset.samples[number].drive
            if drive:
                drives[drive].add(prediction.score, label)
            np.save(self._file(number), prediction.cell_score)
            boxes[number] = prediction.letterbox
        counts = pixels.tally()
        scores = counts.scores()
        best: dict[str, list[FrameComponents]] = {}
        node: list[FrameComponents] = []
        for number, at_best, at_node in self._components(
                dataset, boxes, scores.best_f1_threshold):
            best.setdefault(dataset.samples[number].drive, []).append(at_best)
            node.append(at_node)
        for _ in skipped:
            self._advance()
        return BenchmarkScores(
            len(boxes), tuple(skipped), scores, counts.retention(recall), counts.calibration(),
            None if scores.best_f1_threshold is None
            else component_scores(list(chain.from_iterable(best.values()))),
            self._settings.threshold, component_scores(node),
            {name: DriveScores(len(best[name]), drives[name].result(),
                               component_scores(best[name]))
             for name in sorted(drives) if name in best})

    def kept(self, dataset: Dataset, threshold: float | None = None) -> Kept:
        """
        Return the share of the normal pixels that is kept as in-distribution.

        :param dataset: a data set without anomalies.
        :param threshold: scores of at least this value are anomalous; None takes the threshold of
            the node, which a score must exceed.
        :raises DatasetError: if none of its samples can be read.
        :raises BackendError: if the inference fails.
        """
        pixels = self._metrics()
        skipped: list[Skipped] = []
        for _, prediction, label in self._predictions(dataset, skipped):
            pixels.add(prediction.score, label)
        counts: PixelCounts = pixels.tally()
        node = self._settings.threshold
        limit = float(np.nextafter(node, np.inf)) if threshold is None else threshold
        return Kept(dataset.title, node if threshold is None else threshold, counts.kept(limit),
                    len(dataset.samples) - len(skipped), tuple(skipped))

    def _metrics(self) -> PixelMetrics:
        return PixelMetrics(self._precision == SINGLE)

    def _file(self, number: int) -> Path:
        return self._folder / f'{number}.npy'

    def _predictions(self, dataset: Dataset, skipped: list[Skipped]
                     ) -> Iterator[tuple[int, Prediction, np.ndarray]]:
        """Yield number, prediction and label of each sample that can be read; note the others."""
        for number, sample in enumerate(dataset.samples):
            try:
                image, label = self._read(dataset, sample)
            except DatasetError as error:
                skipped.append(Skipped(sample.name, str(error)))
            else:
                yield number, self._detector.detect(image, self._prompts), label
            self._advance()
        if len(skipped) == len(dataset.samples):
            raise DatasetError(f'0 of {len(skipped)} samples of {dataset.title} could be used; '
                               f'the first: {skipped[0].reason}')

    def _read(self, dataset: Dataset, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        image = dataset.image(sample, self._settings.image_max_pixels)
        label = dataset.label(sample)
        if label.shape != image.shape[:2]:
            raise DatasetError(
                f"'{sample.label}' has {label.shape[1]}x{label.shape[0]} pixels, but "
                f"'{sample.image}' has {image.shape[1]}x{image.shape[0]}; expected the same size")
        return image, label

    def _components(self, dataset: Dataset, boxes: Mapping[int, Letterbox],
                    threshold: float | None
                    ) -> Iterator[tuple[int, FrameComponents, FrameComponents]]:
        """
        Yield number and components of each sample, at a threshold and at that of the node.

        Without a threshold nothing is predicted.
        """
        assert dataset.limits is not None
        best, node = (ComponentMetrics(limit, dataset.limits) for limit in (
            np.inf if threshold is None else threshold, self._settings.threshold))
        for number, box in boxes.items():
            score = round_to(box.to_image(np.load(self._file(number))), self._precision)
            label = dataset.label(dataset.samples[number])
            yield number, best.add(score, label), node.add(score, label)
            self._file(number).unlink()
            self._advance()


def rounded(value: Any) -> Any:
    """
    Return figures with five significant digits.

    :param value: a figure, or a mapping or sequence of figures.
    """
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return float(f'{value:.5g}') if isinstance(value, float) else value
