# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One optimisation loop for both stages; stops and resumes at any step with the same result."""

from __future__ import annotations

from collections.abc import Callable
import math
import os
from pathlib import Path

import torch
from torch import nn, Tensor
from tqdm import tqdm

from vl4ad_ros.training.drawn.recipe import StageRecipe

SAVE_EVERY = 100


def optimise(modules: dict[str, nn.Module], loss_at: Callable[[int], dict[str, Tensor]],
             recipe: StageRecipe, checkpoint: Path) -> None:
    """
    Minimise the sum of ``loss_at(step)``'s terms over the modules' trainable parameters.

    `loss_at` draws its batch from the step's number alone, so a resumed run sees what an
    uninterrupted one would. `checkpoint` is written every 100 steps (atomically) and at the
    end; a finished one makes this call load it and return.
    """
    parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
    # No decay on biases, norms, scales and embeddings of queries (FC-CLIP's recipe).
    optimiser = torch.optim.AdamW(
        [{'params': [p for p in parameters if p.ndim >= 2]},
         {'params': [p for p in parameters if p.ndim < 2], 'weight_decay': 0.0}],
        recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_factor(recipe, step))
    start = _resume(checkpoint, modules, optimiser, schedule)
    averages: dict[str, float] = {}
    progress = tqdm(range(start, recipe.steps), checkpoint.stem, recipe.steps, initial=start)
    for step in progress:
        torch.manual_seed(step)
        terms = loss_at(step)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        optimiser.step()
        schedule.step()
        for name, term in terms.items():
            averages[name] = 0.95 * averages.get(name, term.item()) + 0.05 * term.item()
        progress.set_postfix({k: f'{v:.3f}' for k, v in averages.items()}, refresh=False)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == recipe.steps:
            _save(checkpoint, step + 1, modules, optimiser, schedule)


def learning_rate_factor(recipe: StageRecipe, step: int) -> float:
    """Return the share of the full learning rate at a step."""
    first, last = (0, recipe.restart) if step < recipe.restart else (recipe.restart, recipe.steps)
    cosine = 0.5 * (1 + math.cos(math.pi * (step - first) / (last - first)))
    return min((step + 1) / recipe.warmup, cosine)


def _resume(checkpoint: Path, modules, optimiser, schedule) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location='cpu', weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(state['modules'][name])
    optimiser.load_state_dict(state['optimiser'])
    schedule.load_state_dict(state['schedule'])
    return state['step']


def _save(checkpoint: Path, step: int, modules, optimiser, schedule) -> None:
    temporary = checkpoint.with_suffix('.tmp')
    torch.save({'step': step, 'modules': {k: m.state_dict() for k, m in modules.items()},
                'optimiser': optimiser.state_dict(), 'schedule': schedule.state_dict()},
               temporary)
    os.replace(temporary, checkpoint)
