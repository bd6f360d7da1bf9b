# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The API that TensorRT and TensorRT-RTX share, as an object to pass around."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from vl4ad_ros.inference.errors import BackendUnavailable

LOG_LINES = 40


@dataclass(frozen=True)
class Library:
    """
    One of the two libraries.

    :ivar name: of the backend, such as ``'tensorrt'``.
    :ivar module: what its ``import`` gives.
    :ivar is_rtx: builds without a GPU, and compiles kernels when an engine first runs.
    """

    name: str
    module: ModuleType
    is_rtx: bool = False

    @property
    def version(self) -> str:
        """Version, such as ``'10.3.0'``."""
        return self.module.__version__

    @property
    def targets(self) -> dict[str, Any] | None:
        """Compute capabilities that TensorRT for RTX has code for; None of TensorRT."""
        return {f'{name[2:-1]}.{name[-1]}': value
                for name, value in self.module.ComputeCapability.__members__.items()
                if name.startswith('SM')} if self.is_rtx else None

    def check_target(self, gpu: str, compute_capability: str) -> None:
        """
        Refuse a GPU that the library cannot build for.

        :raises BackendUnavailable: with the compute capabilities that it can build for.
        """
        if self.is_rtx and compute_capability not in self.targets:
            raise BackendUnavailable(
                f'{self.name} {self.version} has no code for GPU {gpu} of compute capability '
                f'{compute_capability}, only for {", ".join(self.targets)}; use tensorrt')

    def logger(self) -> Any:
        """
        Return the library's logger: its `lines` are the last ones, `said()` the errors in them.

        There is one until the process ends, because the library and its plugins keep the first
        that they are given. The first call also makes the plugins known.
        """
        if id(self.module) not in _LOGGERS:
            log = _logger(self.module)
            _LOGGERS[id(self.module)] = self.module, log
            if not self.is_rtx:
                self.module.init_libnvinfer_plugins(log, '')
        return _LOGGERS[id(self.module)][1]


_LOGGERS: dict[int, tuple[ModuleType, Any]] = {}


def _logger(module: ModuleType) -> Any:
    base, severities = module.ILogger, module.ILogger.Severity
    heard = {severities.INTERNAL_ERROR, severities.ERROR, severities.WARNING, severities.INFO}

    class Log(base):
        def __init__(self) -> None:
            base.__init__(self)
            self.lines = deque(maxlen=LOG_LINES)

        def log(self, severity: Any, message: str) -> None:
            if severity in heard:
                self.lines.append(f'{severity.name}: {message}')

        def said(self) -> str:
            errors = [line for line in self.lines if 'ERROR' in line.split(':')[0]]
            return '; '.join(errors[-3:] or list(self.lines)[-1:]) or 'it gave no reason'

    return Log()
