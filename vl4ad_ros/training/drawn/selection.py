# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose temperature, void and ensemble weights by validation pictures, before the export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import itertools
import math

import numpy as np
import torch
from tqdm import tqdm

from vl4ad_ros.evaluation.pixel_metrics import IGNORE, PixelMetrics
from vl4ad_ros.network.classification import class_probability
from vl4ad_ros.network.scoring import semantic_map, vl4ad
from vl4ad_ros.network.vl4ad import Vl4ad
from vl4ad_ros.runtime.tokenizer import Tokenizer
from vl4ad_ros.scenes.kinds import KINDS
from vl4ad_ros.training.drawn.pictures import PictureSet
from vl4ad_ros.training.texts import class_texts
from vl4ad_ros.vocabulary import Vocabulary

# What is tried. FC-CLIP's exponents are 0.4 for classes seen in training and 0.8 for others.
ALPHAS, BETAS = (0.0, 0.2, 0.4, 0.6), (0.0, 0.4, 0.6, 0.8, 1.0)
SOFTER, KEEP_VOID = (0.5, 0.7, 1.0, 1.4, 2.0), (True, False)
STRIDE = 4


@dataclass(frozen=True)
class Setting:
    """
    How embeddings become class probabilities.

    :ivar alpha, beta: exponents of the out-of-vocabulary classifier, for classes with masks in
        training and for others. :ivar softer: factor of both learned temperatures.
    :ivar keep_void: see `Classification`. :ivar ap: mean over groups of anomalies of the pixel AP.
    """

    alpha: float
    beta: float
    softer: float
    keep_void: bool
    ap: float = 0.0


def anomaly_labels(segments: np.ndarray, kinds: Sequence[str], group: str | None = None
                   ) -> np.ndarray:
    """
    Label pixels of a picture: 1 where the kind is no known one, 255 where ignored, else 0.

    Anomalies of other groups than `group`, where given, are ignored.
    """
    table = [0 if KINDS[k].group == 'known' else 1 if group in (None, KINDS[k].group) else IGNORE
             for k in kinds]
    return np.array([*table, IGNORE], np.uint8)[segments]


@torch.no_grad()
def choose_setting(network: Vl4ad, tokenizer: Tokenizer, vocabulary: Vocabulary, seen: set[str],
                   pictures: PictureSet, device: torch.device) -> Setting:
    """
    Return the setting of highest AP, averaged over the groups of anomalies in the pictures.

    :param vocabulary: the prompts. :param seen: words that had masks in training.
    """
    texts = class_texts(network, [c.concepts for c in vocabulary.classes], tokenizer, device)
    known = len(vocabulary.known)
    unseen = torch.tensor([seen.isdisjoint(c.concepts) for c in vocabulary.classes],
                          device=device)
    settings = [Setting(*s) for s in itertools.product(ALPHAS, BETAS, SOFTER, KEEP_VOID)]
    groups = sorted({KINDS[k].group for kinds in pictures.kinds for k in kinds} - {'known'})
    metrics = {s: {g: PixelMetrics() for g in groups} for s in settings}
    for i, kinds in enumerate(tqdm(pictures.kinds, 'temperature, void and ensemble')):
        image = torch.from_numpy(np.array(pictures.images[i])[None]).to(device)
        answer = network(image, texts)
        masks = answer.mask_logits[0].sigmoid()
        labels = {g: anomaly_labels(pictures.segments[i], kinds, g)[
            STRIDE // 2::STRIDE, STRIDE // 2::STRIDE] for g in groups}
        for setting, of_group in metrics.items():
            probability = class_probability(
                answer.in_vocabulary / setting.softer, answer.out_vocabulary / setting.softer,
                answer.void / setting.softer,
                torch.where(unseen, setting.beta, setting.alpha), setting.keep_void)
            u = vl4ad(semantic_map(masks, probability[0, :, :known])).cpu().numpy()
            for group, label in labels.items():
                of_group[group].add(u, label)
    ap = {s: float(np.mean([m.result().ap or 0.0 for m in of_group.values()]))
          for s, of_group in metrics.items()}
    best = max(settings, key=ap.__getitem__)
    return Setting(best.alpha, best.beta, best.softer, best.keep_void, ap[best])


@torch.no_grad()
def soften(network: Vl4ad, factor: float) -> None:
    """Multiply both learned temperatures."""
    for scale in (network.sem_seg_head.predictor.logit_scale, network.backbone.logit_scale):
        scale.copy_(scale.exp().clamp(max=100.0).log() - math.log(factor))
