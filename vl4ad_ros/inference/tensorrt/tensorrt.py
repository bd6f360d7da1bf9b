# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10.3 to 11.x on NVIDIA GPUs, Jetson included; see docs/engines.md."""

from __future__ import annotations

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendUnavailable
from vl4ad_ros.inference.tensorrt.backend import EngineBackend, why_unavailable
from vl4ad_ros.inference.tensorrt.library import Library

_OLDEST = (10, 3)


def load_library() -> Library:
    """
    Import TensorRT.

    :raises BackendUnavailable: if it is missing, or older than 10.3.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise BackendUnavailable(
            f'TensorRT cannot be imported ({error}); pip install tensorrt, or on a Jetson apt '
            'install python3-libnvinfer and create the virtual environment with '
            '--system-site-packages') from error
    if tuple(map(int, tensorrt.__version__.split('.')[:2])) < _OLDEST:
        raise BackendUnavailable(
            f'TensorRT {tensorrt.__version__} is too old (JetPack before 6.1?): engines need '
            '10.3 or newer; use --backend torch or onnxruntime here')
    return Library('tensorrt', tensorrt)


def unavailable(options: BackendOptions) -> str:
    """Return why this backend cannot be used here, with the cure, or ``''``."""
    return why_unavailable(load_library, options)


def open_backend(bundle: Bundle, options: BackendOptions) -> EngineBackend:
    """Load a bundle's engine; see `EngineBackend`."""
    return EngineBackend(load_library(), bundle, options)
