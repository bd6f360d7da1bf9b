# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Log lines of the parts of this package that do not use ROS, for the node's log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import logging


@contextmanager
def forwarded(info: Callable[[str], None], warning: Callable[[str], None]) -> Iterator[None]:
    """
    Pass on what this package logs inside the `with` block, in any thread.

    :param info: is called with each line below the level WARNING.
    :param warning: is called with each line of the level WARNING or above.
    """
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
