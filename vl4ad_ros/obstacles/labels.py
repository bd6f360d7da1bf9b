# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The class of every pixel as one byte, how sure it is, and which pixels show the ground."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError

ANOMALY = 'anomaly'
"""Name of the class that everything anomalous has, whatever else it is."""
MOST_CLASSES = 254
"""So many classes have a label: one byte, less one for `ANOMALY` and one for 'unknown'."""


def label_names(vocabulary: Vocabulary) -> tuple[str, ...]:
    """
    Return the names of the labels; the index of a name is its label.

    :param vocabulary: the prompts. Label 0 is `ANOMALY`, known classes follow, and anomaly classes
        are last.
    :raises VocabularyError: if there are more than `MOST_CLASSES` classes.
    """
    names = [c.name for c in vocabulary.classes]
    if len(names) > MOST_CLASSES:
        raise VocabularyError(
            f'prompts.known and prompts.anomaly have {len(names)} classes, but a label is one '
            f'byte and has room for {MOST_CLASSES}; join classes, such as '
            "'vehicle: car, truck, bus'")
    return (ANOMALY, *names)


def label_map(prediction: Prediction, threshold: float, name_floor: float) -> np.ndarray:
    """
    Return the label of each pixel.

    A pixel that is not anomalous has the label of its best known class. An anomalous pixel has the
    label of its best anomaly class, or that of `ANOMALY` if the mass of this class is too small.

    :param prediction: of an image.
    :param threshold: score, 0 to 1, above which a pixel is anomalous.
    :param name_floor: smallest mass, 0 to 1, with which an anomaly class names a pixel.
    :returns: uint8 (H, W); see `label_names`.
    """
    grow, known = prediction.letterbox.nearest, len(prediction.prompts.vocabulary.known)
    labels = grow((prediction.best_known + 1).astype(np.uint8))
    named = np.zeros(prediction.best_anomaly.shape, np.uint8)
    if prediction.anomaly_mass is not None:
        sure = (prediction.best_anomaly >= 0) & (prediction.anomaly_mass >= name_floor)
        named[sure] = prediction.best_anomaly[sure] + 1 + known
    anomalous = prediction.score > threshold
    labels[anomalous] = grow(named)[anomalous]
    return labels


def confidence_map(prediction: Prediction, threshold: float) -> np.ndarray:
    """
    Return how sure it is that each pixel is anomalous, or that it is not.

    :param prediction: of an image.
    :param threshold: score, 0 to 1, above which a pixel is anomalous.
    :returns: uint8 (H, W), 0 to 255: the score of an anomalous pixel, and 1 less the score of any
        other pixel.
    """
    score = prediction.score
    sure = np.where(score > threshold, score, 1 - score)
    return np.rint(255 * sure).astype(np.uint8)


def ground_mask(prediction: Prediction, threshold: float,
                classes: Collection[str]) -> np.ndarray:
    """
    Return which pixels show the ground, and where something stands on it.

    :param prediction: of an image.
    :param threshold: score, 0 to 1, above which a pixel is anomalous.
    :param classes: names of known classes or of their concepts that are ground.
    :returns: bool (H, W): True for pixels of these classes that are not anomalous, and for the
        lowest pixel of anything that stands right above such a pixel.
    """
    ground = drivable_cells(prediction, classes)
    mask = prediction.letterbox.nearest(ground.astype(np.uint8)).astype(bool)
    mask &= prediction.score <= threshold
    mask[:-1] |= mask[1:].copy()
    return mask


def drivable_cells(prediction: Prediction, classes: Collection[str]) -> np.ndarray:
    """
    Return which cells of the network's map show a class that one can drive on.

    :param prediction: of an image.
    :param classes: names of known classes or of their concepts.
    :returns: bool (h, w).
    """
    wanted = {name.strip().lower() for name in classes}
    chosen = np.array([bool(wanted & {c.name.lower(), *c.concepts})
                       for c in prediction.prompts.vocabulary.known])
    return chosen[prediction.best_known]
