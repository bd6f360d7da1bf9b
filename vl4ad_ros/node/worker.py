# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that decodes, infers and publishes, so that the executor never waits."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from vl4ad_ros.node.mailbox import Mailbox

T = TypeVar('T')


class Worker(Generic[T]):
    """
    Calls a function with each item of a mailbox, in a thread of its own, until `stop`.

    :param mailbox: gives the items.
    :param work: is called with each item; an exception ends the thread.
    :param died: is called with the exception that ended the thread.
    """

    def __init__(self, mailbox: Mailbox[T], work: Callable[[T], None],
                 died: Callable[[BaseException], None]) -> None:
        self._mailbox = mailbox
        self._work = work
        self._died = died
        self._thread = Thread(target=self._loop, name='vl4ad_worker', daemon=True)
        self._thread.start()

    def stop(self, patience_s: float) -> bool:
        """
        Close the mailbox and wait until the current item is done.

        :param patience_s: longest time to wait, in seconds.
        :returns: True if the thread has ended, False if it is still working.
        """
        self._mailbox.close()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        try:
            while (item := self._mailbox.take()) is not None:
                self._work(item)
        except BaseException as error:
            self._died(error)
