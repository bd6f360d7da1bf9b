# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What arrived about one frame is found again (needs nothing)."""

from contextlib import closing

from bags import make_image
import numpy as np
import pytest

from vl4ad_ros.evaluation.bag_reader import RAW
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.spool import Spool


@pytest.fixture
def spool(tmp_path):
    """Yield an empty spool."""
    with closing(Spool(tmp_path)) as spool:
        yield spool


def put(spool, topic, received_ns, stamp_ns, value):
    """Append a message of one pixel."""
    message = make_image(np.full((1, 1), value, np.uint8), 'mono8', stamp_ns)
    return spool.append(topic, received_ns, bytes(typestore().serialize_cdr(message, RAW)))


def value(cdr):
    """Return the pixel of a message."""
    return cdr and int(typestore().deserialize_cdr(cdr, RAW).data[0])


def test_messages_come_back_in_order(spool):
    entries = [put(spool, 'a', 10 * i, 7, i) for i in range(3)]
    assert [(e, value(cdr)) for e, cdr in spool] == [(e, i) for i, e in enumerate(entries)]


def test_by_stamp_however_late(spool):
    put(spool, 'mask', 1, 100, 1)
    answers = [put(spool, 'answer', time, stamp, 0) for time, stamp in ((5, 100), (6, 200))]
    put(spool, 'mask', 900, 200, 2)
    assert [value(spool.beside(a, 'mask')) for a in answers] == [1, 2]
    assert spool.beside(answers[0], 'score') is None


def test_where_all_stamps_are_the_same_what_arrived_together_belongs_together(spool):
    answers = []
    for i in range(6):
        if i != 2:
            put(spool, 'mask', 100 * i, 0, i)
        answers.append(put(spool, 'answer', 100 * i + 3, 0, i))
        if i >= 4:
            put(spool, 'alerts', 100 * i + 5, 0, i)
    assert [value(spool.beside(a, 'mask')) for a in answers] == [0, 1, None, 3, 4, 5]
    assert [value(spool.beside(a, 'alerts')) for a in answers] == [None] * 4 + [4, 5]
