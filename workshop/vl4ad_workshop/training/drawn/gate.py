# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the CLIP stage knows its words: no decoder can mend what it does not."""

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

# A segment smaller than a cell of the trunk's last features is counted apart.
SMALL = STRIDE ** 2


@dataclass(frozen=True)
class Accuracy:
    """
    Zero-shot top-1, mean over kinds.

    :ivar crops: of cut-out segments of at least a cell of the trunk's last features.
    :ivar dense: of these segments' features, pooled under true masks.
    :ivar small_crops, small_dense: of smaller segments (60 to 255 px).
    """

    crops: float
    dense: float
    small_crops: float
    small_dense: float


class GateError(ValueError):
    """The CLIP stage does not know its words well enough to train a decoder on."""


def require(accuracy: Accuracy, crops: float, dense: float) -> None:
    """
    Let a training pass that knows its words.

    :param crops, dense: least top-1 of segments of at least a cell, 0 to 1.
    :raises GateError: if either is missed; it says by how much, and what to try.
    """
    missed = [f'{name} {found:.4f} (at least {least})' for name, found, least in (
        ('crops', accuracy.crops, crops), ('dense', accuracy.dense, dense)) if not found >= least]
    if missed:
        raise GateError(
            f'CLIP knows too little for a decoder: zero-shot top-1 of {" and ".join(missed)}. '
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
    """Return the mean over the kinds that occur of the share of right guesses."""
    return float(np.mean([(guess[kind == k] == k).mean() for k in np.unique(kind)]))
