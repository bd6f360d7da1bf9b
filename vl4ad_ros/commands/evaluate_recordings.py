# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates recordings, and stores the result of each in the output folder when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
import hashlib
import json
from pathlib import Path
import shutil
import sys
import time
from typing import Any

from tqdm import tqdm

from vl4ad_ros import __version__
from vl4ad_ros.commands.recording_jobs import Model, Outcome, RecordingJob, run_jobs
from vl4ad_ros.commands.recordings import finished, used_enough
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.dlr2 import ResultLines
from vl4ad_ros.evaluation.evaluation_folder import (
    BAG, PICTURES, read_recording, RecordingRun, RECORDINGS, Stored, write_recording)
from vl4ad_ros.evaluation.moment_pictures import write_moments
from vl4ad_ros.evaluation.offline import EvaluatedFrame, OfflineRun
from vl4ad_ros.evaluation.offline_bag import OfflineBag
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.recording_result import RecordingResult
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import beside
from vl4ad_ros.signals import undisturbed

_INPUTS = ('topic', 'camera', 'start', 'duration', 'labels', 'label_topic', 'object_topic',
           'label_map')
"""Arguments that the result of a recording depends on, besides the parameters of the node."""


@dataclass(frozen=True)
class Finished:
    """
    What became of a recording; it can be pickled.

    :ivar result: its result, or that it could not be read.
    :ivar run: how it went; None if it is not stored.
    :ivar interrupted: whether Ctrl-C or SIGTERM came before its last frame.
    """

    result: RecordingResult
    run: RecordingRun | None = None
    interrupted: bool = False


@dataclass
class Evaluation:
    """
    What came out of all recordings.

    :ivar results: the result of each recording that has one, in their order.
    :ivar stored: those that are stored in the output folder.
    :ivar left_out: names of the recordings that have no result because of an interruption.
    :ivar stopped: whether there was an interruption.
    """

    results: list[RecordingResult] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    stopped: bool = False


def evaluate_recordings(jobs: Sequence[RecordingJob], model: Model) -> Evaluation:
    """
    Evaluate each recording by itself.

    One of several recordings that cannot be read does not stop the others. With `--out`, the
    result of each is stored as soon as it and those before it are done. After Ctrl-C or SIGTERM,
    what is done is stored too: other recordings that are complete, and the frames of the current
    one if this process evaluates it.

    :param jobs: the recordings, as `jobs_of` returns them; with a scratch folder if the results
        are stored.
    :param model: the model and the parameters of the node.
    :raises BagError: if there is only one recording and it cannot be read.
    :raises VideoError: if there is only one recording and it is a video that cannot be read.
    """
    found = Evaluation()
    waiting = list(jobs)
    try:
        earlier = _finished_before(jobs, model)
        coming = run_jobs(evaluate_recording, [job for job in jobs if job.name not in earlier],
                          model)
        while waiting and not found.stopped:
            done = earlier.get(waiting[0].name) or _next(coming, waiting[0], len(jobs) == 1)
            with undisturbed():
                _keep(found, waiting.pop(0), done)
    except KeyboardInterrupt:
        found.stopped = True
        for job in waiting:
            left = _left_behind(job)
            if left is not None:
                _keep(found, job, left)
        if not found.stored:
            raise
    kept = {result.name for result in found.results}
    found.left_out = [job.name for job in jobs if job.name not in kept]
    return found


def evaluate_recording(job: RecordingJob, bag: CameraBag, detector: Detector) -> Finished:
    """
    Evaluate a recording that has been opened; with a scratch folder, write its result there.

    :param job: the recording.
    :param bag: the same, opened.
    :param detector: the model.
    :raises BagError: if the bag is damaged, or if every frame was refused.
    :raises KeyboardInterrupt: after Ctrl-C or SIGTERM, if no frame was done or nothing is stored.
    """
    warned = len(bag.notes)
    run = OfflineRun(bag, detector, job.settings)
    dlr2 = ResultLines(bag.truth()) if job.options.format == 'dlr2' else None
    lines = dlr2.first(job.settings, bag.times_ns[0]) if dlr2 else []

    def add(done: EvaluatedFrame) -> None:
        if dlr2:
            lines.append(dlr2.of_frame(done.frame, done.result))
    if job.scratch is None:
        _process(job, run, bag, add)
        done = Finished(_named(job, run.result(job.name), bag))
    else:
        done = _written(job, run, bag, _key(job, detector), job.scratch / job.name, add)
    figures = done.result.figures
    enough = finished(str(job.recording), bag, figures['frames_processed'],
                      figures.get('frames_labelled'), warned, job.options)
    if dlr2:
        lines.append(dlr2.last(figures, enough))
    return replace(done, result=replace(done.result, enough=enough, lines=tuple(lines)))


def _finished_before(jobs: Sequence[RecordingJob], model: Model) -> Mapping[str, Finished]:
    """
    Return what an earlier run with the same inputs has stored, by the name of the recording.

    The model is opened only if there is something stored.
    """
    return {job.name: done for job in jobs
            if (done := _taken_over(job, model)) is not None}


def _taken_over(job: RecordingJob, model: Model) -> Finished | None:
    # The lines of --format dlr2 are not stored.
    if not job.options.resume or job.options.format == 'dlr2' or not _folder(job).exists():
        return None
    try:
        stored = read_recording(_folder(job))
    except ReportError:
        return None
    if not stored.result.complete or stored.run.key != _key(job, model.detector):
        return None
    print(f'vl4ad: {job.recording}: taken over from the interrupted run', file=sys.stderr)
    figures = stored.result.figures
    enough = used_enough(str(job.recording), figures['frames_processed'],
                         figures['frames_recorded'], job.options)
    return Finished(replace(stored.result, enough=enough), stored.run)


def _next(coming: Iterator[Outcome[Finished]], job: RecordingJob, only: bool) -> Finished:
    """Return what came out of the next recording; raise why not if it is the only one."""
    outcome = next(coming)
    if outcome.error and only:
        raise outcome.error
    if outcome.found is not None:
        return outcome.found
    print(f'vl4ad: error: {outcome.error}', file=sys.stderr)
    return Finished(RecordingResult.failed(str(job.recording), str(outcome.error), job.name))


def _keep(found: Evaluation, job: RecordingJob, done: Finished) -> None:
    """Add what became of a recording, and move what was written to its place."""
    found.results.append(done.result)
    found.stopped = found.stopped or done.interrupted
    if job.scratch is None or done.run is None:
        return
    folder, written = _folder(job), job.scratch / job.name
    if written.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        written.rename(folder)
    found.stored.append(Stored(folder, done.result, done.run))


def _left_behind(job: RecordingJob) -> Finished | None:
    """Return what another process has completed before an interruption; None if it has not."""
    if job.scratch is None or not (job.scratch / job.name).exists():
        return None
    stored = read_recording(job.scratch / job.name)
    return Finished(stored.result, stored.run)


def _folder(job: RecordingJob) -> Path:
    """Return where the result of a recording is stored."""
    return job.options.out / RECORDINGS / job.name


def _key(job: RecordingJob, detector: Detector) -> str:
    """Return a hash of everything that the result of a recording depends on."""
    given, path = vars(job.options), job.recording
    files = sorted(path.rglob('*')) if path.is_dir() else [path]
    stats = [(str(file), file.stat()) for file in files]
    content: list[Any] = [
        __version__, str(path.resolve()),
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
        {name: str(given[name]) for name in _INPUTS}, repr(job.settings),
        dict(detector.bundle.files), detector.backend.name]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _written(job: RecordingJob, run: OfflineRun, bag: CameraBag, key: str, place: Path,
             on_frame: Callable[[EvaluatedFrame], None]) -> Finished:
    """Evaluate the recording and write its result; after an interruption, what is done of it."""
    began, date = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec='seconds')
    frame_ms: list[float] = []
    interrupted = False
    with beside(place) as folder:
        folder.mkdir()
        try:
            with OfflineBag(folder / BAG, bag, job.settings) as writer:
                def add(done: EvaluatedFrame) -> None:
                    writer.add(done)
                    on_frame(done)
                    frame_ms.append(round(done.seconds * 1e3, 2))
                _process(job, run, bag, add)
        except KeyboardInterrupt:
            if not frame_ms:
                raise
            interrupted = True
        result = _named(job, run.result(job.name), bag)
        (folder / PICTURES).mkdir()
        write_moments(result.moments, run, bag, job.settings, folder / PICTURES)
        how = RecordingRun(str(job.recording), key, date, round(time.monotonic() - began, 3),
                           tuple(frame_ms))
        write_recording(folder, result, how)
        # A process that died after it had written everything may have left this.
        shutil.rmtree(place, ignore_errors=True)
    return Finished(result, how, interrupted)


def _process(job: RecordingJob, run: OfflineRun, bag: CameraBag,
             on_frame: Callable[[EvaluatedFrame], None]) -> None:
    """Evaluate all frames, with a progress bar."""
    refused: list[BagError] = []
    with tqdm(total=len(bag.times_ns), unit='frame', desc=job.title, disable=None, leave=False
              ) as bar:
        def processed(done: EvaluatedFrame) -> None:
            on_frame(done)
            bar.update()

        def refuse(frame: BagFrame, error: BagError) -> None:
            bar.update()
            refused.append(error)
        run.run(processed, refuse)
    if refused:
        print(f'vl4ad: warning: {len(refused)} of {len(bag.times_ns)} frames were refused, as the '
              f'node refuses them; the first: {refused[0]}', file=sys.stderr)


def _named(job: RecordingJob, result: RecordingResult, bag: CameraBag) -> RecordingResult:
    """Return the result under the name of the recording instead of that of a temporary bag."""
    figures = dict(result.figures)
    if 'notes' in figures and bag.path != job.recording:
        figures['notes'] = [note.replace(str(bag.path), job.name) for note in figures['notes']]
    return replace(result, recording=str(job.recording), figures=figures)
