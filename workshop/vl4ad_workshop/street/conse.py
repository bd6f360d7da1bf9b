# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
ConSE: from the probabilities of known names to an embedding of what is seen.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014: the
embeddings of the most likely names, weighted by their probabilities. Nothing is trained, so kinds
of things without any training picture keep their place among the words.

The names are those that OpenAI chose for the 1000 classes of ImageNet, from the metadata of PyPI
package open_clip_torch (licence MIT). The embedding of a name is mixed with those of what it is a
kind of, from WordNet 3.1 (Miller, "WordNet: A Lexical Database for English", Communications of the
ACM 38, 1995). Otherwise 'ox' is as far from 'cow' as from 'car' for a text model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

PARENT_SHARE = 0.65
"""The weight of a parent, relative to the name or parent before it."""
_LEAST_WEIGHT = 0.02  # of a cell without an object in the average over its neighbours
_NEVER = -1e4  # a logit that becomes 0 in a softmax, finite in half precision


def imagenet_names() -> list[str]:
    """Return a name for each of the 1000 classes of ImageNet, in the order of its logits."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    return list(IMAGENET_CLASSNAMES)


def imagenet_parents() -> list[list[str]]:
    """Return what each class of ImageNet is a kind of, nearest first, at most four names each."""
    text = resources.files('vl4ad_workshop.street').joinpath('imagenet_parents.txt').read_text()
    return [[name for name in line.split('; ') if name] for line in text.splitlines()
            if not line.startswith('#')]


def embed_with_parents(embed: Callable[[Sequence[str]], np.ndarray],
                       share: float = PARENT_SHARE) -> np.ndarray:
    """
    Return the embeddings of the names of ImageNet, each mixed with those of its parents.

    :param embed: n names to float32 [n, D], unit rows.
    :param share: the weight of a parent, relative to the name or parent before it, 0..1.
    :return: float32 [1000, D], with the same mean as the embeddings of the names alone.
    """
    names, parents = imagenet_names(), imagenet_parents()
    own = embed(names)
    every = sorted({parent for line in parents for parent in line})
    row = {parent: i for i, parent in enumerate(every)}
    known = embed(every)
    mixed = []
    for vector, line in zip(own, parents):
        rows = np.stack([vector, *(known[row[parent]] for parent in line)])
        weight = share ** np.arange(len(rows))
        mixed.append(weight @ rows / weight.sum())
    result = np.stack(mixed)
    # Parents are words like 'animal' and 'device'. What they have in common tells nothing apart.
    return (result - result.mean(0) + own.mean(0)).astype(np.float32)


def conse(logits: Tensor, names: Tensor, top: int, is_object: Tensor) -> Tensor:
    """
    Return the embedding of each cell, averaged over the objects around it.

    A cell is as large as many objects, and its neighbours see other parts of the same object.
    Their embeddings are averaged in proportion to the probability that they show an object.

    :param logits: (h, w, n) of n names.
    :param names: (n, D), unit rows: their embeddings.
    :param top: the number of most likely names that count; all that tie with the last one do.
    :param is_object: (h, w), the probability 0..1 that a cell shows an object.
    :return: (h, w, D), unit vectors.
    """
    # Taking the largest away repeatedly is faster than the operator TopK of inference libraries.
    rest = logits
    for _ in range(top - 1):
        rest = torch.where(rest < rest.amax(-1, keepdim=True), rest, _NEVER)
    least = rest.amax(-1, keepdim=True)
    # A product with all names is faster than collecting the rows of a few.
    share = torch.where(logits >= least, logits, _NEVER).softmax(-1)
    weight = (is_object + _LEAST_WEIGHT)[..., None]
    # The mean over the neighbours is a sum up to a factor that normalisation takes away.
    around = F.avg_pool2d((weight * (share @ names)).permute(2, 0, 1)[None], 3, 1, 1)
    return F.normalize(around[0].permute(1, 2, 0), dim=-1)
