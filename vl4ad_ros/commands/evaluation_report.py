# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the files about all recordings of an evaluation, and says where they are."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shlex
import sys

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.commands.bench import machine
from vl4ad_ros.commands.evaluate_recordings import Evaluation
from vl4ad_ros.evaluation.evaluation_folder import (
    METRICS, metrics_of, RECORDINGS, REPORT, RUN, write_metrics)
from vl4ad_ros.evaluation.report_page import report_page
from vl4ad_ros.outputs import replaced
from vl4ad_ros.settings import ROWS, Settings


def write(found: Evaluation, settings: Settings, options: argparse.Namespace) -> None:
    """
    Write `report.html`, `metrics.json` and `run.json`, and print where they are.

    :param found: what came out; at least one recording has a result.
    :param settings: the parameters of the node.
    :param options: parsed arguments of `vl4ad evaluate`.
    """
    bundle = Bundle.open(settings.model_bundle)
    vocabulary = settings.vocabulary(bundle.vocabulary)
    digest = hashlib.sha256(json.dumps(
        sorted(bundle.files.items())).encode()).hexdigest()
    parameters = {name: getattr(settings, row.attribute) for name, row in ROWS.items()}
    metrics = metrics_of(found.results, {
        'model': bundle.name, 'model_digest': digest,
        'backend': found.stored[0].result.figures['backend'],
        'parameters': {**{name: list(value) if isinstance(value, tuple) else value
                          for name, value in parameters.items()},
                       'model.bundle': bundle.name},
        'prompts': {'known': [str(c) for c in vocabulary.known],
                    'anomaly': [str(c) for c in vocabulary.anomaly]}})
    facts = machine(settings.model_device)
    run = {'date': facts.pop('date'),
           'seconds': round(sum(stored.run.seconds for stored in found.stored), 3),
           'command': shlex.join(['vl4ad', *sys.argv[1:]]), 'host': platform.node(),
           'left_out': found.left_out,
           'notice': ' '.join(filter(None, (bundle.notice, bundle.terms))),
           'machine': facts}
    names = [result.name for result in found.results]
    title = f'Evaluation of {names[0]}' + (
        f' and {len(names) - 1} more' if len(names) > 1 else '')
    with replaced(options.out, (REPORT, METRICS, RUN)) as folder:
        write_metrics(folder, metrics, run)
        page = report_page(found.stored, metrics, run, title)
        (folder / REPORT).write_text(page, encoding='utf-8')
    for what, name in (('report', REPORT), ('metrics', METRICS), ('run', RUN),
                       ('recordings', RECORDINGS)):
        print(f'  {what:<14}{options.out / name}', file=sys.stderr)
    if found.stopped:
        print('vl4ad: what was done before the interruption is kept; the same command with '
              '--resume goes on', file=sys.stderr)
