# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The API that TensorRT and TensorRT-RTX share, as an object to pass around."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from vl4ad_ros.runtime.backends import BackendUnavailable

LOG_LINES = 40


@dataclass(frozen=True)
class Library:
    """
    One of the two libraries.

    :ivar name: of the backend, such as ``'tensorrt'``.
    :ivar module: what its ``import`` gives.
    """

    name: str
    module: ModuleType

    @property
    def version(self) -> str:
        """Version, such as ``'10.3.0'``."""
        return self.module.__version__

    @property
    def targets(self) -> dict[str, Any] | None:
        """Compute capabilities that need no GPU to build for; None if the library needs one."""
        names = getattr(self.module, 'ComputeCapability', None)
        return names and {f'{name[2:-1]}.{name[-1]}': value
                          for name, value in names.__members__.items() if name.startswith('SM')}

    def check_target(self, gpu: str, compute_capability: str) -> None:
        """
        Refuse a GPU that the library cannot build for.

        :raises BackendUnavailable: with the compute capabilities that it can build for.
        """
        if self.targets is not None and compute_capability not in self.targets:
            raise BackendUnavailable(
                f'{self.name} {self.version} has no code for GPU {gpu} of compute capability '
                f'{compute_capability}, only for {", ".join(self.targets)}; use tensorrt')

    def logger(self) -> Any:
        """Return a logger for the library; `lines` of it are its last ones."""
        severities = self.module.ILogger.Severity
        heard = {severities.INTERNAL_ERROR, severities.ERROR, severities.WARNING, severities.INFO}
        base = self.module.ILogger

        class Log(base):
            def __init__(self) -> None:
                base.__init__(self)
                self.lines = deque(maxlen=LOG_LINES)

            def log(self, severity: Any, message: str) -> None:
                if severity in heard:
                    self.lines.append(f'{severity.name}: {message}')

            def said(self) -> str:
                """Return the last errors, or the last line."""
                errors = [line for line in self.lines if 'ERROR' in line.split(':')[0]]
                return '; '.join(errors[-3:] or list(self.lines)[-1:]) or 'it gave no reason'

        return Log()
