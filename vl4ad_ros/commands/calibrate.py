# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad calibrate`: chooses the threshold for recordings, with a bound."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from tqdm import tqdm

from vl4ad_ros import __version__
from vl4ad_ros.bundle.installed import folder_of
from vl4ad_ros.bundle.manifest import read_manifest
from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_worker_arguments,
    node_parameters, positive)
from vl4ad_ros.commands.recording_jobs import RecordingJob, run_jobs
from vl4ad_ros.commands.recordings import finished
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.calibration import (
    CalibrationError, Evidence, LOWEST_FOR_RECALL)
from vl4ad_ros.evaluation.parameter_file import write_parameter_file
from vl4ad_ros.evaluation.threshold_sweep import candidates, sweep, SweepCounts
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.outputs import keep_apart
from vl4ad_ros.settings import PARAMETERS, Settings

_SHOWN = 5
"""Every so many candidates are in the table that is printed."""
_MEASURED_WITH = ('region.', 'alert.')
"""Beginnings of the names of parameters that the counts depend on; the file states them all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    goal = parser.add_argument_group('goal').add_mutually_exclusive_group(required=True)
    goal.add_argument('--false-alerts-per-hour', type=positive, metavar='R',
                      help='the lowest threshold with at most R false alerts per hour; of '
                      'recordings without ground truth, all alerts are taken to be false')
    goal.add_argument('--recall', type=_share, metavar='R',
                      help='the highest threshold at which the next obstacle is alerted with a '
                      'probability of at least R; needs labels with object ids')
    parser.add_argument('--confidence', type=_confidence, default=0.95, metavar='C',
                        help='confidence of the bound on false alerts (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('out/calibrated.yaml'), metavar='FILE',
                        help='parameter file to write; an older one is replaced (default: '
                        '%(default)s)')
    add_bundle_argument(parser)
    add_params_argument(parser)
    add_worker_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """
    Count alerts at all thresholds, print them, and write the parameter file.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0.
    :raises CalibrationError: if the recordings cannot show what was asked for, or if one of them
        cannot be used; no file is written then.
    """
    given = node_parameters(options)
    settings = Settings().changed(given)
    keep_apart(options.out, [*options.bags, *([options.params] if options.params else [])])
    counts = _counts([RecordingJob(path, options, settings) for path in options.bags])
    evidence = Evidence.of(candidates(settings.region_min_area), counts, options.confidence)
    _print_table(evidence)
    rate = options.false_alerts_per_hour
    chosen = (evidence.by_recall(options.recall) if rate is None
              else evidence.by_false_alerts(rate))
    best = evidence.tried[chosen]
    values = {**given, 'threshold': best.threshold, 'region.min_area': best.min_area}
    changed = settings.changed(values)
    values |= {row.name: getattr(changed, row.attribute) for row in PARAMETERS
               if row.name.startswith(_MEASURED_WITH)}
    write_parameter_file(options.out, values, [
        *_promise(evidence, chosen, options), *_about(changed, counts, chosen)])
    print(f'threshold {best.threshold:g}, region.min_area {best.min_area:g}: '
          f'{_rate(evidence, chosen)}\n{options.out}: use it with params_file:= or --params')
    return 0


def _counts(jobs: list[RecordingJob]) -> list[SweepCounts]:
    """Return the counts of all recordings, or refuse if one cannot be used."""
    counts, unusable = [], 0
    for job, outcome in zip(jobs, run_jobs(_sweep, jobs)):
        if outcome.error is not None:
            print(f'vl4ad: error: {outcome.error}', file=sys.stderr)
        if outcome.found is None or not outcome.found[1]:
            unusable += 1
        else:
            counts.append(outcome.found[0])
    if unusable:
        raise CalibrationError(f'{unusable} of {len(jobs)} recordings cannot be used, so nothing '
                               'is written; leave them out, or accept more frames that cannot be '
                               'used with --skip-bad')
    return counts


def _sweep(job: RecordingJob, bag: CameraBag, detector: Detector) -> tuple[SweepCounts, bool]:
    """Return the counts of a recording, and whether enough of its frames could be used."""
    warned = len(bag.notes)
    with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
        def processed(frame: BagFrame) -> None:
            bar.update()

        def refuse(frame: BagFrame, error: BagError) -> None:
            bar.update()
        counts = sweep(str(job.recording), bag, detector, job.settings,
                       candidates(job.settings.region_min_area), processed, refuse)
    labelled = bag.labelled_count if bag.has_truth else None
    return counts, finished(str(job.recording), bag, counts.frames, labelled, warned, job.options)


def _print_table(evidence: Evidence) -> None:
    print('threshold  min_area  false alerts  at most per hour  objects found')
    last = len(evidence.tried) - 1
    for index, one in enumerate(evidence.tried):
        if index % _SHOWN == 0 or index == last:
            print(f'{one.threshold:9.2f}  {one.min_area:8.5f}  {evidence.false_alerts[index]:12}  '
                  f'{evidence.largest_rate(index):16.1f}  {_objects(evidence, index):>13}')


def _objects(evidence: Evidence, index: int) -> str:
    return (f'{int(evidence.found[:, index].sum())} of {len(evidence.found)}'
            if len(evidence.found) else '-')


def _rate(evidence: Evidence, index: int) -> str:
    most = evidence.largest_rate(index)
    return (f'{evidence.false_alerts[index]} false alerts in {evidence.hours:.3f} h, so at most '
            f'{most:{".3g" if most < 1000 else ".0f"}} per hour (Poisson, confidence '
            f'{evidence.confidence:g})')


def _promise(evidence: Evidence, index: int, options: argparse.Namespace) -> list[str]:
    """Return what is promised, and what it rests on."""
    promise = ['Written by vl4ad calibrate. Asked for: '
               + (f'--recall {options.recall:g}' if options.recall is not None else
                  f'--false-alerts-per-hour {options.false_alerts_per_hour:g}')]
    if options.recall is not None:
        kept = int(evidence.surely_found()[:, index].sum())
        promise += [f'Found: {kept} of {len(evidence.found)} labelled objects, here and at all '
                    f'lower thresholds from {LOWEST_FOR_RECALL:g} on.',
                    'Conformal risk control (arXiv:2208.02814): an object like these is then '
                    f'found with a probability of at least {options.recall:g}.',
                    f'Beside that, without having chosen by it: {_rate(evidence, index)}.']
    else:
        promise += [f'Counted: {_rate(evidence, index)}.',
                    'The thresholds were tested from the highest down (fixed sequence testing, '
                    'arXiv:2110.01052), so the choice does not weaken the bound.']
        if len(evidence.found):
            promise.append(f'Beside that, without a bound: {_objects(evidence, index)} labelled '
                           'objects found.')
    return [*promise, 'This holds for drives like these, with every frame processed at the rate '
            'at which it was recorded.']


def _about(settings: Settings, counts: list[SweepCounts], index: int) -> list[str]:
    """Return what was measured with what."""
    manifest = read_manifest(folder_of(settings.model_bundle))
    return [f'vl4ad_ros {__version__}, bundle {manifest.name} (sha256 {manifest.digest[:12]}), '
            f'backend {settings.model_backend}', 'Recordings:',
            *(f'  {one.recording}: {one.frames} frames, {one.seconds:.1f} s, '
              f'{one.false_alerts[index]} false alerts' for one in counts)]


def _share(text: str) -> float:
    """Convert the text of an argument to a number above 0 and below 1 (for `type=`)."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0 and below 1")
    return value


def _confidence(text: str) -> float:
    """Convert the text of an argument to a confidence (for `type=`)."""
    value = float(text)
    if not 0.5 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0.5 on and below 1")
    return value


VERB = Verb(add_arguments, run)
