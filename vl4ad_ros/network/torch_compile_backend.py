# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch with `torch.compile`: 'torch-compile', which only an explicit choice gets."""

from __future__ import annotations

import shutil

from vl4ad_ros.network import torch_backend
from vl4ad_ros.runtime.backends import BackendOptions
from vl4ad_ros.runtime.bundle import Bundle


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
