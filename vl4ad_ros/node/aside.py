# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Long work on threads of its own, so that the executor's thread goes on serving."""

from __future__ import annotations

from concurrent.futures import Future, wait
from threading import enumerate as all_threads, Thread
from typing import Callable, TypeVar

T = TypeVar('T')

_NAME = 'vl4ad_aside'


def begin(work: Callable[[], T]) -> Future[T]:
    """Start ``work()`` on a thread of its own; the future has its outcome."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
    # A daemon: a process that is told to end does not wait for it.
    Thread(target=run, name=_NAME, daemon=True).start()
    return outcome


def aside(work: Callable[[], T], meanwhile: Callable[[], None], poll_s: float) -> T:
    """
    Return ``work()``, done on another thread; call `meanwhile` every `poll_s` seconds until then.

    For transitions, whose answer is the return value of a callback.

    :raises Exception: what `work` raises; what `meanwhile` raises leaves the work behind.
    """
    outcome = begin(work)
    while not wait([outcome], poll_s).done:
        meanwhile()
    return outcome.result()


def left_behind() -> bool:
    """Whether some such work goes on that nobody waits for."""
    return any(thread.name == _NAME for thread in all_threads())
