# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages about one frame are found, whatever the stamps of a recording are."""

from contextlib import closing

from bags import make_image
import numpy as np
import pytest

from vl4ad_ros.evaluation.bag_reader import RAW
from vl4ad_ros.evaluation.message_store import MessageStore
from vl4ad_ros.evaluation.message_types import typestore


@pytest.fixture
def store(tmp_path):
    """Yield an empty store."""
    with closing(MessageStore(tmp_path)) as store:
        yield store


def put(store, topic, received_ns, stamp_ns, value):
    """Append a message of one pixel."""
    message = make_image(np.full((1, 1), value, np.uint8), 'mono8', stamp_ns)
    return store.append(topic, received_ns, bytes(typestore().serialize_cdr(message, RAW)))


def value(cdr):
    """Return the pixel of a message."""
    return cdr and int(typestore().deserialize_cdr(cdr, RAW).data[0])


def test_messages_come_back_in_order(store):
    entries = [put(store, 'a', 10 * i, 7, i) for i in range(3)]
    assert [(e, value(cdr)) for e, cdr in store] == [(e, i) for i, e in enumerate(entries)]


def test_by_stamp_however_late(store):
    put(store, 'mask', 1, 100, 1)
    answers = [put(store, 'answer', time, stamp, 0) for time, stamp in ((5, 100), (6, 200))]
    put(store, 'mask', 900, 200, 2)
    assert [value(store.of_same_frame(a, 'mask')) for a in answers] == [1, 2]
    assert store.of_same_frame(answers[0], 'score') is None


def test_where_all_stamps_are_the_same_what_arrived_together_belongs_together(store):
    answers = []
    for i in range(6):
        if i != 2:
            put(store, 'mask', 100 * i, 0, i)
        answers.append(put(store, 'answer', 100 * i + 3, 0, i))
        if i >= 4:
            put(store, 'alerts', 100 * i + 5, 0, i)
    assert [value(store.of_same_frame(a, 'mask')) for a in answers] == [0, 1, None, 3, 4, 5]
    assert [value(store.of_same_frame(a, 'alerts')) for a in answers] == [None] * 4 + [4, 5]


def test_what_another_camera_caused_at_the_same_stamp_comes_before_and_is_passed_over(store):
    put(store, 'obstacles', 10, 100, 1)  # caused by another camera
    answer = put(store, 'answer', 12, 100, 0)
    assert store.next_of_stamp(answer, 'obstacles') is None
    put(store, 'obstacles', 900, 100, 2)
    put(store, 'obstacles', 901, 100, 3)
    assert value(store.next_of_stamp(answer, 'obstacles')) == 2
    assert store.next_of_stamp(put(store, 'answer', 950, 200, 0), 'obstacles') is None
