# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Handle Ctrl-C and SIGTERM, and hold them back where they would leave something half done."""

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
    Raised in the main thread on Ctrl-C or SIGTERM.

    This is a class of its own because CPython remembers a plain KeyboardInterrupt that passes
    through `exec`, which the creation of a dataclass uses. A program that was started with
    `python -m` would then end by SIGINT instead of with its exit code, although it caught the
    exception.
    """


_came = False


def stoppable() -> None:
    """Raise `Stopped` in the main thread on Ctrl-C and SIGTERM from now on."""
    global _came
    _came = False
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def check() -> None:
    """
    Raise `Stopped` if it has been raised before.

    Compiled code that is interrupted may turn the exception into another one, as the import of
    rclpy does, or may drop it.
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
    Run the whole block, and act only afterwards on a Ctrl-C or SIGTERM that arrived meanwhile.

    This is meant for short blocks, such as those that move results into place, end a child process
    or remove a folder. Python delivers signals to the main thread only, so this does nothing in
    other threads.
    """
    if current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    # A signal that is ignored is not noted, or it would take the place of one that is not.
    before = {number: handler for number in STOPPING
              if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def ignore() -> None:
    """
    Ignore Ctrl-C and SIGTERM from now on.

    This is meant for a process that has chosen its exit code. The interpreter restores the default
    handlers when it ends, and with these a signal would still kill the process.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
