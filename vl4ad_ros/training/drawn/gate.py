# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well the CLIP stage knows its words: no decoder can mend what it does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from vl4ad_ros.network.classification import class_logits
from vl4ad_ros.network.vl4ad import Vl4ad
from vl4ad_ros.runtime.tokenizer import Tokenizer
from vl4ad_ros.training.drawn.clip_stage import cut, pooled_segments, Regions
from vl4ad_ros.training.drawn.decoder_stage import kind_texts
from vl4ad_ros.training.drawn.pictures import PictureSet


@dataclass(frozen=True)
class Accuracy:
    """Zero-shot top-1, mean over kinds: on crops, and on features pooled under true masks."""

    crops: float
    dense: float


@torch.no_grad()
def zero_shot_accuracy(network: Vl4ad, tokenizer: Tokenizer, pictures: PictureSet,
                       names: list[str], device: torch.device,
                       crop_size: int = 64) -> Accuracy:
    """Classify every region of the pictures among all `names`."""
    texts = kind_texts(network, tokenizer, names, device)
    clip = network.backbone.clip_model

    def top1(embedding: torch.Tensor) -> np.ndarray:
        return class_logits(F.normalize(embedding, dim=-1), texts.concepts, texts.concept_class,
                            texts.classes, clip.logit_scale).argmax(-1).cpu().numpy()

    rng = np.random.default_rng(0)
    regions = Regions.of(pictures, names)
    guesses = []
    for part in np.array_split(np.arange(len(regions.kind)), max(len(regions.kind) // 128, 1)):
        crops = np.stack([cut(pictures, regions, r, crop_size, rng) for r in part])
        guesses.append(top1(clip.encode_image(
            network.normalise(torch.from_numpy(crops).to(device)))))
    dense_kinds, dense_guesses = [], []
    for part in np.array_split(np.arange(len(pictures)), max(len(pictures) // 8, 1)):
        embedding, kind = pooled_segments(network, pictures, part, names, device)
        dense_kinds.append(kind.cpu().numpy())
        dense_guesses.append(top1(embedding))
    return Accuracy(
        _mean_over_kinds(np.concatenate(guesses), regions.kind),
        _mean_over_kinds(np.concatenate(dense_guesses), np.concatenate(dense_kinds)))


def _mean_over_kinds(guess: np.ndarray, kind: np.ndarray) -> float:
    return float(np.mean([(guess[kind == k] == k).mean() for k in np.unique(kind)]))
