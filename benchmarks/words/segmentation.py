# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of each stage: CLIP's classification, and the decoder's masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
import tempfile

from benchmarks.words.model import Answer, Words
from benchmarks.words.pictures import COLUMNS, counted
from benchmarks.words.scores import columns_of
from benchmarks.words.street_model import StreetAnswer
import cv2
import numpy as np
import torch

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.prompts.vocabulary import PromptClass
from vl4ad_workshop.network.bundle_network import load_network
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.scenes.frame import Frame
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in
from vl4ad_workshop.training.drawn.gate import zero_shot_accuracy
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.real.validation import Agreement

LEARNT = ('known', 'masks', 'words')
CLIP_SEED = 24
MIN_SHARE, MIN_IOU = 0.001, 0.5


def best_ious(masks: np.ndarray, objects: Iterable[np.ndarray]) -> list[float]:
    """
    Return for each object the IoU of the mask that fits it best, whatever its class.

    :param masks: (N, H, W) bool. :param objects: (H, W) bool each, none of them empty.
    """
    pixels = masks.sum((1, 2))
    ious = []
    for inside in objects:
        shared = masks[:, inside].sum(1)
        ious.append(float((shared / (pixels + inside.sum() - shared)).max()))
    return ious


def class_map(frame: Frame, known: Iterable[PromptClass]) -> np.ndarray:
    """Return the index in `known` of each pixel's class, -1 for none: (H, W)."""
    owner = {concept: i for i, c in enumerate(known) for concept in c.concepts}
    table = np.array([owner.get(k, -1) if KINDS[k].group == 'known' else -1
                      for k in frame.kinds] + [-1])
    return table[frame.segments]


class Segmentation:
    """
    Class-agnostic mask recall of anomalies, and mIoU of known classes with ID-only prompts.

    There is no recall for a network without masks.

    Beside it the mIoU of the truth itself, averaged over the cells of the network's maps and
    grown again: no network whose maps are as coarse can be expected above it.
    """

    def __init__(self, known: tuple[PromptClass, ...], words: Words,
                 shipped: Classification) -> None:
        """Measure the classes `known`, whose embeddings are `words`."""
        self._known, self._words, self._shipped = known, words, shipped
        self._ious: dict[str, list[float]] = {column: [] for column in COLUMNS}
        self._confusion = np.zeros((len(known), len(known)), np.int64)
        self._ceiling = np.zeros_like(self._confusion)

    def add(self, answer: Answer | StreetAnswer, frame: Frame, group: str) -> None:
        """Add a picture."""
        if isinstance(answer, Answer):
            self._add_masks(answer, frame, group)
        guess = answer.on_picture(answer.naming(self._words, self._shipped)).argmax(-1)
        truth = class_map(frame, self._known)
        self._confusion += confusion(truth, guess, len(self._known))
        self._ceiling += confusion(truth, coarse(truth, len(self._known), answer.letterbox),
                                   len(self._known))

    def _add_masks(self, answer: Answer, frame: Frame, group: str) -> None:
        masks = answer.on_picture(answer.mask_logits).transpose(2, 0, 1) > 0
        for column in columns_of(frame, group):
            objects = (frame.segments == i for i, k in enumerate(frame.kinds)
                       if k in counted(column))
            self._ious[column] += best_ious(
                masks, (o for o in objects if o.mean() >= MIN_SHARE))

    def result(self) -> dict[str, dict]:
        """Return recall and number of objects by column, mIoU, and IoU by class."""
        agreement = Agreement(self._confusion)
        return {
            'recall': {c: float(np.mean(np.array(v) > MIN_IOU)) if v else None
                       for c, v in self._ious.items()},
            'objects': {c: len(v) for c, v in self._ious.items()},
            'miou': agreement.mean_iou,
            'miou_ceiling': Agreement(self._ceiling).mean_iou,
            'iou': {c.name: None if np.isnan(iou) else float(iou)
                    for c, iou in zip(self._known, agreement.iou)}}


def coarse(truth: np.ndarray, classes: int, letterbox: Letterbox) -> np.ndarray:
    """Return the most likely class of (H, W) classes averaged over the cells of the maps."""
    rows, columns = letterbox.map_size
    cells = cv2.resize(np.eye(classes + 1, dtype=np.float32)[truth][..., :-1], (columns, rows),
                       interpolation=cv2.INTER_AREA)
    return letterbox.to_image(cells).argmax(-1)


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by true and predicted class, without those of class -1: (classes, classes)."""
    valid = truth >= 0
    return np.bincount(truth[valid] * classes + guess[valid],
                       minlength=classes ** 2).reshape(classes, classes)


def clip_accuracy(bundle: Bundle, pictures: int) -> dict[str, float] | None:
    """
    Return the CLIP stage's zero-shot top-1 among all kinds it learnt, on test pictures.

    None, with a line that says why, where PyTorch cannot build the bundle's network.
    """
    try:
        network, _ = load_network(bundle)
    except BundleError as error:
        print(f'No CLIP figures: {error}')
        return None
    text, vision = bundle.text, bundle.vision
    tokenizer = Tokenizer(bundle.directory / bundle.tokenizer, text.context_length, text.sot,
                          text.eot, text.pad)
    with tempfile.TemporaryDirectory() as folder:
        drawn = PictureSet.draw(Path(folder) / 'pictures-test', pictures, CLIP_SEED,
                                (vision.height, vision.width), LEARNT, 'test')
        return asdict(zero_shot_accuracy(
            network, tokenizer, drawn, [k.name for k in kinds_in(*LEARNT)],
            torch.device('cpu')))
