# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weight decay of each parameter, and the schedule of the learning rate."""

from __future__ import annotations

from typing import Any

from torch import nn

from vl4ad_workshop.training.real.config import OptimiserConfig

# The modules that FC-CLIP's training exempts from weight decay. Biases and learned positions
# decay, unless they belong to one of these.
EXEMPT = (nn.GroupNorm, nn.LayerNorm, nn.Embedding)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups for AdamW: with weight decay, then without."""
    decaying, exempt = [], []
    for module in network.modules():
        group = exempt if isinstance(module, EXEMPT) else decaying
        group += [p for p in module.parameters(recurse=False) if p.requires_grad]
    return [{'params': decaying, 'weight_decay': weight_decay},
            {'params': exempt, 'weight_decay': 0.0}]


def learning_rate_factor(config: OptimiserConfig, iteration: int) -> float:
    """Return the share of the full learning rate at an iteration, counted from 0."""
    factor = config.decay ** sum(iteration >= step for step in config.steps)
    if iteration < config.warmup_iterations:
        part = iteration / config.warmup_iterations
        factor *= config.warmup_factor * (1 - part) + part
    return factor
