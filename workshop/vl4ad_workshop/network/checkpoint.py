# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read official FC-CLIP checkpoints, recognise their architecture, and load them."""

from __future__ import annotations

from collections.abc import Mapping
import functools
from pathlib import Path
import pickle
import re

import safetensors.torch
import torch
from torch import Tensor

from vl4ad_ros.files import stands_for_another, START_BYTES
from vl4ad_workshop.network.config import NetworkConfig, OFFICIAL
from vl4ad_workshop.network.vl4ad import Vl4ad

Shapes = Mapping[str, tuple[int, ...]]

# Prefixes that a wrapper for several GPUs puts before every key.
_WRAPPERS = ('module.', '_orig_mod.')
# Entries that only training needs (weights of the loss), and constants that this network does
# not store in its state dict.
_IGNORED = ('criterion.', 'pixel_mean', 'pixel_std', 'backbone.clip_model.attn_mask')
_MOST_ROWS = 40


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says what was expected and what to do."""


def load_checkpoint(path: str | Path) -> Vl4ad:
    """
    Return the network of a checkpoint with its weights, in evaluation mode.

    Weights stay mapped from the file if its format allows it, so that they need no second copy.

    :param path: an FC-CLIP checkpoint (``.pth``, as detectron2 saves it, or a bare state dict)
        or its state dict as ``.safetensors``.
    :raises CheckpointError: if it cannot be read, is not an FC-CLIP network, or keys are missing,
        unexpected or of another shape; the message has a table of them.
    """
    state = read_state(path)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    config = recognise(shapes, str(path))
    network = empty_network(config)
    # Half-precision checkpoints are converted, because everything here computes in float32.
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    network.load_state_dict(state, assign=True)
    network.backbone.requires_grad_(False)
    return network.eval()


def read_state(path: str | Path) -> dict[str, Tensor]:
    """
    Return the network's part of a checkpoint file, without executing any code in it.

    :param path: a ``.pth`` or ``.safetensors`` file.
    :return: tensors by name, without the prefixes that wrappers for several GPUs add.
    :raises CheckpointError: if the file cannot be read or holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at '{path}'; give the file that you downloaded, "
                              'such as fcclip_cocopan.pth')
    with path.open('rb') as stream:
        other = stands_for_another(stream.read(START_BYTES))
    if other:
        raise CheckpointError(f'{path} {other}')
    try:
        if path.suffix == '.safetensors':
            content = safetensors.torch.load_file(path)
        else:
            content = _load_pickled(path)
    except pickle.UnpicklingError as error:
        # PyTorch's own message recommends to execute the code in the file.
        named = re.search(r'GLOBAL (\S+)', str(error))
        raise CheckpointError(
            f'{path} is not a PyTorch checkpoint, or it contains more than tensors and plain '
            f'values ({named[1] if named else "unreadable"}), which are not loaded because they '
            "could execute code; save the state dict alone: torch.save({'model': "
            "model.state_dict()}, 'new.pth')") from error
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise CheckpointError(
            f'{path} cannot be read ({str(error).partition(". ")[0] or repr(error)}); it may be '
            'incomplete: compare its size with the source and download it again') from error
    for key in ('model', 'state_dict'):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(
            isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        raise CheckpointError(f'{path} holds no state dict (a table of tensors by name, alone or '
                              "under 'model'); give a checkpoint of FC-CLIP")
    for prefix in _WRAPPERS:
        if all(k.startswith(prefix) for k in content):
            content = {k[len(prefix):]: v for k, v in content.items()}
    return {k: v for k, v in content.items() if not k.startswith(_IGNORED)}


def recognise(shapes: Shapes, source: str) -> NetworkConfig:
    """
    Return the architecture whose state dict has exactly these keys and shapes.

    :param shapes: the shape of each weight by name.
    :param source: name of the state dict for an error message.
    :raises CheckpointError: with a table of the differences from the nearest architecture.
    """
    def agreeing(name: str) -> int:
        return sum(shapes.get(k) == shape for k, shape in expected_shapes(name).items())

    # The fewest keys first, because the keys of a shallow network are a subset of a deeper one's.
    nearest = max(sorted(OFFICIAL, key=lambda n: len(expected_shapes(n))), key=agreeing)
    expected = expected_shapes(nearest)
    if shapes == expected:
        return OFFICIAL[nearest]
    rows = [('missing', k, s, None) for k, s in expected.items() if k not in shapes]
    rows += [('unexpected', k, None, s) for k, s in shapes.items() if k not in expected]
    rows += [('mismatched', k, s, shapes[k]) for k, s in expected.items()
             if k in shapes and shapes[k] != s]
    raise CheckpointError(
        f'{source} is not a checkpoint of FC-CLIP that this package knows. Nearest is {nearest}: '
        f'{agreeing(nearest)} of its {len(expected)} keys agree, {len(rows)} differ:\n'
        f'{_table(rows)}\nKnown: {", ".join(OFFICIAL)}. Download the checkpoint again, or save '
        'the whole state dict, its CLIP included')


@functools.cache
def expected_shapes(name: str) -> Shapes:
    """Return the key and shape of every weight of one of `OFFICIAL`."""
    with torch.device('meta'):
        network = Vl4ad(OFFICIAL[name])
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def empty_network(config: NetworkConfig) -> Vl4ad:
    """
    Return a network without memory for its weights, for ``load_state_dict(assign=True)``.

    :param config: the architecture.
    """
    with torch.device('meta'):
        network = Vl4ad(config)
    # Constants are not part of the state dict.
    network.pixel_mean, network.pixel_std = torch.tensor(config.mean), torch.tensor(config.std)
    length = config.context_length
    network.backbone.clip_model.attn_mask = torch.full(
        (length, length), float('-inf')).triu_(1)
    return network


def _load_pickled(path: Path) -> object:
    try:
        return torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except RuntimeError as error:
        if 'mmap' not in str(error):
            raise
        # Files from before PyTorch 1.6 cannot be mapped.
        return torch.load(path, map_location='cpu', weights_only=True)


def _table(rows: list[tuple[str, str, tuple | None, tuple | None]]) -> str:
    cells = [('problem', 'key', 'expected', 'found')]
    cells += [(problem, key, *('-' if s is None else str(list(s)) for s in shapes))
              for problem, key, *shapes in rows[:_MOST_ROWS]]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    lines = ['  ' + '  '.join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells]
    if len(rows) > _MOST_ROWS:
        lines.append(f'  ... and {len(rows) - _MOST_ROWS} more')
    return '\n'.join(lines)
