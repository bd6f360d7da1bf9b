# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The study as a Markdown table: each figure with its aim, mean ± deviation over bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.words.tables import grid, spread

Study = Mapping[str, Mapping[str, Any]]
"""The figures of one bundle by part and name, such as `['streets']['mean']`."""


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    :ivar what: what is measured.
    :ivar aim: what should be reached.
    :ivar part: key of the study.
    :ivar cells: caption and names of the figures in each cell; several names make one cell.
    :ivar factor: of the figures.
    :ivar digits: after the decimal point.
    """

    what: str
    aim: str
    part: str
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    factor: float = 100.0
    digits: int = 1


def _words(part: str, title: str, aim: str) -> list[Row]:
    kinds = ('right words', 'wrong words', 'random vectors', 'no words', 'p(object) alone')
    return [Row(f'{title}: {kind}', aim if kind == 'right words' else '', part,
                tuple((metric, (f'{kind}/{key}',)) for metric, key in (
                    ('AP', 'ap'), ('AUROC', 'auroc'), ('FPR95', 'fpr95')))) for kind in kinds]


_THINGS = ('person', 'bicycle', 'motorcycle', 'car', 'truck', 'bus')
_HEIGHTS = ('0-24 px', '24-48 px', '48-96 px', '96 px and more')
ROWS = (
    *_words('animals', 'Indian animals', 'AP >= 65, no words + 5'),
    *_words('animals, never seen', 'the same, trained without animals',
            'no words + 10, above p(object)'),
    Row('pasted known things flagged', '<= 10 % each', 'known things',
        tuple((name, (name,)) for name in _THINGS)),
    *(Row(f'composites on {title}, AP', f'>= {aim} from 48 px, >= 50 at 24-48 px', part,
          (('48 px and more', ('AP, 48 px and more',)),
           *((h, (f'AP, {h}',)) for h in _HEIGHTS)))
      for part, title, aim in (('streets', 'CamVid', 75), ('motorway', 'a motorway', 80))),
    Row('CamVid by text prompts, IoU', 'mean .60, person .55, road .92', 'segmentation',
        (('mean', ('mean',)), ('person', ('pedestrian',)), ('road', ('road',)),
         ('car', ('car',)))),
    *(Row(f"'{word}' taken away, {where}: share above the threshold",
          'rises, and again when named', 'word taken away',
          tuple((state, (f'{word}, {where}: {state}',))
                for state in ('known', 'taken away', 'named an anomaly')))
      for word, where in (('car', 'CamVid'), ('person', 'CamVid'), ('car', 'pasted'),
                          ('person', 'pasted'), ('truck', 'pasted'))),
    Row("'cow' added, Indian photographs: cows below the threshold, other animals above",
        '>= 70 % below, others stay', 'word added, photographs',
        tuple((f'{state}, {part}', (f'cow: {state}, {part}',))
              for state in ('before', 'after') for part in ('below', 'others above'))),
    *(Row(f"'{word}' added, pasted: share below the threshold, other animals above", aim,
          'word added',
          tuple((f'{state}, {part}', (f'{word}: {state}, {part}',))
                for state in ('before', 'after') for part in ('below', 'others above')))
      for word, aim in (('cow', '>= 70 % below, others stay'), ('mean', ''))),
    Row('clean road, false alerts a minute', '<= 2', 'clean road',
        (('keeps 80 %', ('alerts a minute, threshold that keeps 80%',)),
         ('shipped threshold', ('alerts a minute, shipped threshold',))), 1.0),
    Row('640x360 JPEG to result, ms', '<= 40, <= 80', 'latency',
        (('OpenVINO', ('openvino, median',)), ('ONNX Runtime', ('onnxruntime, median',))), 1.0),
)


def figure(study: Study, part: str, name: str) -> float | None:
    """Return a figure by its name, or 'NAME/KEY' of a nested one; None if there is none."""
    value: Any = study.get(part, {})
    for key in name.split('/'):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def table(studies: Sequence[Study], skipped: Mapping[str, str]) -> str:
    """
    Return the table, and a line for each part that was skipped.

    :param studies: the figures of each bundle.
    :param skipped: why a part has no figures, by its name.
    """
    rows = []
    for row in ROWS:
        having = [s for s in studies if row.part in s]
        cells = [f'{caption} ' + ' / '.join(
            spread([figure(s, row.part, name) for s in having], row.factor, row.digits)
            for name in names) for caption, names in row.cells]
        if having:
            rows.append((row.what, row.aim, '; '.join(cells)))
    lines = [f'Skipped, {part}: {reason}.' for part, reason in skipped.items()]
    return '\n\n'.join([grid(('what', 'aim', 'measured'), rows), *lines])
