# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers are matched to their frames, whatever the stamps of a recording are."""

import random

import pytest

from vl4ad_ros.evaluation.answer_matcher import AnswerMatcher

MS = 10**6


def drive(stamps, work_ms, period_ms=100, late_ms=2, seed=0):
    """
    Simulate a node that works on one frame at a time and then takes the newest that waits.

    Return the true frame of each answer and the frame that the matcher found, in order.
    """
    jitter = random.Random(seed)
    matcher, true, said = AnswerMatcher(), [], []
    sent = [i * period_ms * MS for i in range(len(stamps))]
    free_at, index, answers = 0, 0, []
    while index < len(stamps):
        begun = max(free_at, sent[index] + late_ms * MS)
        waiting = [i for i in range(index, len(stamps)) if sent[i] + late_ms * MS <= begun]
        index = waiting[-1]
        free_at = begun + int(work_ms * jitter.uniform(0.8, 1.2)) * MS
        answers.append((free_at + late_ms * MS, index))
        index += 1
    events = sorted([(time, 0, i) for i, time in enumerate(sent)]
                    + [(time, 1, i) for time, i in answers])
    for time, is_answer, i in events:
        if is_answer:
            true.append(i)
            said.append(matcher.answer(stamps[i], time))
        else:
            matcher.send(i, stamps[i], time)
    return true, said


@pytest.mark.parametrize('work_ms', [20, 95, 130, 250, 990])
@pytest.mark.parametrize('stamps', [
    [0] * 60, [i // 2 for i in range(60)], [i % 5 for i in range(60)],
    list(range(60))[::-1], list(range(60))], ids=['zero', 'pairs', 'loop', 'back', 'good'])
def test_every_answer_has_its_frame(stamps, work_ms):
    true, said = drive(stamps, work_ms)
    assert None not in said and len(set(said)) == len(said)
    assert [stamps[i] for i in said] == [stamps[i] for i in true]
    # A frame that went out while an answer was on its way may be taken for the next one.
    assert all(abs(a - b) <= 1 for a, b in zip(said, true))
    assert sum(a != b for a, b in zip(said, true)) <= len(true) / 8
    if len(set(stamps)) == len(stamps) or work_ms < 90:
        assert said == true


def test_no_answer_is_lost_where_the_order_of_events_misleads():
    """A frame went out before the answer arrived, and the node had not seen it yet."""
    matcher = AnswerMatcher()
    matcher.send(0, 7, 0)
    assert matcher.answer(7, 50) == 0
    matcher.send(1, 7, 100)
    matcher.send(2, 7, 101)
    matcher._last_ns = 102
    assert matcher.answer(7, 150) == 2  # It was 1.
    assert matcher.answer(7, 200) == 1 and matcher.answer(7, 210) is None


def test_an_answer_to_nothing_is_not_counted():
    matcher = AnswerMatcher()
    assert matcher.answer(7, 0) is None
    matcher.send(0, 7, 10)
    assert matcher.answer(8, 20) is None and matcher.answer(7, 20) == 0
    assert matcher.answer(7, 30) is None


def test_a_refused_frame_takes_no_answer():
    matcher = AnswerMatcher()
    matcher.send(0, 7, 0)
    matcher.refuse(0)
    matcher.send(1, 7, 10)
    assert matcher.answer(7, 20) == 1
