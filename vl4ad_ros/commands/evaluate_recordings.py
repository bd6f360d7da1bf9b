# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates recordings one after the other, and stores the result of each when it is done."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
    BAG, PICTURES, read_recording, RECORDINGS, RecordingRun, Stored, write_recording)
from vl4ad_ros.evaluation.moment_pictures import write_moments
from vl4ad_ros.evaluation.offline import EvaluatedFrame, OfflineRun
from vl4ad_ros.evaluation.offline_bag import OfflineBag
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.recording_result import Failure, RecordingResult
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import beside
from vl4ad_ros.settings import Settings

_INPUTS = ('topic', 'start', 'duration', 'labels', 'label_topic', 'object_topic', 'label_map')
"""Arguments that the result of a recording depends on, besides the parameters of the node."""


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


@dataclass
class Evaluation:
    """
    What came out of all recordings.

    :ivar results: result or failure of each recording that was begun, in their order.
    :ivar stored: those with a result, if results are stored.
    :ivar enough: whether enough frames of each could be used.
    :ivar not_started: names of the recordings that were not begun because of an interruption.
    :ivar stopped: the interruption; None if there was none.
    """

    results: list[RecordingResult | Failure] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    enough: bool = True
    not_started: Sequence[str] = ()
    stopped: KeyboardInterrupt | None = None

    @property
    def failures(self) -> list[Failure]:
        """The recordings that could not be read."""
        return [result for result in self.results if isinstance(result, Failure)]


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
        one = _Recording(name, path, model, options, scratch / str(number))
        title = f'{name} ({number + 1} of {len(names)})' if len(names) > 1 else name
        try:
            one.evaluate(found, title)
        except KeyboardInterrupt as stopped:
            found.stopped = stopped
        except (BagError, VideoError) as error:
            if len(names) == 1:
                raise
            print(f'vl4ad: error: {error}', file=sys.stderr)
            found.results.append(Failure(name, str(error)))
        finally:
            shutil.rmtree(scratch / str(number), ignore_errors=True)
        if found.stopped:
            begun = {result.name for result in found.results}
            found.not_started = [other for other in names if other not in begun]
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


class _Recording:
    """The evaluation of one recording."""

    def __init__(self, name: str, path: Path, model: Model, options: argparse.Namespace,
                 scratch: Path) -> None:
        self._name, self._path, self._model = name, path, model
        self._options, self._scratch = options, scratch
        self._folder: Path | None = options.out and options.out / RECORDINGS / name

    def evaluate(self, found: Evaluation, title: str) -> None:
        """Add the result to those found; raise KeyboardInterrupt after an interruption."""
        stored = self._finished_before()
        if stored:
            found.results.append(stored.result)
            found.stored.append(stored)
            figures = stored.result.figures
            print(f'vl4ad: {self._path}: taken over from the interrupted run', file=sys.stderr)
            found.enough &= used_enough(str(self._path), figures['frames_processed'],
                                        figures['frames_recorded'], self._options)
            return
        bag = open_recording(self._path, self._scratch, self._options)
        warned = len(bag.notes)
        run = OfflineRun(bag, self._model.detector, self._model.settings)
        if self._folder is None:
            self._process(run, bag, title, None)
            found.results.append(self._named(run.result(self._name), bag))
        else:
            self._store(run, bag, title, found)
        figures = found.results[-1].figures
        found.enough &= finished(str(self._path), bag, figures['frames_processed'],
                                 figures.get('frames_labelled'), warned, self._options)

    def _finished_before(self) -> Stored | None:
        """Return the result of an earlier run if it is whole and has the same inputs."""
        if not self._options.resume or self._folder is None or not self._folder.exists():
            return None
        try:
            stored = read_recording(self._folder)
        except ReportError:
            return None
        return stored if stored.result.complete and stored.run.key == self._key() else None

    def _store(self, run: OfflineRun, bag: CameraBag, title: str, found: Evaluation) -> None:
        """Evaluate and store the recording; after an interruption, what is done of it."""
        assert self._folder is not None
        began, date = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec='seconds')
        frame_ms: list[float] = []
        stopped = None
        with beside(self._folder) as folder:
            folder.mkdir()
            try:
                with OfflineBag(folder / BAG, bag, self._model.settings.threshold) as writer:
                    self._process(run, bag, title, writer, frame_ms)
            except KeyboardInterrupt as interruption:
                if not frame_ms:
                    raise
                stopped = interruption
            result = self._named(run.result(self._name), bag)
            (folder / PICTURES).mkdir()
            write_moments(result.moments, run.alerts, run, bag, self._model.settings,
                          folder / PICTURES)
            how = RecordingRun(str(self._path), self._key(), date,
                               round(time.monotonic() - began, 3), tuple(frame_ms))
            write_recording(folder, result, how)
            shutil.rmtree(self._folder, ignore_errors=True)
        found.results.append(result)
        found.stored.append(Stored(self._folder, result, how))
        if stopped:
            raise stopped

    def _process(self, run: OfflineRun, bag: CameraBag, title: str, writer: OfflineBag | None,
                 frame_ms: list[float] | None = None) -> None:
        """Evaluate all frames, with a progress bar."""
        refused: list[BagError] = []
        with tqdm(total=len(bag.times_ns), unit='frame', desc=title, disable=None, leave=False
                  ) as bar:
            def processed(done: EvaluatedFrame) -> None:
                bar.update()
                if writer is not None and frame_ms is not None:
                    writer.add(done)
                    frame_ms.append(round(done.seconds * 1e3, 2))

            def refuse(frame: BagFrame, error: BagError) -> None:
                bar.update()
                refused.append(error)
            run.run(processed, refuse)
        if refused:
            print(f'vl4ad: warning: {len(refused)} of {len(bag.times_ns)} frames were refused, '
                  f'as the node refuses them; the first: {refused[0]}', file=sys.stderr)

    def _named(self, result: RecordingResult, bag: CameraBag) -> RecordingResult:
        """Return the result without the paths of temporary files, which differ in each run."""
        notes = [note.replace(str(bag.path), self._name)
                 for note in result.figures.get('notes', ())]
        converted = self._scratch in bag.path.parents
        if not notes or not converted:
            return result
        return replace(result, figures={**result.figures, 'notes': notes})

    def _key(self) -> str:
        """Return a hash of everything that the result depends on."""
        detector, given = self._model.detector, vars(self._options)
        files = sorted(self._path.rglob('*')) if self._path.is_dir() else [self._path]
        content: list[Any] = [
            __version__, str(self._path.resolve()),
            [(str(f), s.st_size, s.st_mtime_ns) for f in files for s in [f.stat()]],
            {name: str(given[name]) for name in _INPUTS}, repr(self._model.settings),
            dict(detector.bundle.files), detector.backend.name]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


