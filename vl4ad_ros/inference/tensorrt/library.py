# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one place that imports TensorRT, and the logger that all of its objects share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vl4ad_ros.inference.errors import BackendUnavailable

NAME = 'tensorrt'
"""Name of the backend, in the registry of backends and in the keys of engines."""
LOG_LINES = 40
"""Number of the library's last log lines that are kept."""
_OLDEST = (10, 3)


@dataclass(frozen=True)
class Library:
    """
    The Python module of TensorRT.

    :ivar module: what ``import tensorrt`` gives.
    """

    module: Any

    @property
    def version(self) -> str:
        """Version of the library, such as ``'10.3.0'``."""
        return str(self.module.__version__)

    def logger(self) -> Any:
        """
        Return the logger that is passed to every object of the library.

        It is an ``ILogger`` with three additions. `lines` is a deque of the last `LOG_LINES`
        lines. `said()` returns the errors among them, or else the last line, as one string.
        `listener` is called with each line; it does nothing unless it is replaced.

        There is one logger for each process, because the library and its plugins keep the first
        one that they are given. The first call also registers the plugins.
        """
        if id(self.module) not in _LOGGERS:
            log = _logger(self.module)
            _LOGGERS[id(self.module)] = self.module, log
            self.module.init_libnvinfer_plugins(log, '')
        return _LOGGERS[id(self.module)][1]


_LOGGERS: dict[int, tuple[Any, Any]] = {}


def load_library() -> Library:
    """
    Import TensorRT.

    :raises BackendUnavailable: if it is not installed or is older than 10.3; the message names
        the remedy.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise BackendUnavailable(
            f'TensorRT cannot be imported ({error}); run: pip install tensorrt. On a Jetson run: '
            'apt install python3-libnvinfer, and create the virtual environment with '
            '--system-site-packages') from error
    if tuple(map(int, tensorrt.__version__.split('.')[:2])) < _OLDEST:
        raise BackendUnavailable(
            f'TensorRT {tensorrt.__version__} is too old: engines need 10.3 or newer, which '
            'JetPack has since version 6.1. Update it, or use the onnxruntime backend')
    return Library(tensorrt)


def _logger(module: Any) -> Any:
    severities = module.ILogger.Severity
    heard = {severities.INTERNAL_ERROR, severities.ERROR, severities.WARNING, severities.INFO}

    class Log(module.ILogger):
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=LOG_LINES)
            self.listener: Callable[[str], None] = lambda line: None

        def log(self, severity: Any, message: str) -> None:
            if severity in heard:
                line = f'{severity.name}: {message}'
                self.lines.append(line)
                self.listener(line)

        def said(self) -> str:
            errors = [line for line in self.lines if 'ERROR' in line.split(':')[0]]
            return '; '.join(errors[-3:] or list(self.lines)[-1:]) or 'it gave no reason'

    return Log()
