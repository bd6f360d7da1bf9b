# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the parts without ROS log, for the node's log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import logging
from typing import Callable


@contextmanager
def forwarded(info: Callable[[str], None], warning: Callable[[str], None]) -> Iterator[None]:
    """Hand each line that this package logs meanwhile, in any thread, to one of the two."""
    class Forward(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            (warning if record.levelno >= logging.WARNING else info)(record.getMessage())
    logger, handler = logging.getLogger('vl4ad_ros'), Forward()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
