# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs one job for each recording: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
import io
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Generic, TypeVar

from tqdm import tqdm

from vl4ad_ros.commands.arguments import cameras_of, of_camera
from vl4ad_ros.commands.recordings import open_recording
from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.settings import Settings
from vl4ad_ros.workers import run_in_processes, WorkerDied

Found = TypeVar('Found')


@dataclass(frozen=True)
class RecordingJob:
    """
    One camera of a recording and what to do with it; it can be pickled.

    :ivar recording: the recording, as the user named it.
    :ivar options: parsed arguments of a verb that called `add_bag_arguments`, with the `topic` of
        the camera.
    :ivar settings: the parameters of the node for this camera.
    :ivar name: name of the recording without its folder, different from those of all others;
        see `jobs_of`.
    :ivar title: what its progress bar says.
    :ivar scratch: an existing folder for what the work writes; None if it writes nothing.
    """

    recording: Path
    options: argparse.Namespace
    settings: Settings
    name: str
    title: str
    scratch: Path | None = None


def jobs_of(options: argparse.Namespace, settings: Settings,
            scratch: Path | None = None) -> list[RecordingJob]:
    """
    Return a job for each camera of each recording.

    Of recordings with equal names, the later ones get a number. If there are several cameras, the
    name of the camera follows. Its own parameters hold for it.

    :param options: parsed arguments of a verb that called `add_bag_arguments` with `several`.
    :param settings: the parameters of the node.
    :param scratch: an existing folder for what the work writes.
    :raises ValueError: if two cameras have the same name.
    """
    cameras = cameras_of(options)
    bases = [path.resolve().name or 'recording' for path in options.bags]
    named = []
    for index, (path, name) in enumerate(zip(options.bags, bases)):
        earlier = bases[:index].count(name)
        name = f'{name}_{earlier + 1}' if earlier else name
        for camera in cameras:
            named.append((path, camera, f'{name}_{camera.camera}' if len(cameras) > 1 else name))
    return [RecordingJob(
        path, of_camera(options, camera),
        settings.of_camera(camera.camera), name,
        f'{name} ({number} of {len(named)})' if len(named) > 1 else name, scratch)
        for number, (path, camera, name) in enumerate(named, 1)]


class Model:
    """
    The detector of this process, which is opened when it is first used.

    :ivar settings: the parameters of the node.
    """

    def __init__(self, settings: Settings) -> None:
        """Keep the parameters of the node."""
        self.settings = settings

    @cached_property
    def detector(self) -> Detector:
        """The detector."""
        settings = self.settings
        return Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options)

    def close(self) -> None:
        """Close the detector if it was opened."""
        if 'detector' in vars(self):
            self.detector.close()


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


def run_jobs(work: Work[Found], jobs: Sequence[RecordingJob], model: Model
             ) -> Iterator[Outcome[Found]]:
    """
    Do the same work on each recording; one that cannot be read does not stop the others.

    What a job prints on stderr in another process is printed here, the recordings in their order.

    :param work: a function of a module. In another process, its result must be picklable.
    :param jobs: at least one; all have the same options, which are those of a verb that called
        `add_worker_arguments`.
    :param model: the model of this process, which is used if no other process is.
    :returns: one for each job, in their order.
    :raises Exception: any error but those that a recording causes, such as a bundle that cannot be
        used.
    """
    options = jobs[0].options
    if options.ray is None and min(options.workers, len(jobs)) == 1:
        for job in jobs:
            yield _outcome(work, job, lambda: model.detector)
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
    tqdm.set_lock(RLock())  # A process that is ended would leave its default, a semaphore, behind.
    with redirect_stderr(io.StringIO()) as said:
        outcome = _outcome(work, job, partial(
            _detector_of_process, job.settings.model_bundle, job.settings.model_backend,
            job.settings.backend_options))
    if outcome.error is not None:
        outcome = Outcome(None, BagError(str(outcome.error)))  # It can be pickled.
    return outcome, said.getvalue()


@lru_cache(maxsize=1)
def _detector_of_process(bundle: str, backend: str, options: BackendOptions) -> Detector:
    """Return the detector of this process, which is in use until the process ends."""
    return Detector.open(bundle, backend, options)
