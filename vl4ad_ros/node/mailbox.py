# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox for one item, in which a newer item replaces an older one."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """
    Hands the newest item from one thread to another.

    An item that has not been taken is replaced by the next one, so that under overload results
    are late by at most one item.

    :ivar replaced: how many items were replaced before they were taken.
    """

    def __init__(self) -> None:
        self.replaced = 0
        self._item: T | None = None
        self._closed = False
        self._changed = Condition()

    def put(self, item: T) -> None:
        """Put an item into the box; it replaces one that is still there."""
        with self._changed:
            self.replaced += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for an item, remove it and return it; return None once the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Close the box: drop the item inside, and let `take` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
