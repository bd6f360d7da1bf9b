# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch with `torch.compile`: 'torch-compile', which only an explicit choice gets."""

from __future__ import annotations

import shutil

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_workshop.network import torch_backend


class TorchCompile(torch_backend.Torch):
    """`Torch`, compiled for this machine when it is opened."""

    name = 'torch-compile'


def open_backend(bundle: Bundle, options: BackendOptions) -> TorchCompile:
    """Load and compile a bundle; see `backends.open_backend`."""
    return TorchCompile(bundle, options, compiled=True)


def unavailable(options: BackendOptions) -> str:
    """Return why PyTorch cannot compile, with the cure, or ``''``."""
    if not any(map(shutil.which, ('g++', 'c++', 'clang++'))):
        return 'torch.compile needs a C++ compiler; apt install g++'
    return torch_backend.unavailable(options)
