# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that decodes, infers and publishes, so that the executor never waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Thread
import time
from typing import Generic, TypeVar

import numpy as np

from vl4ad_ros.node.mailbox import Mailbox

T = TypeVar('T')

_WINDOW = 100
"""The usual duration is the median over this many items that were not refused."""
_PATIENCE_S, _FIRST_PATIENCE_S = 5.0, 60.0
"""Shortest time after which an item counts as hung, and that time for the first one."""
_PATIENCE = 10
"""An item counts as hung after this many times the usual duration."""


class Worker(Generic[T]):
    """
    Calls a function with each item of a mailbox, in a thread of its own, until `stop`.

    :param mailbox: gives the items.
    :param work: is called with the sender of each item and the item, and tells whether it did all
        of its work on it, as opposed to refusing it; an exception ends the thread.
    :param died: is called with the exception that ended the thread.
    """

    def __init__(self, mailbox: Mailbox[T], work: Callable[[str, T], bool],
                 died: Callable[[BaseException], None]) -> None:
        self._mailbox = mailbox
        self._work = work
        self._died = died
        self._durations_s: deque[float] = deque(maxlen=_WINDOW)
        self._began: float | None = None
        self._thread = Thread(target=self._loop, name='vl4ad_worker', daemon=True)
        self._thread.start()

    @property
    def patience_s(self) -> float:
        """Seconds after which an item that is not done counts as hung."""
        durations_s = self._durations_s.copy()
        if not durations_s:
            return _FIRST_PATIENCE_S
        return max(_PATIENCE_S, _PATIENCE * float(np.median(durations_s)))

    @property
    def hung_s(self) -> float:
        """Seconds since the work on the current item began, if it hangs; else 0."""
        began = self._began
        taken_s = 0.0 if began is None else time.monotonic() - began
        return taken_s if taken_s > self.patience_s else 0.0

    def stop(self) -> bool:
        """
        Close the mailbox, and wait `patience_s` at most until the current item is done.

        :returns: True if the thread has ended, False if it is still working.
        """
        self._mailbox.close()
        self._thread.join(self.patience_s)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        try:
            while (taken := self._mailbox.take()) is not None:
                self._began = began = time.monotonic()
                if self._work(*taken):
                    self._durations_s.append(time.monotonic() - began)
                self._began = None
        except BaseException as error:
            self._died(error)
