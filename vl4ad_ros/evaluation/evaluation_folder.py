# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The folder that an evaluation writes: which files it has, and how they are written and read.

`metrics.json` and `recordings/*/result_bag/` depend on the recordings, the model and the
parameters only. What depends on the machine is in `run.json`, of the whole and of each recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
import shutil
from typing import Any

import numpy as np

from vl4ad_ros import __version__
from vl4ad_ros.evaluation.figures import DEFINITIONS
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.recording_result import merged, RecordingResult
from vl4ad_ros.files import read_regular

REPORT, METRICS, RUN, RECORDINGS = 'report.html', 'metrics.json', 'run.json', 'recordings'
"""Names in the folder of an evaluation."""
RESULT, PIXELS, PICTURES, BAG = 'result.json', 'pixels.npz', 'pictures', 'result_bag'
"""Names in the folder of one recording, which has a `RUN`, too."""
SCHEMA_VERSION = 1
"""Version of `metrics.schema.json`. It grows when a key is removed or changes its meaning."""
SCHEMA = Path(__file__).parent / 'metrics.schema.json'
"""The JSON schema of `metrics.json`."""
_LARGEST = 1 << 28
_COUNTS = 2, 1 << 16
_ABOUT = ('model', 'backend', 'version', 'definitions')


@dataclass(frozen=True)
class RecordingRun:
    """
    How the evaluation of one recording went on this machine.

    :ivar recording: the path, as it was given.
    :ivar key: a hash of everything that the result depends on; see `commands.evaluate`.
    :ivar date: when it began, as ISO 8601 in UTC.
    :ivar seconds: how long it took.
    :ivar frame_ms: milliseconds from each stored message to its alerts.
    """

    recording: str
    key: str
    date: str
    seconds: float
    frame_ms: tuple[float, ...]


@dataclass(frozen=True)
class Stored:
    """
    One recording in the folder of an evaluation.

    :ivar folder: its folder.
    :ivar result: what was found.
    :ivar run: how it went.
    """

    folder: Path
    result: RecordingResult
    run: RecordingRun


def start_over(out: Path) -> None:
    """
    Remove an older evaluation.

    :param out: folder of the evaluation; other files in it stay.
    :raises ReportError: if its sub-folder `recordings` holds something else.
    """
    recordings = out / RECORDINGS
    for place in sorted(recordings.iterdir()) if recordings.is_dir() else ():
        if not place.name.startswith('.') and not (place / RESULT).is_file():
            raise ReportError(f"'{place}' exists but is not a result of vl4ad evaluate; move it "
                              'to another place, or choose another folder with --out')
    for name in (REPORT, METRICS, RUN):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(recordings, ignore_errors=True)


def write_recording(folder: Path, result: RecordingResult, run: RecordingRun) -> None:
    """
    Write the result of a recording.

    :param folder: the folder of the recording, which exists.
    :param result: what was found.
    :param run: how it went.
    """
    _write_json(folder / RESULT, result.as_json())
    _write_json(folder / RUN, asdict(run))
    pixels = np.zeros(_COUNTS, np.int64) if result.pixels is None else result.pixels
    keys = np.flatnonzero(pixels.any(axis=0)).astype(np.uint16)
    np.savez_compressed(folder / PIXELS, keys=keys, counts=pixels[:, keys])


def read_recording(folder: Path) -> Stored:
    """
    Read what `write_recording` wrote.

    :param folder: the folder of the recording.
    :raises ReportError: if it cannot be read.
    """
    try:
        with np.load(folder / PIXELS, allow_pickle=False) as stored:
            pixels = np.zeros(_COUNTS, np.int64)
            pixels[:, stored['keys']] = stored['counts']
        run = RecordingRun(**_read_json(folder / RUN))
        result = RecordingResult.of(_read_json(folder / RESULT), pixels, run.recording)
        return Stored(folder, result, replace(run, frame_ms=tuple(run.frame_ms)))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ReportError(f"'{folder}' is not a result of this version of vl4ad evaluate "
                          f'({type(error).__name__}: {error}); evaluate the recording again'
                          ) from error


def read_evaluation(out: Path) -> tuple[dict[str, Any], list[Stored]]:
    """
    Read the folder of an evaluation.

    :param out: the folder.
    :returns: the content of `metrics.json`, and the recordings that it lists and that could be
        evaluated, in its order.
    :raises ReportError: if it is not the folder of an evaluation.
    """
    try:
        metrics = _read_json(out / METRICS)
        version = metrics.get('schema_version')
        listed = [entry['recording'] for entry in metrics['recordings'] if 'error' not in entry]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"'{out}' is not the folder of an evaluation ({error}); make one with: "
                          f'vl4ad evaluate RECORDING --out {out}') from error
    if version != SCHEMA_VERSION:
        raise ReportError(f"'{out / METRICS}' has the schema version {version}, expected "
                          f'{SCHEMA_VERSION}; evaluate the recordings again')
    return metrics, [read_recording(out / RECORDINGS / name) for name in listed]


def metrics_of(results: Sequence[RecordingResult], about: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the content of `metrics.json`, which `metrics.schema.json` describes.

    :param results: the results of all recordings, in the order in which the user named them.
    :param about: `model`, `model_digest`, `backend`, `parameters` and `prompts`.
    """
    entries: list[dict[str, Any]] = []
    for result in results:
        figures = {k: v for k, v in result.figures.items() if k not in _ABOUT}
        complete = {} if 'error' in figures else {'complete': result.complete}
        entries.append({'recording': result.name, **complete, **figures})
    total = merged(results)['total']
    used = set(total).union(*entries)
    return {'schema_version': SCHEMA_VERSION, 'version': __version__, **about,
            'recordings': entries, 'total': total,
            'definitions': {k: v for k, v in DEFINITIONS.items() if k in used}}


def write_metrics(folder: Path, metrics: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """
    Write `metrics.json` and `run.json`.

    :param folder: an existing folder.
    :param metrics: as `metrics_of` returns them.
    :param run: facts about the machine and the run.
    """
    _write_json(folder / METRICS, metrics)
    _write_json(folder / RUN, run)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(read_regular(path, _LARGEST))
