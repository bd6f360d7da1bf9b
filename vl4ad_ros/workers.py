# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Runs independent jobs in several processes; a job whose process dies is given to a new one.

`concurrent.futures.ProcessPoolExecutor` is not used, because the death of one process breaks the
whole pool there and does not tell which job it had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
import os
import pickle
import signal
import tempfile
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from vl4ad_ros.processes import end_with

Job = TypeVar('Job')
Answer = TypeVar('Answer')

ATTEMPTS = 2
"""Number of processes that a job is given to before it counts as failed."""
# A child that is forked would share the threads and locks of inference libraries.
_CONTEXT = get_context('spawn')


class WorkerDied(RuntimeError):
    """All processes that had a job ended before they had finished it; the message says how."""


def run_in_processes(function: Callable[[Job], Answer], jobs: Sequence[Job],
                     count: int) -> Iterator[tuple[int, Answer | WorkerDied]]:
    """
    Run a function on each job, and yield the answers as they come.

    Each process takes one job after the other. Its folder for temporary files belongs to this
    process, which removes it in the end, so a process that dies leaves nothing behind.

    :param function: a function of a module. It, the jobs and the answers must be picklable.
    :param jobs: what it is called with.
    :param count: number of processes, 1 or more.
    :returns: the index of each job with its answer, or with an error if its process died
        `ATTEMPTS` times.
    :raises Exception: the one that the function raised, if it raised one; the other processes are
        ended then.
    """
    waiting = deque((index, 1) for index in range(len(jobs)))
    workers: list[_Worker[Job, Answer]] = []
    with TemporaryDirectory(prefix='vl4ad_') as folder:
        try:
            while waiting or any(worker.job for worker in workers):
                idle = [worker for worker in workers if worker.job is None]
                while waiting and (idle or len(workers) < count):
                    if not idle:
                        idle = [_Worker(function, folder)]
                        workers += idle
                    job = waiting.popleft()
                    idle.pop().begin(job, jobs[job[0]])
                for worker in _ready(workers):
                    assert worker.job is not None  # Idle workers are not waited for.
                    (index, attempt), worker.job = worker.job, None
                    try:
                        succeeded, answer = worker.connection.recv()
                    except (EOFError, OSError, pickle.UnpicklingError):
                        workers.remove(worker)
                        how = worker.end()
                        if attempt < ATTEMPTS:
                            waiting.appendleft((index, attempt + 1))
                        else:
                            yield index, WorkerDied(
                                f'the process that worked on it {how}, {ATTEMPTS} times; if the '
                                'memory was full, use fewer --workers')
                        continue
                    if not succeeded:
                        raise answer
                    yield index, answer
        finally:
            for worker in workers:
                worker.end()


class _Worker(Generic[Job, Answer]):
    """
    A process that takes jobs.

    :ivar connection: gives its answers.
    :ivar job: index of the job that it has, and the number of the attempt; None if it has none.
    """

    def __init__(self, function: Callable[[Job], Answer], folder: str) -> None:
        self.connection, other = _CONTEXT.Pipe()
        self.job: tuple[int, int] | None = None
        self._process = _CONTEXT.Process(
            target=_serve, args=(function, other, os.getpid(), folder), daemon=True)
        self._process.start()
        other.close()

    def begin(self, number: tuple[int, int], job: Job) -> None:
        """Give it a job."""
        self.job = number
        try:
            self.connection.send(job)
        except OSError:
            pass  # It has died, which is noticed when its answer is waited for.

    def end(self) -> str:
        """End the process if it runs, and return how it ended."""
        self.connection.close()
        if self.job is not None:
            self._process.terminate()
        self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return (f'was ended by {signal.Signals(-code).name}' if code < 0
                else f'ended with exit code {code}')


def _ready(workers: Sequence[_Worker[Job, Answer]]) -> list[_Worker[Job, Answer]]:
    """Wait until at least one of the workers that have a job has answered or died."""
    by_connection = {worker.connection: worker for worker in workers if worker.job is not None}
    return [by_connection[found] for found in wait(list(by_connection))
            if isinstance(found, Connection)]


def _serve(function: Callable[[Job], Answer], connection: Connection, parent: int,
           folder: str) -> None:
    """Answer jobs until the parent closes the connection; this is the main function of a child."""
    end_with(parent)
    # Ctrl-C reaches all processes of a terminal; the parent ends its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = folder
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(answer_to(function, job))


def answer_to(function: Callable[[Job], Answer], job: Job
              ) -> tuple[bool, Answer | Exception]:
    """
    Call a function, and return what it returns or raises in a form that can be pickled.

    :param function: the function.
    :param job: its argument.
    :returns: whether it returned, and its answer or the exception.
    """
    try:
        return True, function(job)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # Exceptions with arguments of their own cannot always be made again.
            return False, RuntimeError(str(error) or type(error).__name__)
        return False, error
