# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: evaluates every frame of recordings offline, prints and writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
import json
from pathlib import Path

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_worker_arguments, cameras_of,
    node_parameters, replay_inputs)
from vl4ad_ros.commands.evaluate_recordings import evaluate_recordings, Evaluation
from vl4ad_ros.commands.recording_jobs import jobs_of, Model
from vl4ad_ros.evaluation.evaluation_folder import start_over
from vl4ad_ros.evaluation.recording_result import merged
from vl4ad_ros.outputs import held, keep_apart
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    add_bundle_argument(parser)
    add_params_argument(parser)
    add_worker_arguments(parser)
    group = parser.add_argument_group('output')
    group.add_argument('--out', type=Path, metavar='DIR',
                       help='folder for report.html, metrics.json, run.json and the result bags; '
                       'an older evaluation in it is replaced, and the recordings must not be in '
                       'it (default: nothing is written)')
    group.add_argument('--resume', action='store_true',
                       help='keep the recordings that an interrupted run with the same --out and '
                       'the same parameters has finished')
    group.add_argument('--format', choices=('json', 'dlr2'), default='json',
                       help='what is printed: figures (json), or the result lines of '
                       'driving_log_replayer_v2 for one recording (dlr2) (default: %(default)s)')


def run(options: argparse.Namespace) -> int:
    """
    Evaluate the recordings, print their figures, and write the report with `--out`.

    Each recording is evaluated by itself, and one that cannot be read does not stop the others.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0 if enough frames of each recording could be used, else 1.
    :raises ValueError: if arguments cannot be used together.
    :raises KeyboardInterrupt: after Ctrl-C or SIGTERM; what was done before is stored.
    """
    _check(options)
    parameters = node_parameters(options)
    settings = Settings().changed(parameters)
    if options.out:
        from vl4ad_ros.commands import evaluation_report
        given = [*options.bags, *([options.labels] if options.labels else [])]
        keep_apart(options.out, [*given, *replay_inputs(options, parameters)])
    with _scratch(options) as scratch, closing(Model(settings)) as model:
        found = evaluate_recordings(jobs_of(options, settings, scratch), model)
        if options.out and found.stored:
            evaluation_report.write(found, settings, options)
    if found.stopped:
        raise KeyboardInterrupt
    print(_printed(found, options))
    return 0 if all(result.enough for result in found.results) else 1


def _check(options: argparse.Namespace) -> None:
    """Refuse arguments that cannot be used together."""
    count = len(options.bags) * len(cameras_of(options))
    if options.format == 'dlr2' and count > 1:
        raise ValueError(f'--format dlr2 takes one camera of one recording, not {count}, because '
                         'its readers take the last line for the result; run the command once for '
                         'each')
    if options.resume and options.out is None:
        raise ValueError('--resume goes on with the evaluation in a folder: name it with --out')
    if options.ray is not None and options.out is not None:
        raise ValueError('--ray cannot be used with --out, because the result bags would be '
                         'written on the machines of the cluster; use --workers instead of --ray, '
                         'or leave out --out to print the figures only')


@contextmanager
def _scratch(options: argparse.Namespace) -> Iterator[Path | None]:
    """With `--out`, keep other runs out of it, and yield a folder for unfinished results."""
    if options.out is None:
        yield None
        return
    with held(options.out) as scratch:
        if not options.resume:
            start_over(options.out)
        scratch.mkdir()
        yield scratch


def _printed(found: Evaluation, options: argparse.Namespace) -> str:
    """Return the figures of one recording, or those of several and their total."""
    results = found.results
    if options.format == 'dlr2':
        return '\n'.join(results[0].lines)
    return json.dumps(results[0].figures if len(results) == 1 else merged(results), indent=2)


VERB = Verb(add_arguments, run)
