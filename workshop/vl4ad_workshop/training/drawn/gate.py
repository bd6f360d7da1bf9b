# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure the CLIP stage's zero-shot accuracy, and refuse to train a decoder on a poor one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_workshop.network.classification import class_logits
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.training.drawn.decoder_stage import kind_texts
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.drawn.segments import embed_all, STRIDE

# Segments smaller than a cell of the trunk's last features are counted separately.
SMALL = STRIDE ** 2


@dataclass(frozen=True)
class Accuracy:
    """
    Zero-shot top-1 accuracy, mean over kinds, 0..1.

    :ivar crops: of crops of segments of at least one cell of the trunk's last features.
    :ivar dense: of features of these segments, pooled under true masks.
    :ivar small_crops: of crops of smaller segments (60 to 255 px).
    :ivar small_dense: of features of smaller segments.
    """

    crops: float
    dense: float
    small_crops: float
    small_dense: float


class GateError(ValueError):
    """The accuracy of the CLIP stage is too low to train a decoder."""


def require(accuracy: Accuracy, crops: float, dense: float) -> None:
    """
    Check an accuracy against lower limits.

    :param accuracy: what was measured.
    :param crops: lowest accepted accuracy of crops of at least one cell, 0..1.
    :param dense: the same for pooled features.
    :raises GateError: if either is too low; it says by how much, and what to try.
    """
    missed = [f'{name} {found:.4f} (at least {least})' for name, found, least in (
        ('crops', accuracy.crops, crops), ('dense', accuracy.dense, dense)) if not found >= least]
    if missed:
        raise GateError(
            f'the accuracy of the CLIP stage is too low to train a decoder: zero-shot top-1 of '
            f'{" and ".join(missed)}. '
            "Train it longer ('steps' or 'pictures' of the image and text stages in "
            'training/drawn/recipe.py) or from another --seed, in a new --work folder')


def zero_shot_accuracy(network: Vl4ad, tokenizer: Tokenizer, pictures: PictureSet,
                       names: list[str], device: torch.device,
                       crop_size: int = 64) -> Accuracy:
    """Classify every segment of the pictures among all `names`."""
    texts = kind_texts(network, tokenizer, names, device)
    found: dict[str, list[np.ndarray]] = {'crop': [], 'dense': []}
    for form, embedding, kind, area in embed_all(network, pictures, names, device, crop_size):
        guess = class_logits(
            F.normalize(embedding, dim=-1), texts.concepts, texts.concept_class, texts.classes,
            network.backbone.logit_scale).argmax(-1).cpu().numpy()
        found[form].append(np.stack([guess, kind, area >= SMALL]))
    crop, dense = (np.concatenate(found[form], 1) for form in ('crop', 'dense'))
    return Accuracy(*(mean_over_kinds(*rows[:2, rows[2] == large])
                      for large in (1, 0) for rows in (crop, dense)))


def mean_over_kinds(guess: np.ndarray, kind: np.ndarray) -> float:
    """Return the share of correct classifications, averaged over the kinds that occur."""
    return float(np.mean([(guess[kind == k] == k).mean() for k in np.unique(kind)]))
