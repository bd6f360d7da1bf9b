# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a replay: progress, one line per alert, a table, and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
import shutil

import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.replay_result import table
from vl4ad_ros.evaluation.report import METRICS, ReportError, write_report
from vl4ad_ros.evaluation.result_bag import write_result_bag
from vl4ad_ros.evaluation.spool import Spool
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import keep_apart, replaced
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_ros.replay import session
from vl4ad_ros.replay.live import LiveLines
from vl4ad_ros.settings import Settings


FILES = (METRICS, 'overlay.mp4', 'contact_sheet.png', 'result_bag', 'node.log')
"""What the report of a replay may consist of."""
FAILED = 'failed_'
"""Put before the name of a log that a node left which failed."""


@contextmanager
def new_report(out: Path, inputs: Iterable[Path], more: Sequence[str] = ()) -> Iterator[Path]:
    """
    Give a folder for a report that takes the place of an older one in `out` once it is complete.

    Otherwise the older report stays. If the node failed, its log is kept beside that.

    :param inputs: what the replay reads.
    :param more: names of files that belong to the report beside `FILES`.
    :raises OutputError: if `out` could overwrite an input, or another run is writing to it.
    :raises ReportError: if `out` holds something else under a name of the report.
    """
    keep_apart(out, inputs)
    bag = out / 'result_bag'
    if bag.exists() and not (bag / 'metadata.yaml').is_file():
        raise ReportError(f"'{bag}' exists and is no bag; move it away")
    names = [*FILES, *more]
    logs = [name for name in names if name.endswith('.log')]
    with replaced(out, [*names, *(FAILED + name for name in logs)]) as folder:
        try:
            yield folder
        except session.SessionError as error:
            for log in folder.glob('*.log'):
                kept = shutil.move(log, out / (FAILED + log.name))
            raise session.SessionError(f'{error}\nAll that it said is in {kept}') from error


def show(bag: CameraBag, folder: Path, title: str,
         options: session.SessionOptions = session.SessionOptions()) -> dict[str, Path]:
    """
    Replay a bag through the node, tell what happens, and write the report into a folder.

    :returns: the files written, by what they are.
    :raises BagError: if the bag cannot be used.
    :raises SessionError: if the node fails.
    """
    truth = bag.truth()
    print(f'playing {bag.topic} of {bag.path}: {len(bag.times_ns)} frames, '
          f'{bag.duration_s:.1f} s', flush=True)
    with closing(Spool(folder)) as spool:
        lines = LiveLines(bag.times_ns, truth, tqdm.write)
        with progress_bar(len(bag.times_ns)) as bar:
            replayed = session.replay(bag, truth, spool, folder / 'node.log', options, lines.add,
                                      lambda published: bar.update(published - bar.n))
        print(f'{table(replayed.metrics())}\nwriting the report', flush=True)
        with closing(Scorer(options.settings)) as score:
            files = write_report(replayed, folder, title, score)
        files['result bag'] = write_result_bag(replayed, folder / 'result_bag')
    return files


def tell(files: Mapping[str, Path], out: Path) -> None:
    """Print where the files of a finished report are."""
    for what, path in files.items():
        print(f'  {what:<14}{out / path.name}')


def progress_bar(frames: int) -> tqdm:
    """Return a progress bar on a terminal, and nothing visible elsewhere."""
    return tqdm(total=frames, unit='frame', disable=None, leave=False)


class Scorer:
    """Scores single frames as the node did."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._detector: Detector | None = None

    def __call__(self, image: np.ndarray, vocabulary: Vocabulary | None = None) -> np.ndarray:
        """Return the score (H, W) of an RGB image, by default with the prompts of the settings."""
        settings = self._settings
        if self._detector is None:
            self._detector = Detector.open(settings.model_bundle, settings.model_backend,
                                           settings.backend_options)
        detector = self._detector
        prompts = detector.encode(
            vocabulary or settings.vocabulary(detector.default_vocabulary))
        return detector.detect(image, prompts).score

    def close(self) -> None:
        """Free the model, if it was needed."""
        if self._detector is not None:
            self._detector.close()
