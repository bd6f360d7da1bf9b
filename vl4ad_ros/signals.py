# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM, held back where they would leave something half done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import signal
from threading import current_thread, main_thread
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Signals by which a user or a service manager ends a program."""


class Stopped(KeyboardInterrupt):
    """
    Ctrl-C or SIGTERM.

    A class of its own, because CPython remembers a plain KeyboardInterrupt that passes through
    `exec`, as in the creation of a dataclass: a program that was started with `python -m` then
    ends by SIGINT instead of with its exit code, although the exception was caught.
    """


_came = False


def stoppable() -> None:
    """Raise `Stopped` in the main thread on Ctrl-C and SIGTERM from here on."""
    global _came
    _came = False
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def check() -> None:
    """
    Raise `Stopped` if it was raised before.

    Code in C that is interrupted may make another error of it (importing rclpy does), or none.
    """
    if _came:
        raise Stopped


def _stop(number: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    raise Stopped


@contextmanager
def undisturbed() -> Iterator[None]:
    """
    Do the whole block, and act on a Ctrl-C or SIGTERM that came meanwhile after it.

    For short blocks: moving results into place, ending a child process, removing a folder.
    Python delivers signals to the main thread only, so in other threads this does nothing.
    """
    if current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    try:
        for number in STOPPING:
            signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def ignore() -> None:
    """
    Ignore Ctrl-C and SIGTERM from here on.

    For a process whose exit code is settled. While the interpreter ends, it first restores the
    default handlers, with which a signal would still kill the process.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
