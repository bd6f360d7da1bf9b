# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox with one place for each sender, in which a newer item replaces an older one."""

from __future__ import annotations

from collections import Counter
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """
    Hands the newest item of each sender from other threads to one thread.

    An item that has not been taken is replaced by the next one of the same sender, so that under
    overload results are late by at most one item of each sender. The sender that has waited
    longest is served first; one that sends more often than others does not come earlier.

    :ivar replaced: how many items were replaced before they were taken, by sender.
    """

    def __init__(self) -> None:
        self.replaced: Counter[str] = Counter()
        # A dict keeps the order in which its keys were added, and replacing a value keeps it too.
        self._items: dict[str, T] = {}
        self._closed = False
        self._changed = Condition()

    def put(self, sender: str, item: T) -> None:
        """
        Put an item into the box.

        :param sender: whose item it is; it replaces one of the same sender that is still there.
        :param item: the item.
        """
        with self._changed:
            self.replaced[sender] += sender in self._items
            self._items[sender] = item
            self._changed.notify()

    def take(self) -> tuple[str, T] | None:
        """Wait for an item, remove it, return sender and item; None once the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if self._closed:
                return None
            sender = next(iter(self._items))
            return sender, self._items.pop(sender)

    def close(self) -> None:
        """Close the box: drop the items inside, and let `take` return None from now on."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
