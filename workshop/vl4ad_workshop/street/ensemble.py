# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The geometric ensemble of the street head and ConSE, in terms of the prompts' classes.

Yu et al., "Convolutions Die Hard: Open-Vocabulary Segmentation with Single Frozen Convolutional
CLIP" (FC-CLIP), NeurIPS 2023, combine a classification that was trained on masks (in-vocabulary)
with one that was not (out-of-vocabulary). Here the former is the street head. The probability of a
street word goes to the classes whose prompts are near its names. The latter is ConSE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vl4ad_workshop.network.classification import EMPTY_CLASS_LOGIT
from vl4ad_workshop.street.enlargement import enlarge


@dataclass(frozen=True)
class EnsembleConstants:
    """
    The numbers of the ensemble, which were chosen on development data.

    A classification is a softmax over the cosines of the classes and the constant cosine of void,
    the class of everything that no prompt describes.

    :ivar top: number of the most likely ImageNet names that ConSE averages.
    :ivar in_temperature: divides the cosines between a street word and the prompts, above 0.
    :ivar in_void: the cosine of void there, -1..1.
    :ivar out_temperature: divides the cosines between ConSE's embedding and the prompts, above 0.
    :ivar out_void: the cosine of void there, -1..1.
    :ivar near: a class with a prompt whose cosine with a name of a street word is at least this
        is known to the head. All other classes also receive the head's probability of 'object'.
    :ivar floor: the least probability, above 0, before the logarithm.
    """

    top: int = 10
    in_temperature: float = 0.05
    in_void: float = 0.75
    out_temperature: float = 0.05
    out_void: float = 0.35
    near: float = 0.75
    floor: float = 3e-4


def ensemble(street: Tensor, embedding: Tensor, names: Tensor, names_of_word: Sequence[int],
             concepts: Tensor, concept_class: Tensor, ensemble_weight: Tensor,
             constants: EnsembleConstants = EnsembleConstants()) -> tuple[Tensor, Tensor]:
    """
    Return the logarithm of each class's share of each cell, not yet divided by the sum.

    log g_k = (1 - w_k) log in_k + w_k log out_k, where in and out are probabilities and w is the
    exponent of the class. The weight of void is that of the class with the largest weight.

    Classes that the head does not know, and void, share its probability of 'object'. FC-CLIP's
    formula would raise their sum with every class that is added, because the exponent makes small
    probabilities large. So the formula holds for their sum, and out_k divides it among them:
    log g_k = (1 - w_k) log in_k + w_k log out_new + log(out_k / out_new), where out_new is the sum
    of their out_k. Words that describe nothing in the picture then change nothing.

    The second result decides which known class a cell is. There, all classes near a street word
    have the sum of their out_k, so that the head alone decides among them: ImageNet has no class
    for people, roads or the sky, and ConSE takes them for whatever is near.

    :param street: (h, w, S + 1), probabilities of S street words and, last, of 'object'.
    :param embedding: (h', w', D), unit vectors of ConSE on a coarser grid.
    :param names: (n, D), unit rows: the names of all street words, in their order.
    :param names_of_word: the number of names of each of the S words; their sum is n.
    :param concepts: (P, D), unit rows; unused rows are 0.
    :param concept_class: (P,) int64, 0..C - 1; -1 for unused rows.
    :param ensemble_weight: w, (C,) in 0..1; unused classes have 0.
    :param constants: the numbers in the formula.
    :return: twice (h, w, C + 1), at most 0, void last; about `EMPTY_CLASS_LOGIT` for a class
        without concepts.
    """
    height, width, _ = street.shape
    rows, columns, _ = embedding.shape
    cells = rows * columns
    cosine, is_used = class_cosines(torch.cat([embedding.flatten(0, 1), names]), concepts,
                                    concept_class, len(ensemble_weight))
    in_cosine = torch.stack([of_word.amax(0) for of_word in cosine[cells:].split(
        list(names_of_word))])
    table = _with_void(in_cosine, constants.in_temperature, constants.in_void)
    is_near = (in_cosine.amax(0) >= constants.near) & is_used
    is_new = torch.cat([1 - is_near.float(), table.new_ones(1)])
    # One product gives each class its share of every street word and of 'object'.
    inside = street @ torch.cat([table, is_new[None]])
    weight = torch.cat([ensemble_weight, ensemble_weight.amax(0, keepdim=True)])
    by_name = _with_void(cosine[:cells], constants.out_temperature, constants.out_void)
    of_near = (by_name * (1 - is_new)).sum(-1, keepdim=True)
    of_new = (by_name * is_new).sum(-1, keepdim=True)
    log_name, log_of_near, log_of_new = (share.clamp(min=constants.floor).log()
                                         for share in (by_name, of_near, of_new))
    of_new_class = log_name - (1 - weight) * log_of_new
    # A class without concepts loses all of its share here.
    empty = torch.cat([torch.where(is_used, 0.0, EMPTY_CLASS_LOGIT), weight.new_zeros(1)])
    # What depends on ConSE alone is computed on its own grid and enlarged afterwards.
    outside, outside_of_near = (
        enlarge((torch.where(is_new > 0, of_new_class, weight * log_out) + empty)
                .reshape(rows, columns, -1), height, width)
        for log_out in (log_name, log_of_near))
    inside = (1 - weight) * inside.clamp(min=constants.floor).log()
    return inside + outside, inside + outside_of_near


def class_cosines(embedding: Tensor, concepts: Tensor, concept_class: Tensor, classes: int,
                  ) -> tuple[Tensor, Tensor]:
    """
    Return the best cosine among the concepts of each class (VL4AD eq. 3).

    `classification.class_logits` does the same for fewer embeddings. Its product of embeddings,
    concepts and classes would take a quarter of the street model's time on a CPU. Here the
    maximum runs along the concepts, which are sorted by class, in steps of doubled length (Hillis
    and Steele, "Data parallel algorithms", Communications of the ACM 29, 1986).

    :param embedding: (n, D), unit rows.
    :param concepts: (P, D), unit rows; unused rows are 0.
    :param concept_class: (P,) int64, 0..C - 1 in any order; -1 for unused rows.
    :param classes: C.
    :return: (n, C), -1..1, `EMPTY_CLASS_LOGIT` for a class without concepts; and whether each
        class has concepts, (C,) bool.
    """
    # The place of a concept is the number of those before it. Comparing all pairs takes less time
    # than the operator TopK, which inference libraries do not have for all types.
    place = torch.arange(len(concepts), device=concepts.device)
    goes_before = (concept_class < concept_class[:, None]) | (
        (concept_class == concept_class[:, None]) & (place < place[:, None]))
    move = (goes_before.int().sum(1) == place[:, None]).float()
    sorted_class = move @ concept_class.float()
    best = embedding @ (move @ concepts).t()
    step = 1
    while step < len(concepts):
        is_same = sorted_class[step:] == sorted_class[:-step]
        before = torch.where(is_same, best[:, :-step], EMPTY_CLASS_LOGIT)
        best = torch.cat([best[:, :step], torch.maximum(best[:, step:], before)], 1)
        step *= 2
    # The last concept of a class has the maximum of all of them.
    is_last = torch.cat([sorted_class[1:] != sorted_class[:-1],
                         sorted_class.new_ones(1, dtype=torch.bool)])
    index = torch.arange(classes, device=concepts.device, dtype=sorted_class.dtype)
    pick = ((sorted_class[:, None] == index) & is_last[:, None]).float()
    is_used = pick.sum(0) > 0
    return best @ pick + torch.where(is_used, 0.0, EMPTY_CLASS_LOGIT), is_used


def _with_void(cosine: Tensor, temperature: float, void: float) -> Tensor:
    """Return probabilities (..., C + 1) of the classes and of void from cosines (..., C)."""
    constant = torch.full_like(cosine[..., :1], void)
    return (torch.cat([cosine, constant], -1) / temperature).softmax(-1)
