# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network at the start of a training: from an FC-CLIP checkpoint, or from CLIP weights."""

from __future__ import annotations

from collections.abc import Mapping
import zlib

import torch
from torch import nn, Tensor

from vl4ad_workshop.network.checkpoint import read_state, recognise
from vl4ad_workshop.network.config import NETWORKS
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.training.real.config import ConfigError, TrainingConfig


def build_network(config: TrainingConfig) -> Vl4ad:
    """
    Return the configured network with its initial weights.

    :raises ConfigError: if there is no such network or the weights belong to another one.
    :raises vl4ad_workshop.network.checkpoint.CheckpointError: if the file cannot be read, or
        with a table of keys if it belongs to no network.
    """
    # The tiny network does not use CLIP's tokenizer, and is trained on drawn pictures only.
    known = [name for name in NETWORKS if name != 'tiny']
    if config.network not in known:
        raise ConfigError(f"network is '{config.network}'; expected one of {', '.join(known)}")
    if not config.weights:
        raise ConfigError('weights is empty; set it to an FC-CLIP checkpoint or to CLIP weights '
                          'of open_clip (docs/training.md says where to get them): '
                          '--set weights=FILE')
    state = read_state(config.weights)
    torch.manual_seed(config.seed)
    network = Vl4ad(NETWORKS[config.network])
    if any(key.startswith('sem_seg_head.') for key in state):
        if not _fits(network, state):
            found = recognise({k: tuple(v.shape) for k, v in state.items()}, config.weights)
            raise ConfigError(f'{config.weights} is a checkpoint of {found.name} but network is '
                              f'{config.network}; --set network={found.name}')
        network.load_state_dict(state)
    else:
        clip = network.backbone.clip_model
        if not _fits(clip, state):
            raise ConfigError(
                f'{config.weights} are not the CLIP weights of network {config.network}: '
                f'{_difference(clip, state)}. Set network to the architecture that the file '
                'holds, or download the file that docs/training.md names for this one')
        clip.load_state_dict(state)
    network.backbone.requires_grad_(False)
    return network


def frozen_sum(network: Vl4ad) -> int:
    """Return a checksum of the frozen CLIP, which checkpoints of a training do not hold."""
    total = 0
    for value in network.backbone.clip_model.state_dict().values():
        total = zlib.crc32(value.cpu().contiguous().numpy(), total)
    return total


def _fits(module: nn.Module, state: Mapping[str, Tensor]) -> bool:
    return {k: v.shape for k, v in module.state_dict().items()} == {
        k: v.shape for k, v in state.items()}


def _difference(module: nn.Module, state: Mapping[str, Tensor]) -> str:
    expected = module.state_dict()
    missing = [k for k in expected if k not in state]
    extra = [k for k in state if k not in expected]
    shaped = [k for k in expected if k in state and expected[k].shape != state[k].shape]
    parts = [f"{len(keys)} keys {what}, first '{keys[0]}'" for keys, what in (
        (missing, 'missing'), (extra, 'unexpected'), (shaped, 'of another shape')) if keys]
    return '; '.join(parts)
