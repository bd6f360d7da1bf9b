# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Long work inside a callback, without leaving everything else undone."""

from __future__ import annotations

from concurrent.futures import Future, wait
from threading import enumerate as all_threads, Thread
from typing import Callable, TypeVar

T = TypeVar('T')

_NAME = 'vl4ad_aside'


def aside(work: Callable[[], T], meanwhile: Callable[[], None], poll_s: float) -> T:
    """
    Return ``work()``, done in another thread; call `meanwhile` every `poll_s` seconds until then.

    rclpy's executor of several threads would go on serving, too, but delays single images by
    tenths of a second.

    :raises Exception: what `work` raises; what `meanwhile` raises leaves the work behind.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
    # A daemon: a process that is told to end does not wait for what was left behind.
    thread = Thread(target=run, name=_NAME, daemon=True)
    thread.start()
    while not wait([outcome], poll_s).done:
        meanwhile()
    thread.join()
    return outcome.result()


def left_behind() -> bool:
    """Whether some such work goes on that nobody waits for."""
    return any(thread.name == _NAME for thread in all_threads())
