# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The mailbox and the worker that empties it."""

from __future__ import annotations

from threading import Event

from vl4ad_ros.node.mailbox import Mailbox
from vl4ad_ros.node.worker import Worker


def test_latest_wins_and_the_overwritten_are_counted():
    box = Mailbox()
    for item in (1, 2, 3):
        box.put(item)
    assert (box.take(), box.replaced) == (3, 2)
    box.put(4)
    box.close()
    assert box.take() is None


def test_worker_finishes_the_item_in_hand_and_takes_no_other():
    box, begun, go_on, done = Mailbox(), Event(), Event(), []

    def work(item):
        begun.set()
        assert go_on.wait(10)
        done.append(item)
    worker = Worker(box, work, done.append)
    box.put('first')
    assert begun.wait(10)
    box.put('second')
    box.close()
    go_on.set()
    assert worker.stop(5)
    assert done == ['first']


def test_worker_says_what_it_died_of():
    box, died, dead = Mailbox(), [], Event()

    def bury(error):
        died.append(error)
        dead.set()
    worker = Worker(box, lambda item: 1 / item, bury)
    box.put(0)
    assert dead.wait(10)
    assert worker.stop(5)
    assert isinstance(died[0], ZeroDivisionError)
