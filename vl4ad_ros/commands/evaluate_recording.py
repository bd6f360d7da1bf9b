# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates one recording, and stores its result when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from vl4ad_ros.commands.recording_jobs import RecordingJob
from vl4ad_ros.commands.recordings import finished
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

_INPUTS = ('topic', 'start', 'duration', 'labels', 'label_topic', 'object_topic', 'label_map')
"""Arguments that the result of a recording depends on, besides the parameters of the node."""


@dataclass(frozen=True)
class Finished:
    """
    What became of a recording that could be read; it can be pickled.

    :ivar result: its result.
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

    :ivar results: the result of each recording that was begun, in their order.
    :ivar stored: those that are stored in the output folder.
    :ivar not_started: names of the recordings that were not begun because of an interruption.
    :ivar stopped: whether there was an interruption.
    """

    results: list[RecordingResult] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    not_started: Sequence[str] = ()
    stopped: bool = False

    def add(self, job: RecordingJob, done: Finished | None, failed: RecordingResult) -> None:
        """
        Add the next recording.

        :param job: the recording.
        :param done: what became of it; None if it could not be read.
        :param failed: its result in this case.
        """
        self.results.append(done.result if done else failed)
        folder = _folder(job)
        if done and done.run and folder:
            self.stored.append(Stored(folder, done.result, done.run))
        self.stopped = done is not None and done.interrupted


def unique_names(recordings: Sequence[Path]) -> list[str]:
    """Return the name of each recording without its folder; equal names get a number."""
    names: list[str] = []
    for path in recordings:
        name = path.resolve().name or 'recording'
        number = sum(name == other.resolve().name for other in recordings[:len(names)])
        names.append(f'{name}_{number + 1}' if number else name)
    return names


def evaluate_recording(job: RecordingJob, bag: CameraBag, detector: Detector) -> Finished:
    """
    Evaluate a recording that has been opened, and store its result if that is wanted.

    With `--resume`, the stored result is returned if it is whole and has the same inputs.

    :param job: the recording.
    :param bag: the same, opened.
    :param detector: the model.
    :raises BagError: if the bag is damaged, or if every frame was refused.
    :raises KeyboardInterrupt: after Ctrl-C or SIGTERM, if no frame was done or nothing is stored.
    """
    warned, folder = len(bag.notes), _folder(job)
    lines = _Lines(job, bag) if job.options.format == 'dlr2' else None
    done = _stored_before(job, detector)
    if done is None:
        run = OfflineRun(bag, detector, job.settings)
        if folder is None:
            _process(job, run, bag, [lines.add] if lines else [])
            done = Finished(_named(job, run.result(job.name), bag))
        else:
            done = _store(job, run, bag, _key(job, detector), folder, lines)
    figures = done.result.figures
    enough = finished(str(job.recording), bag, figures['frames_processed'],
                      figures.get('frames_labelled'), warned, job.options)
    said = lines.all(figures, enough) if lines else ()
    return replace(done, result=replace(done.result, enough=enough, lines=said))


class _Lines:
    """Collects the result lines of `--format dlr2`."""

    def __init__(self, job: RecordingJob, bag: CameraBag) -> None:
        self._writer = ResultLines(bag.truth())
        self._lines = self._writer.first(job.settings, bag.times_ns[0])

    def add(self, done: EvaluatedFrame) -> None:
        """Add the line of the next processed frame."""
        self._lines.append(self._writer.of_frame(done.frame, done.result))

    def all(self, figures: Mapping[str, Any], enough: bool) -> tuple[str, ...]:
        """Return all lines."""
        return (*self._lines, self._writer.last(figures, enough))


def _folder(job: RecordingJob) -> Path | None:
    """Return where the result of a recording is stored; None without `--out`."""
    return job.options.out and job.options.out / RECORDINGS / job.name


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


def _stored_before(job: RecordingJob, detector: Detector) -> Finished | None:
    """Return what an earlier run with the same inputs has stored; None if it must be done."""
    folder = _folder(job)
    if (not job.options.resume or job.options.format == 'dlr2' or folder is None
            or not folder.exists()):
        return None  # The lines of dlr2 are not stored.
    try:
        stored = read_recording(folder)
    except ReportError:
        return None
    if not stored.result.complete or stored.run.key != _key(job, detector):
        return None
    print(f'vl4ad: {job.recording}: taken over from the interrupted run', file=sys.stderr)
    return Finished(stored.result, stored.run)


def _store(job: RecordingJob, run: OfflineRun, bag: CameraBag, key: str, out: Path,
           lines: _Lines | None) -> Finished:
    """Evaluate and store the recording; after an interruption, what is done of it."""
    began, date = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec='seconds')
    frame_ms: list[float] = []
    interrupted = False
    with beside(out) as folder:
        folder.mkdir()
        try:
            with OfflineBag(folder / BAG, bag, job.settings.threshold) as writer:
                def timed(done: EvaluatedFrame) -> None:
                    frame_ms.append(round(done.seconds * 1e3, 2))
                _process(job, run, bag, [writer.add, timed, *([lines.add] if lines else [])])
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
        shutil.rmtree(out, ignore_errors=True)
    return Finished(result, how, interrupted)


def _process(job: RecordingJob, run: OfflineRun, bag: CameraBag,
             takers: Sequence[Callable[[EvaluatedFrame], None]]) -> None:
    """Evaluate all frames, with a progress bar."""
    refused: list[BagError] = []
    with tqdm(total=len(bag.times_ns), unit='frame', desc=job.name, disable=None, leave=False
              ) as bar:
        def processed(done: EvaluatedFrame) -> None:
            for take in takers:
                take(done)
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
