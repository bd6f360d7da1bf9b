# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure street bundles on local data, for the model card.

    python -m benchmarks.street BUNDLE... --data FOLDER... [--without-animals BUNDLE...]
        [--split test|validation] [--json FILE] [--only PART...]

Several bundles are trainings of one recipe with different seeds; each figure is then their mean ±
standard deviation. A file that --json wrote may be given in place of its bundles. Data sets that
are missing are named, and their rows left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
import json
from pathlib import Path
from typing import Any

from benchmarks.street import (
    animal_photos, changed_words, clean_motorway, latency, pasted_objects, street_segmentation)
from benchmarks.street.report import Study, table
from benchmarks.street.study_data import Skipped, SPLITS, StudyData
from benchmarks.street.subject import Subject
import torch

from vl4ad_workshop.training.street.data_folders import DataFolders
from vl4ad_workshop.training.street.recipe import STREET_RECIPES

UNSEEN = 'animals, never seen'
PARTS = ('animals', 'known things', 'streets', 'motorway', 'segmentation', 'word taken away',
         'word added', 'word added, photographs', 'clean road', 'latency')


def measure(name: str, data: StudyData, parts: Sequence[str],
            skipped: dict[str, str]) -> dict[str, Any]:
    """
    Return the figures of one bundle by part.

    :param name: of the bundle, or its directory.
    :param data: what is shown to it.
    :param parts: names out of `PARTS`.
    :param skipped: receives the reason for each part that cannot be measured.
    """
    subject = Subject(name)
    data.refuse_trained(subject.record)
    figures: dict[str, Any] = {'bundle': {'name': subject.detector.bundle.name,
                                          'digest': subject.detector.bundle.digest}}

    @cache
    def on_streets() -> pasted_objects.ObjectFigures:
        return pasted_objects.observe(subject, data.street_composites, 'objects on streets')

    measures: dict[str, Callable[[], Any]] = {
        'animals': lambda: animal_photos.measure(subject, data),
        'known things': lambda: on_streets().known_result(),
        'streets': lambda: on_streets().result(),
        'motorway': lambda: pasted_objects.observe(
            subject, data.motorway_composites, 'objects on a motorway').result(),
        'segmentation': lambda: street_segmentation.measure(subject, data),
        'word taken away': lambda: changed_words.taken(subject, data),
        'word added': lambda: changed_words.added(subject, data),
        'word added, photographs': lambda: changed_words.added_on_photographs(subject, data),
        'clean road': lambda: clean_motorway.measure(subject, data),
        'latency': lambda: latency.measure(name)}
    try:
        for part in parts:
            try:
                figures[part] = measures[part]()
            except Skipped as reason:
                skipped[part] = str(reason)
    finally:
        subject.close()
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n\n')[0])
    parser.add_argument('bundles', nargs='+', metavar='BUNDLE',
                        help='names, directories, or files that --json wrote; several are '
                             'trainings of one recipe with different seeds')
    parser.add_argument('--data', nargs='+', type=Path, default=[], metavar='PATH',
                        help='folders as in vl4ad train --config street, and of the photographs '
                             'of Indian roads; the clean roads must be others than in training')
    parser.add_argument('--without-animals', nargs='+', default=[], metavar='BUNDLE',
                        help='bundles that were trained with --without-animals')
    parser.add_argument('--split', choices=SPLITS, default='test',
                        help='validation chooses constants, test reports (default: %(default)s)')
    parser.add_argument('--only', nargs='+', choices=PARTS, default=PARTS, metavar='PART',
                        help=f'measure these parts only: {", ".join(PARTS)}')
    parser.add_argument('--most', type=int, metavar='N',
                        help='use at most N streets and frames each, for a trial run')
    parser.add_argument('--threads', type=int, default=2, metavar='N',
                        help='of PyTorch, which computes p(object) (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    folders = DataFolders.recognise(args.data)
    print(*folders.found(), sep='\n')
    data = StudyData(folders, SPLITS[args.split], STREET_RECIPES['street'], args.most)
    studies: list[Study] = []
    skipped: dict[str, str] = {}
    for name in args.bundles:
        if name.endswith('.json'):
            studies += recorded(Path(name), args.split)
        else:
            studies.append(measure(name, data, args.only, skipped))
    for name in args.without_animals:
        figures = measure(name, data, ['animals'], skipped)
        if 'animals' in figures:
            studies.append({UNSEEN: figures['animals'], 'bundle': figures['bundle']})
    print(f'\n{", ".join(args.bundles)}: {args.split} split\n\n{table(studies, skipped)}')
    if args.json:
        args.json.write_text(json.dumps({'split': args.split, 'studies': studies}, indent=1))


def recorded(file: Path, split: str) -> list[Study]:
    """
    Return the studies in a file that --json wrote.

    :raises SystemExit: if they are of another split.
    """
    record = json.loads(file.read_text())
    if record['split'] != split:
        raise SystemExit(f"{file} is of the split '{record['split']}', not '{split}'; measure its "
                         'bundles again')
    return record['studies']


if __name__ == '__main__':
    main()
