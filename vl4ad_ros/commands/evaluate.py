# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: evaluates every frame of recordings offline and prints JSON."""

from __future__ import annotations

import argparse
import json
import sys

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_worker_arguments,
    node_parameters)
from vl4ad_ros.commands.recording_jobs import RecordingJob, run_jobs
from vl4ad_ros.commands.recordings import finished
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.dlr2 import ResultLines
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.recording_result import merged, RecordingResult
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    add_bundle_argument(parser)
    add_params_argument(parser)
    add_worker_arguments(parser)
    parser.add_argument('--format', choices=('json', 'dlr2'), default='json',
                        help='what is printed: figures (json), or the result lines of '
                        'driving_log_replayer_v2 for one recording (dlr2) (default: %(default)s)')


def run(options: argparse.Namespace) -> int:
    """
    Evaluate the recordings, and print their figures.

    Each recording is evaluated by itself, and one that cannot be read does not stop the others.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0 if enough frames of each recording could be used, else 1.
    :raises ValueError: if `--format dlr2` is given with several recordings.
    """
    if options.format == 'dlr2' and len(options.bags) > 1:
        raise ValueError(f'--format dlr2 takes one recording, not {len(options.bags)}, because '
                         'its readers take the last line for the result; run the command once for '
                         'each recording')
    settings = Settings().changed(node_parameters(options))
    jobs = [RecordingJob(path, options, settings) for path in options.bags]
    results = []
    for job, outcome in zip(jobs, run_jobs(_evaluate, jobs)):
        if outcome.error and len(jobs) == 1:
            raise outcome.error
        if outcome.error:
            print(f'vl4ad: error: {outcome.error}', file=sys.stderr)
        results.append(outcome.found or RecordingResult.failed(
            str(job.recording), str(outcome.error)))
    if options.format == 'dlr2':
        print('\n'.join(results[0].lines))
    else:
        print(json.dumps(results[0].figures if len(jobs) == 1 else merged(results), indent=2))
    return 0 if all(result.enough for result in results) else 1


def _evaluate(job: RecordingJob, bag: CameraBag, detector: Detector) -> RecordingResult:
    """Return the figures of a recording, and whether enough of its frames could be used."""
    refused: list[BagError] = []
    warned = len(bag.notes)
    pixels = PixelMetrics()
    dlr2 = ResultLines(bag.truth()) if job.options.format == 'dlr2' else None
    lines = dlr2.first(job.settings, bag.times_ns[0]) if dlr2 else []
    with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
        def processed(frame: BagFrame, result: Result) -> None:
            bar.update()
            if dlr2:
                lines.append(dlr2.of_frame(frame, result))

        def refuse(frame: BagFrame, error: BagError) -> None:
            bar.update()
            refused.append(error)
        metrics = evaluate(bag, detector, job.settings, processed, refuse, pixels)
    if refused:
        print(f'vl4ad: warning: {len(refused)} of {len(bag.times_ns)} frames were refused, as the '
              f'node refuses them; the first: {refused[0]}', file=sys.stderr)
    enough = finished(str(job.recording), bag, metrics['frames_processed'],
                      metrics.get('frames_labelled'), warned, job.options)
    if dlr2:
        lines.append(dlr2.last(metrics, enough))
    return RecordingResult(str(job.recording), metrics, pixels.counts, enough, tuple(lines))


VERB = Verb(add_arguments, run)
