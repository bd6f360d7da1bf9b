# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Replays a bag with output for the terminal, and writes the files of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, ExitStack
from dataclasses import dataclass
from pathlib import Path
import shutil

import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.figures import table
from vl4ad_ros.evaluation.message_store import MessageStore
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.report import METRICS, write_report
from vl4ad_ros.evaluation.result_bag import write_result_bag
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import keep_apart, replaced
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_ros.replay import session
from vl4ad_ros.replay.alert_printer import AlertPrinter
from vl4ad_ros.replay.camera_replay import RecordedCamera
from vl4ad_ros.settings import Settings


FILES = (METRICS, 'overlay.mp4', 'contact_sheet.png', 'result_bag', 'node.log')
"""Names of the files and folders of a report."""
FAILED = 'failed_'
"""Prefix of the name of a log that is kept because the node failed."""


@contextmanager
def new_report(out: Path, inputs: Iterable[Path], more: Sequence[str] = ()) -> Iterator[Path]:
    """
    Give an empty folder for a report, which replaces the older report in `out` when complete.

    If the block fails or is interrupted, the older report stays. If the node failed, its log is
    kept in `out`, and the error names it.

    :param out: folder of the report; it is made if it does not exist.
    :param inputs: files and folders that the replay reads.
    :param more: names of files that belong to the report in addition to `FILES`.
    :returns: a context manager that gives the folder to write to.
    :raises OutputError: if writing to `out` could overwrite an input, or another process is
        writing to it.
    :raises ReportError: if `out/result_bag` is something other than a bag.
    :raises SessionError: if the node failed in the block.
    """
    keep_apart(out, inputs)
    bag = out / 'result_bag'
    if bag.exists() and not (bag / 'metadata.yaml').is_file():
        raise ReportError(f"'{bag}' exists but is not a bag; move it to another place, or choose "
                          'another folder with --out')
    names = [*FILES, *more]
    logs = [name for name in names if name.endswith('.log')]
    with replaced(out, [*names, *(FAILED + name for name in logs)]) as folder:
        try:
            yield folder
        except session.SessionError as error:
            kept = [shutil.move(log, out / (FAILED + log.name)) for log in folder.glob('*.log')]
            logs_kept = f'\nThe whole log is in {", ".join(map(str, kept))}' if kept else ''
            raise session.SessionError(f'{error}{logs_kept}') from error


def replay_and_report(
        bag: CameraBag, folder: Path, title: str,
        options: session.SessionOptions = session.SessionOptions()) -> dict[str, Path]:
    """
    Replay a bag through the node, print progress, alerts and figures, and write the report.

    :param bag: the recording.
    :param folder: an existing folder, as `new_report` gives it.
    :param title: heading of the contact sheet; names the recording in the output, too.
    :param options: how the bag is replayed.
    :returns: the files written, by a short description such as `'video'`.
    :raises BagError: if the bag is damaged, or if its ground truth does not belong to its frames.
    :raises SessionError: if the node fails.
    :raises ParameterError: if the node would refuse a parameter.
    :raises ReportError: if a file cannot be written.
    """
    return replay_cameras_and_report([Part(bag, folder, title)], options)[0]


@dataclass(frozen=True)
class Part:
    """
    One camera of a replay, and where its report is written.

    :ivar bag: the recording.
    :ivar folder: an existing folder, as `new_report` gives it.
    :ivar title: heading of the contact sheet; names the recording in the output, too.
    :ivar camera: name of the camera among several; '' for the only one.
    """

    bag: CameraBag
    folder: Path
    title: str
    camera: str = ''


def replay_cameras_and_report(parts: Sequence[Part], options: session.SessionOptions
                              ) -> list[dict[str, Path]]:
    """
    Replay several cameras through one node, as `replay_and_report` does with one.

    :param parts: the cameras, at least one.
    :param options: how they are replayed.
    :returns: the files written for each.
    """
    with ExitStack() as stores:
        cameras = []
        for part in parts:
            bag, truth = part.bag, part.bag.truth()
            print(f'playing {bag.topic} of {part.title}: {len(bag.times_ns)} frames, '
                  f'{bag.duration_s:.1f} s', flush=True)
            messages = stores.enter_context(closing(MessageStore(part.folder)))
            printer = AlertPrinter(bag.times_ns, truth, _writer(part.camera))
            cameras.append(RecordedCamera(bag, truth, messages, part.camera, printer.add))
        log = parts[0].folder / 'node.log'
        with progress_bar(sum(len(part.bag.times_ns) for part in parts)) as bar:
            runs = session.replay_cameras(cameras, log, options, progress_callback(bar))
        found = []
        with closing(FrameScorer(options.settings)) as score:
            for part, run in zip(parts, runs):
                print(f'{table(run.metrics())}\nwriting the report', flush=True)
                files = write_report(run, part.folder, part.title, score)
                files['result bag'] = write_result_bag(run, part.folder / 'result_bag')
                if part.folder != log.parent:
                    shutil.copy(log, part.folder)
                found.append(files)
    return found


def _writer(camera: str) -> Callable[[str], None]:
    """Return a function that prints a line about a camera beside a progress bar."""
    return lambda line: tqdm.write(f'{camera}: {line}' if camera else line)


def print_files(files: Mapping[str, Path], out: Path) -> None:
    """
    Print where the files of a finished report are.

    :param files: as `replay_and_report` returns them.
    :param out: the folder that the report was moved to.
    """
    for what, path in files.items():
        print(f'  {what:<14}{out / path.name}')


def progress_bar(frames: int) -> tqdm:
    """
    Return a progress bar, which is visible on a terminal only.

    :param frames: total number of frames.
    """
    return tqdm(total=frames, unit='frame', disable=None, leave=False)


def progress_callback(bar: tqdm) -> Callable[[int], None]:
    """Return a function that sets a progress bar to the number of frames published so far."""
    def show(published: int) -> None:
        bar.update(published - bar.n)
    return show


class FrameScorer:
    """Computes the score of single frames in this process, as the node does."""

    def __init__(self, settings: Settings) -> None:
        """
        Prepare the scorer; the model is loaded for the first frame.

        :param settings: the parameters of the node: model, backend and prompts.
        """
        self._settings = settings
        self._detector: Detector | None = None

    def __call__(self, image: np.ndarray, vocabulary: Vocabulary | None = None) -> np.ndarray:
        """
        Compute the score of a frame.

        :param image: (H, W, 3) uint8 RGB.
        :param vocabulary: the prompts; None takes those of the settings.
        :returns: (H, W) float32 in 0..1; larger is more anomalous.
        :raises BundleError: if the model cannot be loaded.
        :raises BackendError: if the inference fails.
        """
        settings = self._settings
        if self._detector is None:
            self._detector = Detector.open(settings.model_bundle, settings.model_backend,
                                           settings.backend_options)
        detector = self._detector
        prompts = detector.encode(
            vocabulary or settings.vocabulary(detector.default_vocabulary))
        return detector.detect(image, prompts).score

    def close(self) -> None:
        """Free the model if it was loaded."""
        if self._detector is not None:
            self._detector.close()
