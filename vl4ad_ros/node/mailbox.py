# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A box for one thing, where the latest wins: what keeps results young under overload."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """
    Hand the newest item from one thread to another; an item not yet taken is replaced.

    :ivar replaced: items that were overwritten before anybody took them.
    """

    def __init__(self) -> None:
        self.replaced = 0
        self._item: T | None = None
        self._closed = False
        self._changed = Condition()

    def put(self, item: T) -> None:
        """Leave `item`, in place of one that is still waiting."""
        with self._changed:
            self.replaced += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for an item and remove it; None once the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Wake the taker for good; what is still inside is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
