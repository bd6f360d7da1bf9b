# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: evaluates every frame of recordings offline, prints and writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
import json
from pathlib import Path
import sys

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_worker_arguments,
    node_parameters, replay_inputs)
from vl4ad_ros.commands.evaluate_recording import evaluate_recording, Evaluation, unique_names
from vl4ad_ros.commands.recording_jobs import RecordingJob, run_jobs
from vl4ad_ros.evaluation.evaluation_folder import start_over
from vl4ad_ros.evaluation.recording_result import merged, RecordingResult
from vl4ad_ros.outputs import held, keep_apart
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    add_bundle_argument(parser)
    add_params_argument(parser)
    add_worker_arguments(parser)
    group = parser.add_argument_group('output')
    group.add_argument('--format', choices=('json', 'dlr2'), default='json',
                       help='what is printed: figures (json), or the result lines of '
                       'driving_log_replayer_v2 for one recording (dlr2) (default: %(default)s)')
    group.add_argument('--out', type=Path, metavar='DIR',
                       help='folder for report.html, metrics.json, run.json and the result bags; '
                       'an older evaluation in it is replaced, and the recordings must not be in '
                       'it (default: nothing is written)')
    group.add_argument('--resume', action='store_true',
                       help='keep the recordings that an interrupted run with the same --out and '
                       'the same parameters has finished')


def run(options: argparse.Namespace) -> int:
    """
    Evaluate the recordings, and print their figures.

    Each recording is evaluated by itself, and one that cannot be read does not stop the others.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0 if enough frames of each recording could be used, else 1.
    :raises ValueError: if `--format dlr2` is given with several recordings, or `--resume` without
        `--out`.
    """
    if options.format == 'dlr2' and len(options.bags) > 1:
        raise ValueError(f'--format dlr2 takes one recording, not {len(options.bags)}, because '
                         'its readers take the last line for the result; run the command once for '
                         'each recording')
    if options.resume and options.out is None:
        raise ValueError('--resume goes on with the evaluation in a folder: name it with --out')
    parameters = node_parameters(options)
    settings = Settings().changed(parameters)
    if options.out is None:
        found = _evaluated(settings, options)
    else:
        from vl4ad_ros.commands.evaluation_report import write
        given = [*options.bags, *([options.labels] if options.labels else [])]
        keep_apart(options.out, [*given, *replay_inputs(options, parameters)])
        with _folder(options):
            found = _evaluated(settings, options)
            if found.stored:
                write(found, settings, options)
    if found.stopped:
        raise KeyboardInterrupt
    results = found.results
    if options.format == 'dlr2':
        print('\n'.join(results[0].lines))
    else:
        print(json.dumps(results[0].figures if len(results) == 1 else merged(results), indent=2))
    return 0 if all(result.enough for result in results) else 1


@contextmanager
def _folder(options: argparse.Namespace) -> Iterator[None]:
    """Keep other runs out of the output folder; without --resume, remove what is in it."""
    with held(options.out):
        if not options.resume:
            start_over(options.out)
        yield


def _evaluated(settings: Settings, options: argparse.Namespace) -> Evaluation:
    """Evaluate the recordings until there is none left, or until Ctrl-C or SIGTERM."""
    names = unique_names(options.bags)
    jobs = [RecordingJob(path, options, settings, name)
            for path, name in zip(options.bags, names)]
    found = Evaluation()
    try:
        with closing(run_jobs(evaluate_recording, jobs)) as outcomes:
            for job, outcome in zip(jobs, outcomes):
                if outcome.error and len(jobs) == 1:
                    raise outcome.error
                if outcome.error:
                    print(f'vl4ad: error: {outcome.error}', file=sys.stderr)
                found.add(job, outcome.found, RecordingResult.failed(
                    str(job.recording), str(outcome.error), job.name))
                if found.stopped:
                    break
    except KeyboardInterrupt:
        if options.out is None or not found.results:
            raise
        found.stopped = True
    found.not_started = names[len(found.results):]
    return found


VERB = Verb(add_arguments, run)
