# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad compare`: compares two evaluations of the same recordings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vl4ad_ros import __version__
from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import not_negative
from vl4ad_ros.evaluation.comparison import (
    ComparisonError, Difference, differences, listed, METRICS, paired, ROUNDS)
from vl4ad_ros.evaluation.differing_frames import differing_frames
from vl4ad_ros.evaluation.evaluation_folder import read_evaluation, Stored
from vl4ad_ros.outputs import keep_apart, replaced

PAGE, FIGURES = 'comparison.html', 'comparison.json'
"""Names of the files of a comparison."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('first', type=Path, metavar='A',
                        help='folder of an evaluation: what vl4ad evaluate --out has written')
    parser.add_argument('second', type=Path, metavar='B', help='folder of the other evaluation')
    parser.add_argument('--max-drop', type=not_negative, metavar='D',
                        help='the exit status is 1 if B is worse than A by more than D in the '
                        'metric')
    parser.add_argument('--metric', choices=tuple(METRICS), default='pixel_ap',
                        help='the metric of --max-drop (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('out/compare'), metavar='DIR',
                        help=f'folder for {PAGE} and {FIGURES}; older ones in it are replaced '
                        '(default: %(default)s)')


def run(options: argparse.Namespace) -> int:
    """Compare the evaluations, and return 1 if the second is worse than `--max-drop` allows."""
    from vl4ad_ros.evaluation.comparison_page import comparison_page
    keep_apart(options.out, [options.first, options.second])
    (first, ones), (second, others) = map(read_evaluation, (options.first, options.second))
    pairs = _pairs(ones, others)
    found = differences([(one.result, other.result) for one, other in pairs])
    worse, verdict = _judged(found, options)
    with replaced(options.out, (PAGE, FIGURES)) as folder:
        with tqdm(total=sum(len(one.result.frames) for one, _ in pairs), unit='frame',
                  desc='comparing the masks', disable=None, leave=False) as bar:
            def advance() -> None:
                bar.update()
            frames = differing_frames(pairs, advance)
        names = {one.result.name for one, _ in pairs}
        (folder / FIGURES).write_text(json.dumps({
            'version': __version__, 'rounds': ROUNDS, 'recordings': sorted(names),
            'metrics': {name: one.as_json() for name, one in found.items()}}, indent=2) + '\n')
        page = comparison_page(
            pairs, found, frames, {'folder': str(options.first), **first},
            {'folder': str(options.second), **second}, verdict, worse)
        (folder / PAGE).write_text(page, encoding='utf-8')
    print(listed(found))
    print(f'  {"page":<26}{options.out / PAGE}')
    if verdict:
        print(verdict)
    return 1 if worse else 0


def _pairs(ones: Sequence[Stored], others: Sequence[Stored]) -> list[tuple[Stored, Stored]]:
    """Return the recordings that both evaluations have."""
    stored = [{s.result.name: s for s in side} for side in (ones, others)]
    return [(stored[0][one.name], stored[1][one.name]) for one, _ in paired(
        [s.result for s in ones], [s.result for s in others])]


def _judged(found: Mapping[str, Difference], options: argparse.Namespace) -> tuple[bool, str]:
    """Return whether B is worse than allowed, and a sentence about it; '' without --max-drop."""
    if options.max_drop is None:
        return False, ''
    one: Any = found.get(options.metric)
    if one is None:
        raise ComparisonError(
            f"the evaluations do not both have '{options.metric}', which needs ground truth; they "
            f'have {", ".join(found) or "no metric"}: choose one of them with --metric')
    worse = one.drop > options.max_drop
    return worse, (f'{options.metric} of B is {"worse" if one.drop > 0 else "better"} by '
                   f'{abs(one.drop):.5f}, which is {"more than" if worse else "within"} the '
                   f'allowed drop of {options.max_drop:g}.')


VERB = Verb(add_arguments, run)
