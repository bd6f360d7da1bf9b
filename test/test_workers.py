# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs in several processes: answers, exceptions, processes that die, and nothing left behind."""

import multiprocessing
import os
from pathlib import Path
import signal
from tempfile import mkdtemp

import pytest

from vl4ad_ros.workers import ATTEMPTS, run_in_processes, WorkerDied


class NeedsTwo(ValueError):
    """An exception that cannot be unpickled, as its constructor takes two arguments."""

    def __init__(self, one, two):
        super().__init__(f'{one} and {two}')


def work(job):
    """Do what a job says, which is a list of words, a folder or a number."""
    action, value = job
    if action == 'die':  # as often as the number says, each time in another process
        marks = Path(value[0])
        died = len(list(marks.iterdir()))
        if died < value[1]:
            (marks / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return died
    if action == 'exit':
        os._exit(value)
    if action == 'raise':
        raise NeedsTwo('one', 'two') if value else KeyError('key')
    if action == 'leave':
        folder = mkdtemp()
        Path(folder, 'large').touch()
        Path(value).write_text(folder)
        os.kill(os.getpid(), signal.SIGKILL)
    return value * 2, os.getpid()


def test_each_job_gets_its_answer_from_a_process_that_is_used_again():
    jobs = [('double', i) for i in range(6)]
    answers = dict(run_in_processes(work, jobs, 2))
    assert {index: answer for index, (answer, _) in answers.items()} == {
        i: 2 * i for i in range(6)}
    processes = {process for _, process in answers.values()}
    assert 1 <= len(processes) <= 2 and os.getpid() not in processes
    assert not multiprocessing.active_children()


def test_a_job_whose_process_is_killed_is_given_to_another_one(tmp_path):
    jobs = [('double', 1), ('die', (tmp_path, 1)), ('double', 3)]
    answers = dict(run_in_processes(work, jobs, 2))
    assert answers[1] == 1 and (answers[0][0], answers[2][0]) == (2, 6)


def test_a_job_that_always_kills_its_process_is_given_up_and_the_others_go_on(tmp_path):
    jobs = [('die', (tmp_path, 9)), ('exit', 3), ('double', 3)]
    answers = dict(run_in_processes(work, jobs, 1))
    assert len(list(tmp_path.iterdir())) == ATTEMPTS
    assert isinstance(answers[0], WorkerDied) and 'SIGKILL' in str(answers[0])
    assert isinstance(answers[1], WorkerDied) and 'exit code 3' in str(answers[1])
    assert answers[2][0] == 6


@pytest.mark.parametrize('value, kind, text', [(0, KeyError, 'key'), (1, RuntimeError, 'one and')])
def test_an_exception_comes_back_and_ends_the_other_processes(value, kind, text):
    with pytest.raises(kind, match=text):
        list(run_in_processes(work, [('raise', value), *[('double', 1)] * 5], 2))
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_leaves_no_temporary_files(tmp_path):
    note = tmp_path / 'note'
    (_, died), = run_in_processes(work, [('leave', note)], 1)
    assert isinstance(died, WorkerDied) and not Path(note.read_text()).exists()
