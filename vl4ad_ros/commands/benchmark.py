# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad benchmark`: scores a public data set with labels, and prints JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from vl4ad_ros import __version__
from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bundle_argument, add_params_argument, node_parameters, warn)
from vl4ad_ros.evaluation.benchmark import BenchmarkRun, DEFINITIONS, RECALL, rounded, Skipped
from vl4ad_ros.evaluation.datasets import Dataset, LOADERS, open_dataset
from vl4ad_ros.evaluation.pixel_metrics import HALF, SINGLE
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.settings import Settings

_SHOWN = 10
"""Number of skipped samples that are named on stderr; the JSON names all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('name', choices=LOADERS, metavar='NAME',
                        help=f'the data set: {", ".join(LOADERS)}')
    parser.add_argument('--root', type=Path, required=True, metavar='DIR',
                        help='folder of the data set, as its archive unpacks it')
    parser.add_argument('--images', type=Path, metavar='DIR',
                        help='folder of LostAndFound or Cityscapes, whose images Fishyscapes '
                        'uses (default: the folder of --root)')
    parser.add_argument('--cityscapes', type=Path, metavar='DIR',
                        help='folder of Cityscapes, for the share of its pixels that is kept as '
                        'in-distribution at the threshold of --recall')
    parser.add_argument('--recall', type=_share, default=RECALL, metavar='R',
                        help='share of the anomalous pixels that is found where the ID retention '
                        'is stated (default: %(default)s)')
    parser.add_argument('--exact', action='store_true',
                        help='count float32 scores; otherwise they are rounded to float16, which '
                        'needs less memory')
    add_bundle_argument(parser)
    add_params_argument(parser)


def run(options: argparse.Namespace) -> int:
    """
    Score the data set, print the figures, and return 0 if every sample could be used.

    :raises DatasetError: if there is no such data set, or if none of its samples can be read.
    """
    settings = Settings().changed(node_parameters(options))
    dataset = open_dataset(options.name, options.root, options.images)
    retained = open_dataset('cityscapes', options.cityscapes) if options.cityscapes else None
    with (TemporaryDirectory(prefix='vl4ad_') as folder,
          closing(Detector.open(settings.model_bundle, settings.model_backend,
                                settings.backend_options)) as detector,
          tqdm(total=_steps(dataset, retained), unit='step', disable=None, leave=False) as bar):
        benchmark = BenchmarkRun(detector, settings, Path(folder),
                                 SINGLE if options.exact else HALF, lambda: _advance(bar))
        figures, skipped = _figures(benchmark, dataset, retained, options.recall)
        about = {'model': detector.bundle.name, 'backend': detector.backend.name}
    notes = [*dataset.notes, *(retained.notes if retained else ())]
    for sentence in notes:
        warn(sentence)
    names = _all_names(figures)
    print(json.dumps({
        'benchmark': options.name, 'dataset': dataset.title, 'root': str(options.root),
        **rounded(figures), 'notes': notes, **about, 'version': __version__,
        'definitions': {name: text for name, text in DEFINITIONS.items() if name in names}},
        indent=2))
    print(f'vl4ad: {dataset.title}: {figures["samples_used"]} of {figures["samples"]} samples '
          'used', file=sys.stderr)
    if skipped:
        print(f'vl4ad: error: {_named(skipped)}', file=sys.stderr)
    return 1 if skipped else 0


def _figures(benchmark: BenchmarkRun, dataset: Dataset, retained: Dataset | None, recall: float
             ) -> tuple[dict[str, Any], list[Skipped]]:
    """Return the figures, and the samples that could not be used."""
    if dataset.limits is None:
        kept = benchmark.kept(dataset)
        return kept.as_dict(), list(kept.skipped)
    scores = benchmark.scores(dataset, recall)
    figures, skipped = scores.as_dict(), list(scores.skipped)
    undefined = scores.undefined()
    if retained is not None:
        figures['id_retention_cityscapes'] = None
        if scores.retention is None:
            undefined['id_retention_cityscapes'] = scores.pixels.why_undefined
        else:
            kept = benchmark.kept(retained, scores.retention.threshold)
            figures['id_retention_cityscapes'] = kept.as_dict()
            skipped += kept.skipped
    return figures | {'undefined': undefined}, skipped


def _steps(dataset: Dataset, retained: Dataset | None) -> int:
    passes = 1 if dataset.limits is None else 2
    return passes * len(dataset.samples) + (len(retained.samples) if retained else 0)


def _all_names(figures: Any) -> set[str]:
    """Return the names of figures at all levels."""
    if not isinstance(figures, dict):
        return set()
    return set(figures).union(*map(_all_names, figures.values()))


def _named(skipped: Sequence[Skipped]) -> str:
    lines = ''.join(f'\n  {one.name}: {one.reason}' for one in skipped[:_SHOWN])
    more = f'\n  and {len(skipped) - _SHOWN} more' if len(skipped) > _SHOWN else ''
    return f'{len(skipped)} samples could not be used:{lines}{more}'


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0 and at most 1")
    return value


def _advance(bar: tqdm) -> None:
    bar.update()


VERB = Verb(add_arguments, run)
