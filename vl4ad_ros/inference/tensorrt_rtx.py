# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT for RTX on GeForce and RTX GPUs; see docs/engines.md."""

from __future__ import annotations

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendUnavailable
from vl4ad_ros.inference.tensorrt.backend import EngineBackend, why_unavailable
from vl4ad_ros.inference.tensorrt.library import Library


def load_library() -> Library:
    """
    Import TensorRT for RTX.

    :raises BackendUnavailable: if it is missing.
    """
    try:
        import tensorrt_rtx
    except ImportError as error:
        raise BackendUnavailable(f'TensorRT for RTX cannot be imported ({error}); '
                                 'pip install tensorrt-rtx') from error
    return Library('tensorrt-rtx', tensorrt_rtx, is_rtx=True)


def unavailable(options: BackendOptions) -> str:
    """Return why this backend cannot be used here, with the cure, or ``''``."""
    return why_unavailable(load_library, options)


def open_backend(bundle: Bundle, options: BackendOptions) -> EngineBackend:
    """Load a bundle's engine; see `EngineBackend`."""
    return EngineBackend(load_library(), bundle, options)
