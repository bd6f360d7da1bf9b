# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch on an NVIDIA GPU: 'torch-cuda', which never computes on the CPU instead."""

from __future__ import annotations

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.backend import Backend, BackendOptions
from vl4ad_ros.inference.errors import BackendUnavailable
from vl4ad_ros.inference.tensorrt.cuda import find_device


def open_backend(bundle: Bundle, options: BackendOptions) -> Backend:
    """Load a bundle; see `backends.open_backend`."""
    from vl4ad_workshop.network.torch_backend import Torch
    return Torch(bundle, options)


def unavailable(options: BackendOptions) -> str:
    """Return why PyTorch cannot use the GPU, with the cure, or ``''``."""
    try:
        find_device(options.device)
    except BackendUnavailable as error:
        return str(error)
    # PyTorch takes seconds to import: only where there is a GPU.
    from torch import cuda
    if not cuda.is_available():
        return 'this PyTorch does not see the GPU; install one built for CUDA (pytorch.org)'
    return '' if options.device < cuda.device_count() else (
        f'no GPU {options.device}: PyTorch sees {cuda.device_count()} (numbered from 0)')
