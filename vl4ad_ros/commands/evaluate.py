# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: evaluates every frame of recordings offline, prints and writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, node_parameters, replay_inputs)
from vl4ad_ros.commands.evaluate_recordings import evaluate_recordings, Model
from vl4ad_ros.evaluation.evaluation_folder import start_over
from vl4ad_ros.evaluation.recording_result import merged, RecordingResult
from vl4ad_ros.outputs import held, keep_apart
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    add_bundle_argument(parser)
    add_params_argument(parser)
    group = parser.add_argument_group('output')
    group.add_argument('--out', type=Path, metavar='DIR',
                       help='folder for report.html, metrics.json, run.json and the result bags; '
                       'an older evaluation in it is replaced, and the recordings must not be in '
                       'it (default: only the JSON on stdout)')
    group.add_argument('--resume', action='store_true',
                       help='keep the recordings that an interrupted run with the same --out and '
                       'the same parameters has finished')


def run(options: argparse.Namespace) -> int:
    """Evaluate the recordings, print their figures, and return 0 if enough frames were used."""
    if options.resume and options.out is None:
        raise ValueError('--resume goes on with the evaluation in a folder: name it with --out')
    parameters = node_parameters(options)
    settings = Settings().changed(parameters)
    if options.out:
        from vl4ad_ros.commands import evaluation_report
        given = [*options.bags, *([options.labels] if options.labels else [])]
        keep_apart(options.out, [*given, *replay_inputs(options, parameters)])
    with _scratch(options) as scratch:
        with closing(Model(settings)) as model:
            found = evaluate_recordings(model, options, scratch)
            if options.out and found.stored:
                evaluation_report.write(found, model.detector, settings, options)
    if found.stopped:
        raise KeyboardInterrupt
    print(json.dumps(_printed(found.results), indent=2))
    return 0 if all(result.enough for result in found.results) else 1


@contextmanager
def _scratch(options: argparse.Namespace) -> Iterator[Path]:
    """Yield a folder for temporary files; with --out, no other run can write there meanwhile."""
    if options.out is None:
        with TemporaryDirectory(prefix='vl4ad_') as folder:
            yield Path(folder)
        return
    with held(options.out) as scratch:
        if not options.resume:
            start_over(options.out)
        scratch.mkdir()
        yield scratch


def _printed(results: Sequence[RecordingResult]) -> Mapping[str, Any]:
    """Return the figures of one recording, or those of several and their total."""
    return results[0].figures if len(results) == 1 else merged(results)


VERB = Verb(add_arguments, run)
