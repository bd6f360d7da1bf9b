# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Animals on Indian roads: what the right words add to wrong, random and no words."""

from __future__ import annotations

from benchmarks.street.study_data import StudyData
from benchmarks.street.subject import Subject
import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, PixelMetrics
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.prompts.reader import open_list
from vl4ad_workshop.training.street.indian_roads import BoxedPicture

DRAWS = 3
"""Number of sets of random vectors whose figures are averaged."""
OBJECTNESS = 'p(object) alone'
_INNER = 0.2  # share of a box on each side that may not show the animal


def measure(subject: Subject, data: StudyData) -> dict[str, dict[str, float | None]]:
    """
    Return AP, AUROC and FPR95 in 0..1 of every kind of prompts, over the cells of all pictures.

    The inner 60 % of an animal's box are anomalous. The rest of it and the boxes of other
    obstacles are ignored, and all other cells are normal.

    :raises Skipped: without the photographs.
    """
    animals = open_list('animals').anomaly or ()
    wrong = open_list('unusual_vehicles').anomaly or ()
    right = subject.prompts(subject.known, animals)
    prompts = {'right words': right, 'wrong words': subject.prompts(subject.known, wrong),
               'no words': subject.prompts(subject.known)}
    prompts |= {f'random {i}': subject.random_prompts(right, i) for i in range(DRAWS)}
    metrics = {name: PixelMetrics(exact=True) for name in (*prompts, OBJECTNESS)}
    pictures = 0
    for picture in tqdm(data.animals, 'Indian roads'):
        pictures += 1
        for name, words in prompts.items():
            prediction = subject(picture.rgb, words)
            truth = box_truth(picture, prediction.letterbox)
            metrics[name].add(prediction.uncertainty, truth)
        metrics[OBJECTNESS].add(subject.objectness(picture.rgb, prediction), truth)
    figures = {}
    for name, counted in metrics.items():
        result = counted.result()
        figures[name] = {'ap': result.ap, 'auroc': result.auroc, 'fpr95': result.fpr95}
    drawn = [figures.pop(f'random {i}') for i in range(DRAWS)]
    figures['random vectors'] = {key: float(np.mean([d[key] for d in drawn])) for key in drawn[0]}
    return {**figures, 'data': {'pictures': pictures}}


def box_truth(picture: BoxedPicture, letterbox: Letterbox, kind: str = 'animal') -> np.ndarray:
    """
    Return what counts at each cell: uint8, 1 anomalous, 0 normal and 255 ignored.

    :param picture: with its boxes.
    :param letterbox: geometry of the picture and the network.
    :param kind: of the boxes whose inner part is anomalous.
    """
    rows, columns = letterbox.map_size
    truth = np.zeros((rows, columns), np.uint8)
    y, x = ((np.arange(cells) + 0.5) * letterbox.stride / content
            for cells, content in zip(letterbox.map_size, letterbox.content_size))
    inner = np.zeros(truth.shape, bool)
    for name, cx, cy, width, height in picture.boxes:
        down, across = abs(y - cy) / max(height, 1e-6), abs(x - cx) / max(width, 1e-6)
        truth[np.ix_(down <= 0.5, across <= 0.5)] = IGNORE
        if name == kind:
            inner[np.ix_(down <= 0.5 - _INNER, across <= 0.5 - _INNER)] = True
    truth[inner] = ANOMALY
    return truth
