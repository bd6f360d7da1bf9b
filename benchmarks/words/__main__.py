# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the effect of a bundle's prompts on held-out drawn pictures, for docs/tiny_model.md.

The bundle holds a VL4AD network or a street network. What the latter has nothing for is skipped
with the reason.

    python -m benchmarks.words [BUNDLE ...] [--pictures 120] [--json FILE] [--pictures-out DIR]
    python -m benchmarks.words [BUNDLE ...] --validation     # settings on validation pictures

Several bundles are trainings of one recipe with different seeds; each cell is then their mean ±
standard deviation. A file that --json wrote may be given in place of its bundles. The network runs
once on each picture. Prompts, controls and options only need products of small arrays after that,
so every row uses the same masks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

from benchmarks.words.model import StudyModel
from benchmarks.words.pictures import COLUMNS, draw, GROUPS
from benchmarks.words.prompt_changes import PromptChanges
from benchmarks.words.prompts import common_prompts, control_prompts, Encoder
from benchmarks.words.rows import CHOICES, SKIPPED_FOR_STREET, TABLES
from benchmarks.words.scores import PixelFigures
from benchmarks.words.segmentation import clip_accuracy, Segmentation
from benchmarks.words.street_model import StreetStudyModel
from benchmarks.words.strips import Strips
from benchmarks.words.tables import choices, CHOSEN_BY, report, Study
import torch
from tqdm import tqdm

from vl4ad_ros.inference.detector import Detector


class Subject:
    """One bundle under study."""

    def __init__(self, name: str, validation: bool, pictures_out: Path | None = None) -> None:
        """
        Open a bundle.

        :param name: of an installed bundle, or a directory.
        :param validation: compare settings instead of measuring all tables.
        :param pictures_out: folder for strips of pictures; None writes none.
        :raises SystemExit: if there are no such settings.
        """
        self.detector = detector = Detector.open(name, 'onnxruntime')
        self.bundle = detector.bundle
        network = self.bundle.network
        self.street = network is not None and network.kind == 'street'
        skipped = SKIPPED_FOR_STREET if self.street else {}
        if validation and self.street:
            raise SystemExit(
                f"bundle '{self.bundle.name}' holds a street network, and --validation compares "
                "settings of VL4AD's classification; leave it out, or study a bundle such as "
                "'tiny'")
        self.model = (StreetStudyModel if self.street else StudyModel)(self.bundle)
        encode, shipped = Encoder(detector), self.model.options
        self._skipped = {**skipped, **{
            f"the known word '{word}'": 'it names an anomaly of the drawn pictures'
            for word in encode.left_out}}
        common = common_prompts(encode)
        self._validation = validation
        self._pixels = PixelFigures(
            CHOICES.rows if validation else
            {name: row for table in TABLES if table.title not in skipped
             for name, row in table.rows.items()}, common,
            {c: {} if validation else control_prompts(encode, c)
             for c in (CHOSEN_BY if validation else COLUMNS)}, shipped)
        self.parts: list[Any] = [self._pixels]
        if not validation:
            known = encode.default.known
            self._segmentation = Segmentation(known, common['none'], shipped)
            self._changes = PromptChanges(encode, shipped, self.bundle.calibration)
            self.parts += [self._segmentation, self._changes]
            if pictures_out:
                self.strips = Strips(pictures_out, common, [c.name for c in known], shipped)
                self.parts.append(self.strips)

    def result(self, pictures: int) -> Study:
        """Return all figures; those of CLIP are measured on `pictures` other pictures."""
        study = {'bundle': self.bundle.name, 'digest': self.bundle.digest,
                 'pixels': self._pixels.result()}
        if self._validation:
            return study
        return {**study, 'street': self.street, 'skipped': self._skipped,
                'clip': None if self.street else clip_accuracy(self.bundle, pictures),
                'segmentation': self._segmentation.result(),
                'prompt_changes': self._changes.result()}


@torch.inference_mode()
def study(subjects: Sequence[Subject], groups: Sequence[str], pictures: int, split: str,
          ) -> list[Study]:
    """Run every subject on the same pictures, and return its figures."""
    # The products are too small for several threads to be faster.
    torch.set_num_threads(1)
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context('spawn')) as pool:
        for group in groups:
            drawn = pool.map(partial(draw, group=group, split=split), range(pictures),
                             chunksize=4)
            for frame in tqdm(drawn, group, pictures):
                for subject in subjects:
                    answer = subject.model(frame.image)
                    for part in subject.parts:
                        part.add(answer, frame, group)
    torch.set_num_threads(os.cpu_count())
    return [subject.result(pictures) for subject in subjects]


def recorded(file: Path, pictures: int, split: str) -> list[Study]:
    """
    Return the studies in a file that --json wrote.

    :raises SystemExit: if they were made with other pictures.
    """
    record = json.loads(file.read_text())
    seen = record['pictures'], record['split']
    if seen != (pictures, split):
        raise SystemExit(f'{file} is of {seen[0]} {seen[1]} pictures a group, not {pictures} '
                         f'{split} ones; study its bundle again')
    return record['studies']


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; write JSON and pictures where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n\n')[0])
    parser.add_argument('bundles', nargs='*', default=['tiny'], metavar='BUNDLE',
                        help="'tiny' (default), 'street', directories, or files that --json "
                        'wrote; '
                        'several are trainings of one recipe with different seeds')
    parser.add_argument('--pictures', type=int, default=120, metavar='N',
                        help='pictures of each group (default: %(default)s)')
    parser.add_argument('--validation', action='store_true',
                        help='compare temperatures, void and ensemble weights on validation '
                        'pictures instead')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    parser.add_argument('--pictures-out', type=Path, metavar='DIR',
                        help='write strips of some test pictures, for the first bundle')
    args = parser.parse_args(arguments)
    split = 'validation' if args.validation else 'test'
    groups = [g for g in GROUPS if not args.validation or g in CHOSEN_BY]
    files = [Path(name) for name in args.bundles if name.endswith('.json')]
    studies = [s for file in files for s in recorded(file, args.pictures, split)]
    subjects = [Subject(name, args.validation, args.pictures_out if not i else None)
                for i, name in enumerate(n for n in args.bundles if not n.endswith('.json'))]
    kinds = {s.get('street', False) for s in studies} | {s.street for s in subjects}
    if len(kinds) > 1:
        raise SystemExit('street networks and VL4AD networks have different tables; study them '
                         'one after the other')
    if subjects:
        studies += study(subjects, groups, args.pictures, split)
    print(f'{", ".join(args.bundles)}: {args.pictures} {split} pictures a group\n')
    print(f'## {CHOICES.title}, AP / FPR95 in %\n\n{choices(studies)}' if args.validation else
          report(studies, TABLES))
    if args.pictures_out and subjects and not args.validation:
        print(*subjects[0].strips.save())
    if args.json:
        args.json.write_text(json.dumps(
            {'pictures': args.pictures, 'split': split, 'studies': studies}, indent=1))


if __name__ == '__main__':
    main()
