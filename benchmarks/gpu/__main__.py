# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure a network on an NVIDIA GPU in one run that needs no checkpoint and no connection.

    python -m benchmarks.gpu --out DIR [--minutes 8] [--arch convnext_large_d_320]
    python -m benchmarks.gpu --out DIR --arch street

Writes gpu.json, gpu.md and gpu.log into DIR, and keeps them complete after every figure, so that a
run that is cut short leaves what it found. The most important figures come first. What the minutes
do not allow, or the architecture does not have, is skipped with a reason.

With --device cpu and --arch tiny or street it runs the same code on a CPU, to test it. Figures of
a CPU are not figures of a GPU. docs/benchmarks.md describes what is measured.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
import sys

from benchmarks.gpu import (
    compiler, correctness, detector, latency, machine, memory, pipeline, profiling)
from benchmarks.gpu.device import open_device
from benchmarks.gpu.models import ARCHES, Models, open_models
from benchmarks.gpu.report import Report, SECTIONS

from vl4ad_ros.signals import stoppable, Stopped


def main() -> int:
    """
    Run everything.

    :return: 0, or 1 if something failed, or 2 without a GPU, or 130 after a signal.
    """
    parser = argparse.ArgumentParser(
        'python -m benchmarks.gpu', description=__doc__.split('\n\n')[0])
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder of the results, which are overwritten')
    parser.add_argument('--minutes', type=float, default=8.0,
                        help='how long the run may take (default: %(default)s)')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--arch', choices=ARCHES, default='convnext_large_d_320')
    parser.add_argument('--runs', type=int, default=100,
                        help='measurements of each latency; the drive has 20 times as many frames '
                        '(default: %(default)s)')
    args = parser.parse_args()
    if args.minutes <= 0 or args.runs < 1:
        parser.error(f'--minutes must be above 0 and --runs at least 1, not {args.minutes:g} and '
                     f'{args.runs}')
    stoppable()
    try:
        device = open_device(args.device)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    report = Report(args.out, {key: value for key, value in vars(args).items() if key != 'out'},
                    args.minutes)
    try:
        measure(report, open_models(args.arch, device), args.runs)
    except Stopped:
        report.end('was stopped by a signal')
        return 130
    report.end(f'is complete; {report.failures} figures failed')
    return int(report.failures > 0)


def measure(report: Report, models: Models, runs: int) -> None:
    """
    Measure everything, the most important figures first.

    :param report: gets the figures.
    :param models: the networks.
    :param runs: measurements of each latency.
    """
    parts = dict(zip(SECTIONS, (
        machine, correctness, latency, pipeline, detector, profiling, memory, compiler),
        strict=True))
    for section, part in parts.items():
        report.plan(section, part.names(models))
    for section, part in parts.items():
        report.section(section, functools.partial(part.run, report, models, runs))


if __name__ == '__main__':
    sys.exit(main())
