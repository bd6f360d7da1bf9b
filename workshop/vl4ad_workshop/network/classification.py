# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From embeddings and texts to the class probabilities of each query."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
import torch.nn.functional as F

# Logit of a class without concepts: zero after a softmax, finite in half precision.
EMPTY_CLASS_LOGIT = -1e4
CLASSIFIERS = ('ensemble', 'in', 'out')


@dataclass(frozen=True)
class Classification:
    """
    Choices between embeddings and class probabilities that VL4AD leaves open.

    The defaults are those of FC-CLIP.

    :ivar keep_void: multiply the class probabilities by 1 - p(void), so that a query without an
        object contributes nothing (FC-CLIP); False omits void, the no-object class, as in eq. 1.
    :ivar classifier: ``'ensemble'`` of both classifiers (FC-CLIP), ``'in'`` for the decoder's
        in-vocabulary classifier alone, ``'out'`` for CLIP's own features alone (void is then
        still the decoder's).
    :ivar temperature: T of eq. 1 for both classifiers, 0.001..1000, in place of the two learned
        ones; see `inverse_temperature`. None uses the learned ones.
    :ivar empty_mask_guard: use the in-vocabulary classifier alone for queries whose mask is empty
        at stride 32 (FC-CLIP's ENSEMBLE_ON_VALID_MASK); None takes the network's setting.
        Without the guard, CLIP's features of an empty mask are used although they have no
        meaning: with a ConvNeXt they are the same vector for all such masks, with a ResNet
        those of the whole image (FC-CLIP's code gives NaN there).
    :raises ValueError: if `classifier` or `temperature` is out of range.
    """

    keep_void: bool = True
    classifier: str = 'ensemble'
    temperature: float | None = None
    empty_mask_guard: bool | None = None

    def __post_init__(self) -> None:
        if self.classifier not in CLASSIFIERS:
            raise ValueError(f'classifier is {self.classifier!r}; choose one of '
                             + ', '.join(map(repr, CLASSIFIERS)))
        # Cosines / T must stay far from `EMPTY_CLASS_LOGIT`.
        if self.temperature is not None and not 1e-3 <= self.temperature <= 1e3:
            raise ValueError(f'temperature is {self.temperature}; choose it within 0.001..1000 '
                             '(learned ones lie between 0.01 and 0.1)')

    def out_weight(self, ensemble_weight: Tensor, pixels: Tensor, guard: bool) -> Tensor:
        """
        Return the out-of-vocabulary classifier's weight for `class_probability`.

        :param ensemble_weight: (C,) in 0..1.
        :param pixels: (B, N, 1), pixels of each mask at stride 32.
        :param guard: the network's own setting of the guard for empty masks.
        :return: (C,), or (B, N, C) with the guard.
        """
        weight = torch.ones_like(ensemble_weight) if self.classifier == 'out' else ensemble_weight
        guard = guard if self.empty_mask_guard is None else self.empty_mask_guard
        return weight * (pixels > 0) if guard else weight


def inverse_temperature(log_scale: Tensor, temperature: float | None = None) -> Tensor | float:
    """
    Return 1 / T of VL4AD eq. 1.

    The learned value is exp(log_scale), limited to 100 (FC-CLIP). The limit does not apply to a
    given temperature, so one below 0.01 is sharper than any learned one.

    :param log_scale: scalar, log of the learned inverse temperature.
    :param temperature: replaces the learned one; None does not.
    """
    return log_scale.exp().clamp(max=100.0) if temperature is None else 1 / temperature


def class_logits(embedding: Tensor, concepts: Tensor, concept_class: Tensor, classes: int,
                 log_scale: Tensor, temperature: float | None = None) -> Tensor:
    """
    Return the logit of each class: the best cosine among its concepts, scaled.

    In VL4AD eq. 3 the maximum comes before the softmax. Classes are merged by giving their
    concepts the same index.

    :param embedding: (..., D), any length.
    :param concepts: (P, D), rows of unit length; rows of padding are never read.
    :param concept_class: (P,) int64 in 0..classes - 1, -1 for padding.
    :param classes: number of classes, unused ones included.
    :param log_scale: see `inverse_temperature`.
    :param temperature: see `inverse_temperature`.
    :return: (..., classes); `EMPTY_CLASS_LOGIT` for a class without concepts.
    """
    cosine = torch.matmul(F.normalize(embedding.float(), dim=-1), concepts.t())
    logits = cosine * inverse_temperature(log_scale, temperature)
    if torch.compiler.is_exporting():
        # TensorRT has no scatter with a maximum; this maximum over concepts takes its place.
        member = torch.arange(classes, device=concepts.device)[:, None] == concept_class
        away = torch.where(member, 0.0, 2 * EMPTY_CLASS_LOGIT)
        return (logits[..., None, :] + away).amax(-1).clamp(min=EMPTY_CLASS_LOGIT)
    slot = torch.where(concept_class < 0, classes, concept_class).expand_as(logits)
    best = logits.new_full((*logits.shape[:-1], classes + 1), EMPTY_CLASS_LOGIT)
    return best.scatter_reduce(-1, slot, logits, 'amax')[..., :classes]


def void_logit(embedding: Tensor, void: Tensor, log_scale: Tensor,
               temperature: float | None = None) -> Tensor:
    """
    Return the logit of the no-object class, "void".

    :param embedding: (..., D), any length.
    :param void: (1, D), the learned embedding of that class.
    :param log_scale: see `inverse_temperature`.
    :param temperature: see `inverse_temperature`.
    :return: (..., 1).
    """
    cosine = torch.matmul(F.normalize(embedding.float(), dim=-1), F.normalize(void, dim=-1).t())
    return cosine * inverse_temperature(log_scale, temperature)


def class_probability(in_vocabulary: Tensor, out_vocabulary: Tensor | None, void: Tensor,
                      out_weight: Tensor | None, keep_void: bool = True) -> Tensor:
    """
    Return c of VL4AD eq. 1 with FC-CLIP's geometric ensemble of both classifiers.

    log p_k = (1 - w_k) log softmax(in)_k + w_k log softmax(out)_k, renormalised.

    :param in_vocabulary: (B, N, C) logits of the decoder's classifier, without void.
    :param out_vocabulary: (B, N, C) logits of CLIP's own classifier; None uses the first alone.
    :param void: (B, N, 1) in-vocabulary logit of the no-object class.
    :param out_weight: w, (C,) or (B, N, C) in 0..1; 0 is in-vocabulary alone, 1 out-of-
        vocabulary alone. FC-CLIP: 0.4 for seen classes, 0.8 for others.
    :param keep_void: multiply by 1 - p(void), see `Classification`.
    :return: (B, N, C) in 0..1.
    """
    if out_vocabulary is None:
        probability = in_vocabulary.softmax(-1)
    else:
        log_p = ((1 - out_weight) * in_vocabulary.log_softmax(-1)
                 + out_weight * out_vocabulary.log_softmax(-1))
        probability = log_p.softmax(-1)
    if keep_void:
        p_void = torch.cat([in_vocabulary, void], -1).softmax(-1)[..., -1:]
        probability = probability * (1 - p_void)
    return probability
