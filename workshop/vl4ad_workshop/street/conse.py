# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
ConSE: from the probabilities of known names to an embedding of what is seen.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014: the
embeddings of the most likely names, weighted by their probabilities. Nothing is trained, so kinds
of things without any training picture keep their place among the words.

The names are those that OpenAI chose for the 1000 classes of ImageNet, from the metadata of PyPI
package open_clip_torch (licence MIT).
"""

from __future__ import annotations

import torch
from torch import Tensor
import torch.nn.functional as F

_NEVER = -1e4  # a logit that becomes 0 in a softmax, finite in half precision


def imagenet_names() -> list[str]:
    """Return a name for each of the 1000 classes of ImageNet, in the order of its logits."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    return list(IMAGENET_CLASSNAMES)


def conse(logits: Tensor, names: Tensor, top: int) -> Tensor:
    """
    Return the embedding of each cell.

    :param logits: (h, w, n) of n names.
    :param names: (n, D), unit rows: their embeddings.
    :param top: the number of most likely names that count; all that tie with the last one do.
    :return: (h, w, D), unit vectors.
    """
    # Taking the largest away repeatedly is faster than the operator TopK of inference libraries.
    rest = logits
    for _ in range(top - 1):
        rest = torch.where(rest < rest.amax(-1, keepdim=True), rest, _NEVER)
    least = rest.amax(-1, keepdim=True)
    # A product with all names is faster than collecting the rows of a few.
    share = torch.where(logits >= least, logits, _NEVER).softmax(-1)
    return F.normalize(share @ names, dim=-1)
