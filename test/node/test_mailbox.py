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
        box.put('front', item)
    assert (box.take(), box.replaced['front']) == (('front', 3), 2)
    box.put('front', 4)
    box.close()
    assert box.take() is None


def test_the_sender_that_has_waited_longest_comes_first_however_much_others_send():
    box = Mailbox()
    for sender, item in (('a', 1), ('b', 1), ('a', 2), ('c', 1), ('a', 3)):
        box.put(sender, item)
    assert box.take() == ('a', 3)
    box.put('a', 4)
    box.put('b', 2)
    assert [box.take() for _ in range(3)] == [('b', 2), ('c', 1), ('a', 4)]
    assert box.replaced == {'a': 2, 'b': 1, 'c': 0}


def test_worker_finishes_the_item_in_hand_and_takes_no_other():
    box, begun, go_on, done = Mailbox(), Event(), Event(), []

    def work(sender, item):
        begun.set()
        assert go_on.wait(10)
        done.append(item)
        return True
    worker = Worker(box, work, done.append)
    box.put('front', 'first')
    assert begun.wait(10)
    box.put('front', 'second')
    box.close()
    go_on.set()
    assert worker.stop()
    assert done == ['first']


def test_worker_says_what_it_died_of():
    box, died, dead = Mailbox(), [], Event()

    def bury(error):
        died.append(error)
        dead.set()
    worker = Worker(box, lambda sender, item: 1 / item, bury)
    box.put('front', 0)
    assert dead.wait(10)
    assert worker.stop()
    assert isinstance(died[0], ZeroDivisionError)
