# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs one job for each recording: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import lru_cache, partial
import io
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from tqdm import tqdm

from vl4ad_ros.commands.recordings import open_recording
from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.settings import Settings
from vl4ad_ros.workers import run_in_processes, WorkerDied

Found = TypeVar('Found')


@dataclass(frozen=True)
class RecordingJob:
    """
    One recording and what to do with it; it can be pickled.

    :ivar recording: the recording, as the user named it.
    :ivar options: parsed arguments of a verb that called `add_bag_arguments`.
    :ivar settings: the parameters of the node.
    :ivar name: name of the recording without its folder, different from those of all others,
        where that is needed.
    """

    recording: Path
    options: argparse.Namespace
    settings: Settings
    name: str = ''


@dataclass(frozen=True)
class Outcome(Generic[Found]):
    """
    What a job gave.

    :ivar found: the result; None if the recording could not be read.
    :ivar error: the reason for that; None if there is a result.
    """

    found: Found | None
    error: Exception | None = None


Work = Callable[[RecordingJob, CameraBag, Detector], Found]
"""What is done with a recording that has been opened, and with the detector of the process."""


def run_jobs(work: Work[Found], jobs: Sequence[RecordingJob]
             ) -> Generator[Outcome[Found], None, None]:
    """
    Do the same work on each recording; one that cannot be read does not stop the others.

    What a job prints on stderr in another process is printed here, the recordings in their order.

    :param work: a function of a module. In another process, its result must be picklable.
    :param jobs: at least one; all have the same options, which are those of a verb that called
        `add_worker_arguments`.
    :returns: one for each job, in their order.
    :raises Exception: any error but those that a recording causes, such as a bundle that cannot be
        used.
    """
    options = jobs[0].options
    if options.ray is None and min(options.workers, len(jobs)) == 1:
        with _own_detector(jobs[0].settings) as detector:
            for job in jobs:
                yield _outcome(work, job, detector)
        return
    if options.ray is not None:
        from vl4ad_ros.ray_workers import run_on_ray
        coming = run_on_ray(partial(_outcome_and_words, work), jobs, options.ray,
                            jobs[0].settings.model_threads)
    else:
        coming = run_in_processes(partial(_outcome_and_words, work), jobs, options.workers)
    yield from _in_order(coming, jobs)


def _in_order(coming: Iterator[tuple[int, tuple[Outcome[Found], str] | WorkerDied]],
              jobs: Sequence[RecordingJob]) -> Iterator[Outcome[Found]]:
    """Print what was said, and yield the outcomes, in the order of the jobs."""
    waiting: dict[int, tuple[Outcome[Found], str]] = {}
    following = 0
    with tqdm(total=len(jobs), unit='recording', disable=None, leave=False) as bar:
        for index, answer in coming:
            bar.update()
            if isinstance(answer, WorkerDied):
                answer = Outcome[Found](None, BagError(
                    f"'{jobs[index].recording}' could not be evaluated: {answer}")), ''
            waiting[index] = answer
            while following in waiting:
                outcome, said = waiting.pop(following)
                following += 1
                if said:
                    tqdm.write(said, sys.stderr, end='')
                yield outcome


def _outcome(work: Work[Found], job: RecordingJob, detector: Callable[[], Detector]
             ) -> Outcome[Found]:
    try:
        with TemporaryDirectory(prefix='vl4ad_') as folder:
            bag = open_recording(job.recording, Path(folder), job.options)
            return Outcome(work(job, bag, detector()))
    except (BagError, VideoError) as error:
        return Outcome(None, error)


def _outcome_and_words(work: Work[Found], job: RecordingJob) -> tuple[Outcome[Found], str]:
    """Do the work in another process; return the outcome and what was printed on stderr."""
    with redirect_stderr(io.StringIO()) as said:
        outcome = _outcome(work, job, partial(_detector_of_process, job.settings))
    if outcome.error is not None:
        outcome = Outcome(None, BagError(str(outcome.error)))  # It can be pickled.
    return outcome, said.getvalue()


@lru_cache(maxsize=1)
def _detector_of_process(settings: Settings) -> Detector:
    """Return the detector of this process, which is in use until the process ends."""
    return _open(settings)


@contextmanager
def _own_detector(settings: Settings) -> Iterator[Callable[[], Detector]]:
    """Give a function that opens a detector when it is first called; close it in the end."""
    opened: list[Detector] = []

    def get() -> Detector:
        if not opened:
            opened.append(_open(settings))
        return opened[0]
    try:
        yield get
    finally:
        for detector in opened:
            detector.close()


def _open(settings: Settings) -> Detector:
    return Detector.open(settings.model_bundle, settings.model_backend, settings.backend_options)
