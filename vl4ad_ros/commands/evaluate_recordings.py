# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates recordings one after the other, and stores the result of each when it is done."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
import hashlib
import json
from pathlib import Path
import shutil
import sys
import time
from typing import Any

from tqdm import tqdm

from vl4ad_ros import __version__
from vl4ad_ros.commands.recordings import finished, open_recording, used_enough
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.evaluation_folder import (
    BAG, PICTURES, read_recording, RecordingRun, RECORDINGS, Stored, write_recording)
from vl4ad_ros.evaluation.moment_pictures import write_moments
from vl4ad_ros.evaluation.offline import EvaluatedFrame, OfflineRun
from vl4ad_ros.evaluation.offline_bag import OfflineBag
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.recording_result import RecordingResult
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import beside
from vl4ad_ros.settings import Settings

_INPUTS = ('topic', 'start', 'duration', 'labels', 'label_topic', 'object_topic', 'label_map')
"""Arguments that the result of a recording depends on, besides the parameters of the node."""


@dataclass(frozen=True)
class RecordingJob:
    """
    One recording and what to do with it; it can be pickled.

    :ivar recording: the recording, as the user named it.
    :ivar options: parsed arguments of `vl4ad evaluate`.
    :ivar settings: the parameters of the node.
    :ivar name: name of the recording without its folder, different from those of all others.
    :ivar title: what the progress bar says.
    """

    recording: Path
    options: argparse.Namespace
    settings: Settings
    name: str
    title: str

    @property
    def folder(self) -> Path | None:
        """Where its result is stored; None without `--out`."""
        return self.options.out and self.options.out / RECORDINGS / self.name

    def key(self, detector: Detector) -> str:
        """Return a hash of everything that the result depends on."""
        given, path = vars(self.options), self.recording
        files = sorted(path.rglob('*')) if path.is_dir() else [path]
        stats = [(str(file), file.stat()) for file in files]
        content: list[Any] = [
            __version__, str(path.resolve()),
            [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
            {name: str(given[name]) for name in _INPUTS}, repr(self.settings),
            dict(detector.bundle.files), detector.backend.name]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


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

    :ivar results: the result of each recording that was begun, in their order.
    :ivar stored: those that are stored in the output folder.
    :ivar not_started: names of the recordings that were not begun because of an interruption.
    :ivar stopped: whether there was an interruption.
    """

    results: list[RecordingResult] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    not_started: Sequence[str] = ()
    stopped: bool = False


class Model:
    """
    The detector, which is opened when it is first used.

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


def evaluate_recordings(model: Model, options: argparse.Namespace, scratch: Path) -> Evaluation:
    """
    Evaluate each recording by itself.

    One of several recordings that cannot be read does not stop the others. With `--out`, the
    result of each is stored as soon as it is done. After Ctrl-C or SIGTERM, the frames of the
    current recording that are done are stored, too.

    :param model: the model and the parameters of the node.
    :param options: parsed arguments of `vl4ad evaluate`.
    :param scratch: an existing folder for temporary files.
    :raises BagError: if there is only one recording and it cannot be read.
    :raises VideoError: if there is only one recording and it is a video that cannot be read.
    """
    found = Evaluation()
    names = unique_names(options.bags)
    for number, (name, path) in enumerate(zip(names, options.bags)):
        title = f'{name} ({number + 1} of {len(names)})' if len(names) > 1 else name
        job = RecordingJob(path, options, model.settings, name, title)
        try:
            done = finished_before(job, model) or _opened(job, model, scratch / str(number))
        except KeyboardInterrupt:
            if options.out is None or not found.results:
                raise
            found.not_started, found.stopped = names[number:], True
            return found
        except (BagError, VideoError) as error:
            if len(names) == 1:
                raise
            print(f'vl4ad: error: {error}', file=sys.stderr)
            done = Finished(RecordingResult.failed(str(path), str(error), name))
        found.results.append(done.result)
        if done.run is not None and job.folder is not None:
            found.stored.append(Stored(job.folder, done.result, done.run))
        if done.interrupted:
            found.not_started, found.stopped = names[number + 1:], True
            break
    return found


def unique_names(recordings: Sequence[Path]) -> list[str]:
    """Return the name of each recording without its folder; equal names get a number."""
    names: list[str] = []
    for path in recordings:
        name = path.resolve().name or 'recording'
        number = sum(name == other.resolve().name for other in recordings[:len(names)])
        names.append(f'{name}_{number + 1}' if number else name)
    return names


def finished_before(job: RecordingJob, model: Model) -> Finished | None:
    """
    Return what an earlier run with the same inputs has stored; None if it must be done.

    :param job: the recording.
    :param model: the model, which is opened only if there is something stored.
    """
    if not job.options.resume or job.folder is None or not job.folder.exists():
        return None
    try:
        stored = read_recording(job.folder)
    except ReportError:
        return None
    if not stored.result.complete or stored.run.key != job.key(model.detector):
        return None
    print(f'vl4ad: {job.recording}: taken over from the interrupted run', file=sys.stderr)
    figures = stored.result.figures
    enough = used_enough(str(job.recording), figures['frames_processed'],
                         figures['frames_recorded'], job.options)
    return Finished(replace(stored.result, enough=enough), stored.run)


def evaluate_recording(job: RecordingJob, bag: CameraBag, detector: Detector) -> Finished:
    """
    Evaluate a recording that has been opened, and store its result if that is wanted.

    :param job: the recording.
    :param bag: the same, opened.
    :param detector: the model.
    :raises BagError: if the bag is damaged, or if every frame was refused.
    :raises KeyboardInterrupt: after Ctrl-C or SIGTERM, if no frame was done or nothing is stored.
    """
    warned = len(bag.notes)
    run = OfflineRun(bag, detector, job.settings)
    if job.folder is None:
        _process(job, run, bag)
        done = Finished(_named(job, run.result(job.name), bag))
    else:
        done = _stored(job, run, bag, job.key(detector), job.folder)
    figures = done.result.figures
    enough = finished(str(job.recording), bag, figures['frames_processed'],
                      figures.get('frames_labelled'), warned, job.options)
    return replace(done, result=replace(done.result, enough=enough))


def _opened(job: RecordingJob, model: Model, scratch: Path) -> Finished:
    try:
        bag = open_recording(job.recording, scratch, job.options)
        return evaluate_recording(job, bag, model.detector)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _stored(job: RecordingJob, run: OfflineRun, bag: CameraBag, key: str, out: Path) -> Finished:
    """Evaluate and store the recording; after an interruption, what is done of it."""
    began, date = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec='seconds')
    frame_ms: list[float] = []
    interrupted = False
    with beside(out) as folder:
        folder.mkdir()
        try:
            with OfflineBag(folder / BAG, bag, job.settings.threshold) as writer:
                def add(done: EvaluatedFrame) -> None:
                    writer.add(done)
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
        shutil.rmtree(out, ignore_errors=True)
    return Finished(result, how, interrupted)


def _process(job: RecordingJob, run: OfflineRun, bag: CameraBag,
             add: Callable[[EvaluatedFrame], None] = lambda done: None) -> None:
    """Evaluate all frames, with a progress bar."""
    refused: list[BagError] = []
    with tqdm(total=len(bag.times_ns), unit='frame', desc=job.title, disable=None, leave=False
              ) as bar:
        def processed(done: EvaluatedFrame) -> None:
            add(done)
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
