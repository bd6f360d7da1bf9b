# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Road-anomaly perception for ROS 2: score every pixel by how badly it fits text prompts.

The public Python API is `Bundle` (a model on disk), `Detector` (a model that runs on an inference
library) and `Pipeline` (from a detector's predictions to confirmed obstacles).
"""

from __future__ import annotations

import importlib
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from vl4ad_ros.bundle import Bundle
    from vl4ad_ros.inference.detector import Detector
    from vl4ad_ros.obstacles.pipeline import Pipeline

__version__ = '0.2.0'
__all__ = ['Bundle', 'Detector', 'Pipeline', '__version__']

_PUBLIC = {
    'Bundle': 'vl4ad_ros.bundle',
    'Detector': 'vl4ad_ros.inference.detector',
    'Pipeline': 'vl4ad_ros.obstacles.pipeline',
}
"""The module of each public class."""


def __getattr__(name: str) -> Any:
    """
    Import a public class when it is first used, because that imports NumPy and more (PEP 562).

    :param name: an attribute that this module does not have.
    :raises AttributeError: if it is no public class.
    """
    if name not in _PUBLIC:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; its public names "
                             f'are {", ".join(__all__)}')
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the names of this module, those included that are imported when they are used."""
    return sorted({*globals(), *__all__})
