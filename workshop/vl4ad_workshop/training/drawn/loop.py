# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The optimisation loop of all stages; a resumed run gives the result of an uninterrupted one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn, Tensor
from tqdm import tqdm

from vl4ad_workshop.training.drawn.recipe import StageRecipe

SAVE_EVERY = 100
# Fixed for every machine, because batch norm depends on how a batch is divided.
PARTS = 2


def half(device: torch.device) -> torch.autocast:
    """Return an autocast context that uses bfloat16 if the device accelerates it."""
    fast = device.type != 'cpu' or any(
        torch.cpu.get_capabilities().get(unit) for unit in ('avx512_bf16', 'amx_bf16'))
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def optimise(modules: dict[str, nn.Module], loss_at: Callable[[int, int], dict[str, Tensor]],
             recipe: StageRecipe, checkpoint: Path,
             prepare: Callable[[int], None] = lambda step: None) -> None:
    """
    Minimise the mean over `PARTS` of the sum of ``loss_at(step, part)``'s terms.

    Each part of a batch runs in its own thread on one core, which is faster for a small network
    than dividing every operation among cores.

    :param modules: what is trained, by name.
    :param loss_at: returns the terms of the loss for a step and a part. It must depend on these
        two numbers only, so that a resumed run sees the same data as an uninterrupted one.
    :param recipe: steps and rates.
    :param checkpoint: written every 100 steps, atomically, and at the end; if it exists, the run
        continues from it.
    :param prepare: called with the step before each step.
    """
    parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
    # No decay on biases, norms, scales and embeddings of queries (FC-CLIP's recipe).
    optimiser = torch.optim.AdamW(
        [{'params': [p for p in parameters if p.ndim >= 2]},
         {'params': [p for p in parameters if p.ndim < 2], 'weight_decay': 0.0}],
        recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_factor(recipe, step))
    start = 0
    if checkpoint.exists():
        state = _load(checkpoint, modules)
        optimiser.load_state_dict(state['optimiser'])
        schedule.load_state_dict(state['schedule'])
        start = state['step']
    averages: dict[str, float] = {}
    progress = tqdm(range(start, recipe.steps), checkpoint.stem, recipe.steps, initial=start)

    def gradients(step: int, part: int) -> tuple[dict[str, float], tuple[Tensor | None, ...]]:
        terms = loss_at(step, part)
        found = torch.autograd.grad(sum(terms.values()), parameters, allow_unused=True)
        return {name: term.item() for name, term in terms.items()}, found

    with ThreadPoolExecutor(PARTS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for step in progress:
            prepare(step)
            parts = list(pool.map(gradients, [step] * PARTS, range(PARTS)))
            for parameter, *found in zip(parameters, *(g for _, g in parts)):
                found = [g for g in found if g is not None]
                parameter.grad = sum(found) / PARTS if found else None
            nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
            optimiser.step()
            schedule.step()
            for name in parts[0][0]:
                term = sum(terms[name] for terms, _ in parts) / PARTS
                averages[name] = 0.95 * averages.get(name, term) + 0.05 * term
            progress.set_postfix({k: f'{v:.3f}' for k, v in averages.items()}, refresh=False)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == recipe.steps:
                _save(checkpoint, step + 1, modules, optimiser, schedule)


def learning_rate_factor(recipe: StageRecipe, step: int) -> float:
    """Return the share of the full learning rate at a step: linear warm-up, cosine to zero."""
    return min((step + 1) / recipe.warmup, 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


def load_finished(modules: dict[str, nn.Module], recipe: StageRecipe, checkpoint: Path) -> bool:
    """Load a checkpoint of the stage's last step and return True; False without one."""
    return checkpoint.exists() and _load(checkpoint, modules)['step'] == recipe.steps


def _load(checkpoint: Path, modules: dict[str, nn.Module]) -> dict[str, Any]:
    state = torch.load(checkpoint, map_location='cpu', weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(state['modules'][name])
    return state


def _save(checkpoint: Path, step: int, modules: dict[str, nn.Module],
          optimiser: torch.optim.Optimizer,
          schedule: torch.optim.lr_scheduler.LambdaLR) -> None:
    temporary = checkpoint.with_suffix('.tmp')
    torch.save({'step': step, 'modules': {k: m.state_dict() for k, m in modules.items()},
                'optimiser': optimiser.state_dict(), 'schedule': schedule.state_dict()},
               temporary)
    os.replace(temporary, checkpoint)
