# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""CamVid by text prompts alone: intersection over union of its 11 classes."""

from __future__ import annotations

from benchmarks.street.study_data import StudyData
from benchmarks.street.subject import Subject
from benchmarks.words.segmentation import confusion
import numpy as np
from tqdm import tqdm

from vl4ad_ros.prompts.vocabulary import PromptClass
from vl4ad_workshop.training.street.camvid import CLASSES
from vl4ad_workshop.training.street.cells import at_pixels

PROMPTS = {
    'sky': 'sky', 'building': 'building, house', 'pole': 'pole', 'road': 'road, lane marking',
    'sidewalk': 'sidewalk, pavement', 'tree': 'tree, vegetation', 'traffic sign': 'traffic sign',
    'fence': 'fence, wall', 'car': 'car, truck, bus', 'pedestrian': 'pedestrian, person',
    'bicyclist': 'bicyclist, bicycle'}
"""The words of each class of CamVid, whose definition of 'car' includes trucks and buses."""


def measure(subject: Subject, data: StudyData) -> dict[str, float | None]:
    """
    Return the IoU in 0..1 of each class and their mean, over the labelled pixels.

    :raises Skipped: without CamVid.
    """
    numbers = data.street_numbers()
    prompts = subject.prompts([PromptClass.parse(f'{name}: {PROMPTS[name]}', name)
                               for name in CLASSES])
    counts = np.zeros((len(CLASSES), len(CLASSES)), int)
    for number in tqdm(numbers, 'CamVid by prompts'):
        prediction = subject(data.streets[number].rgb, prompts)
        guess = at_pixels(prediction.best_known, prediction.letterbox)
        counts += confusion(data.streets.class_map(number).astype(int), guess, len(CLASSES))
    return intersections(counts)


def intersections(counts: np.ndarray) -> dict[str, float | None]:
    """
    Return the IoU of each class that occurs, and 'mean'.

    :param counts: (11, 11) pixels by true and predicted class.
    """
    hit, true, guessed = np.diag(counts), counts.sum(1), counts.sum(0)
    ious: dict[str, float | None] = {
        name: float(hit[i] / (true[i] + guessed[i] - hit[i])) for i, name in enumerate(CLASSES)
        if true[i]}
    return {'mean': float(np.mean(list(ious.values()))) if ious else None, **ious}
