# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose temperature, void and ensemble weights on validation pictures, before the export."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
import itertools
import math

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.evaluation.pixel_metrics import IGNORE, PixelMetrics, PixelScores
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.network.classification import class_probability
from vl4ad_workshop.network.uncertainty import semantic_map, uncertainty
from vl4ad_workshop.network.vl4ad import QueryPredictions, Vl4ad
from vl4ad_workshop.scenes.kinds import KINDS, NEAR
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.texts import class_texts

# The values to choose from. FC-CLIP's exponents are 0.4 for classes seen in training, else 0.8.
ALPHAS, BETAS = (0.0, 0.2, 0.4, 0.6), (0.0, 0.4, 0.6, 0.8, 1.0)
SOFTER, KEEP_VOID = (0.5, 0.7, 1.0, 1.4, 2.0), (True, False)
STRIDE = 4
NEAR_OOD, LEFT_OUT = 'near-OOD', 'left out'


@dataclass(frozen=True)
class Setting:
    """
    How embeddings become class probabilities.

    :ivar alpha: exponent of the out-of-vocabulary classifier for classes with masks in training.
    :ivar beta: the same for other classes.
    :ivar softer: factor of both learned temperatures.
    :ivar keep_void: see `Classification`.
    :ivar merit: AP minus FPR95, mean over tasks.
    """

    alpha: float
    beta: float
    softer: float
    keep_void: bool
    merit: float = 0.0


@dataclass(frozen=True)
class Task:
    """
    A picture with labels for one kind of anomaly.

    :ivar name: the group whose kinds are anomalies; `NEAR_OOD` for the kinds in `kinds.NEAR`;
        `LEFT_OUT` for a known kind whose prompt is removed.
    :ivar without: the known kind whose prompt is removed, or None.
    :ivar labels: (H, W) uint8, 1 = anomaly, 0 = other known kinds, 255 = neither.
    """

    name: str
    without: str | None
    labels: np.ndarray


def tasks(segments: np.ndarray, kinds: Sequence[str], index: int) -> list[Task]:
    """
    Return the tasks of a picture: one for each group of anomalies, and one known kind left out.

    `index` selects the kind that is left out, so that many pictures cover all kinds. A model has
    to respond when words are removed, too.
    """
    known = sorted({k for k in kinds if KINDS[k].group == 'known'})
    left = known[index % len(known)]
    groups = defaultdict(set)
    for k in kinds:
        groups[NEAR_OOD if k in NEAR else KINDS[k].group].add(k)
    groups.pop('known')
    return [*(Task(name, None, anomaly_labels(segments, kinds, anomalies))
              for name, anomalies in sorted(groups.items())),
            Task(LEFT_OUT, left, anomaly_labels(segments, kinds, {left}))]


def anomaly_labels(segments: np.ndarray, kinds: Sequence[str], anomalies: Container[str]
                   ) -> np.ndarray:
    """Label pixels: 1 where the kind is an anomaly, else 0 where it is known, else 255."""
    table = [1 if k in anomalies else 0 if KINDS[k].group == 'known' else IGNORE for k in kinds]
    return np.array([*table, IGNORE], np.uint8)[segments]


@torch.no_grad()
def choose_setting(network: Vl4ad, tokenizer: Tokenizer, vocabulary: Vocabulary, seen: set[str],
                   pictures: PictureSet, device: torch.device) -> Setting:
    """
    Return the setting with the highest AP minus FPR95, averaged over the `tasks` of pictures.

    AP alone does not notice anomalies that score lower than nearly all other pixels.

    :param vocabulary: the prompts.
    :param seen: words that had masks in training.
    :param pictures: validation pictures.
    """
    texts = class_texts(network, [c.concepts for c in vocabulary.classes], tokenizer, device)
    names = [c.name for c in vocabulary.classes]
    unseen = torch.tensor([seen.isdisjoint(c.concepts) for c in vocabulary.classes],
                          device=device)
    settings = [Setting(*s) for s in itertools.product(ALPHAS, BETAS, SOFTER, KEEP_VOID)]
    metrics: dict[Setting, dict[str, PixelMetrics]] = {
        s: defaultdict(PixelMetrics) for s in settings}
    for i, kinds in enumerate(tqdm(pictures.kinds, 'temperature, void and ensemble')):
        image = torch.from_numpy(np.array(pictures.images[i])[None]).to(device)
        answer = network(image, texts)
        masks = answer.mask_logits[0].sigmoid()
        for task in tasks(pictures.segments[i, STRIDE // 2::STRIDE, STRIDE // 2::STRIDE], kinds,
                          i):
            kept = [c for c, name in enumerate(names) if name != task.without]
            known = len(vocabulary.known) - (len(names) - len(kept))
            for keep_void in KEEP_VOID:
                some = [s for s in settings if s.keep_void == keep_void]
                probability = _probability(answer, kept, unseen[kept], some)
                for setting, p in zip(some, probability[..., :known]):
                    u = uncertainty(semantic_map(masks, p)).cpu().numpy()
                    metrics[setting][task.name].add(u, task.labels)
    merit = {s: float(np.mean([_margin(m.result()) for m in of_task.values()]))
             for s, of_task in metrics.items()}
    best = max(settings, key=merit.__getitem__)
    return replace(best, merit=merit[best])


def _margin(scores: PixelScores) -> float:
    if scores.ap is None or scores.fpr95 is None:
        return 0.0
    return scores.ap - scores.fpr95


def _probability(answer: QueryPredictions, classes: Sequence[int], unseen: Tensor,
                 settings: Sequence[Setting]) -> Tensor:
    """Return (S, N, C) for S settings with the same `keep_void`, computed together for speed."""
    alpha, beta, softer = (
        torch.tensor([getattr(s, name) for s in settings], device=unseen.device)[:, None, None]
        for name in ('alpha', 'beta', 'softer'))
    return class_probability(
        answer.in_vocabulary[..., classes] / softer, answer.out_vocabulary[..., classes] / softer,
        answer.void / softer, torch.where(unseen, beta, alpha), settings[0].keep_void)


@torch.no_grad()
def soften(network: Vl4ad, factor: float) -> None:
    """Multiply both learned temperatures by `factor`, in place."""
    for scale in (network.sem_seg_head.predictor.logit_scale, network.backbone.logit_scale):
        scale.copy_(scale.exp().clamp(max=100.0).log() - math.log(factor))
