# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes and their concepts as the network's text input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vl4ad_workshop.network.clip import concept_embeddings
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad


@torch.no_grad()
def class_texts(network: Vl4ad, classes: Sequence[Sequence[str]], tokenize: Callable,
                device: torch.device, ensemble_weight: float = 0.0) -> Texts:
    """
    Embed the concepts of every class by the network's own templates.

    :param classes: the concepts of each class.
    :param tokenize: maps n texts to (n, context_length) integers.
    :param ensemble_weight: of the out-of-vocabulary classifier, for all classes.
    """
    words = [(i, word) for i, concepts in enumerate(classes) for word in concepts]
    templates = network.config.templates
    tokens = torch.as_tensor(tokenize([t.format(w) for _, w in words for t in templates]))
    concepts = concept_embeddings(
        network.backbone, tokens.to(device).unflatten(0, (len(words), len(templates))))
    return Texts(concepts, torch.tensor([i for i, _ in words], device=device), len(classes),
                 torch.full((len(classes),), ensemble_weight, device=device))
