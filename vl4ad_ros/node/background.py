# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Long work in background threads, so that the executor's thread can go on serving."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import enumerate as all_threads, Thread
from typing import TypeVar

T = TypeVar('T')

_NAME = 'vl4ad_background'


def submit(work: Callable[[], T]) -> Future[T]:
    """
    Start `work` in a background thread of its own.

    :param work: takes no arguments.
    :returns: a future with the value that `work` returns, or with the exception that it raises.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
    # A daemon thread, because a process that is told to end does not wait for it.
    Thread(target=run, name=_NAME, daemon=True).start()
    return outcome


def run_while(work: Callable[[], T], meanwhile: Callable[[], None], interval_s: float) -> T:
    """
    Run `work` in a background thread and wait for it, calling `meanwhile` again and again.

    This is for transitions, whose answer is the return value of a callback.

    :param work: takes no arguments.
    :param meanwhile: is called in this thread. If it raises, this function raises the same
        exception at once, and `work` goes on in its thread.
    :param interval_s: seconds between two calls of `meanwhile`.
    :returns: the value that `work` returns.
    :raises Exception: the exception that `work` or `meanwhile` raises.
    """
    outcome = submit(work)
    while not wait([outcome], interval_s).done:
        meanwhile()
    return outcome.result()


def is_busy() -> bool:
    """Return whether any background thread of this module is still running."""
    return any(thread.name == _NAME for thread in all_threads())
