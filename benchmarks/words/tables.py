# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of one bundle, or mean ± standard deviation of several, as markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.words.pictures import COLUMNS
from benchmarks.words.prompt_changes import change, STATES
from benchmarks.words.rows import CHOICES, Table
from benchmarks.words.scores import FIGURES, mean, SHARE
import numpy as np

Study = Mapping[str, Any]
"""The figures of one bundle, as `study` in __main__ returns them."""
CHOSEN_BY = ('masks', 'words', 'near')
"""Columns that take part in the choice of a setting; kinds never seen do not."""


def spread(values: Sequence[float | None], factor: float = 100.0, digits: int = 1) -> str:
    """
    Return one number as it is, several as mean ± sample standard deviation, times `factor`.

    A value that is undefined for any bundle is '-'.
    """
    if not values or any(v is None for v in values):
        return '-'
    scaled = factor * np.array(values, float)
    text = f'{scaled.mean():.{digits}f}'
    return f'{text} ± {scaled.std(ddof=1):.{digits}f}' if len(scaled) > 1 else text


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table."""
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def stages(studies: Sequence[Study]) -> str:
    """Return the accuracy of each stage in %."""
    rows = []
    accuracies = [s['clip'] for s in studies]
    if all(accuracies):
        rows += [(f'CLIP: zero-shot top-1, {name.replace("_", " ")}',
                  spread([a[name] for a in accuracies])) for name in accuracies[0]]
    masks = [s['segmentation'] for s in studies]
    decoder = 'mask recall' not in studies[0].get('skipped', {})
    if decoder:
        rows += [(f'decoder: mask recall, {title} ({masks[0]["objects"][column]} objects)',
                  spread([m['recall'][column] for m in masks]))
                 for column, title in COLUMNS.items()]
    miou = 'decoder: ID mIoU' if decoder else 'ID mIoU'
    rows += [(miou, spread([m['miou'] for m in masks])),
             ("mIoU of the ground truth on the network's cells (upper bound)",
              spread([m['miou_ceiling'] for m in masks]))]
    return grid(('figure', '%'), rows)


def pixels(studies: Sequence[Study], names: Iterable[str]) -> str:
    """Return a table with cells AP / AUROC / FPR95 / AUROC over objects, in %."""
    figures = [s['pixels'] for s in studies]
    columns = list(figures[0])
    rows = []
    for name in (n for n in names if n in figures[0][columns[0]]):
        kept = [f for f in FIGURES if f in figures[0][columns[0]][name]]
        rows.append((name, *(' / '.join(spread([t[c][name][f] for t in figures]) for f in kept)
                             for c in columns)))
    return grid(('', *(COLUMNS[c] for c in columns)), rows)


def prompt_changes(studies: Sequence[Study]) -> str:
    """Return the median score of each kind before and after its prompt changed, and means."""
    tables = [s['prompt_changes'] for s in studies]
    kinds = [k for k in tables[0] if all(k in t for t in tables)]
    groups: dict[str, list[str]] = defaultdict(list)
    rows = []
    for kind in kinds:
        groups[change(kind)].append(kind)
        rows.append((kind, change(kind), str(tables[0][kind]['pictures']),
                     *(spread([t[kind].get(when) for t in tables], 1, 2) for when in STATES)))
    for title, members in groups.items():
        rows.append((f'**mean of {len(members)} kinds**', title, '', *(
            spread([mean(t[k].get(when) for k in members) for t in tables], 1, 2)
            for when in STATES)))
    return grid(('kind', 'change', 'pictures', 'score before', 'after', 'named an anomaly'), rows)


def choices(studies: Sequence[Study], shown: int = 8) -> str:
    """
    Return the shipped setting and the best ones: AP / FPR95, in %.

    Best is the highest AP less FPR95, mean over `CHOSEN_BY` and bundles, as in
    `training.drawn.selection`.
    """
    figures = [s['pixels'] for s in studies]
    columns = [c for c in CHOSEN_BY if c in figures[0]]

    def margin(name: str) -> list[float | None]:
        return [mean(t[c][name]['ap'] - t[c][name]['fpr95'] for c in columns) for t in figures]

    lines = []
    for prompts in dict.fromkeys(row.prompts for row in CHOICES.rows.values()):
        names = [n for n, row in CHOICES.rows.items()
                 if row.prompts == prompts and n in figures[0][columns[0]]]
        shipped, *tried = names
        best = sorted(tried, key=lambda n: -(mean(margin(n)) or 0))[:shown]
        lines += [(n, spread(margin(n)),
                   *(' / '.join(spread([t[c][n][f] for t in figures]) for f in ('ap', 'fpr95'))
                     for c in columns)) for n in (shipped, *best)]
    return grid(('setting', 'AP - FPR95', *(COLUMNS[c] for c in columns)), lines)


def report(studies: Sequence[Study], tables: Sequence[Table]) -> str:
    """Return the whole study on test pictures."""
    skipped = studies[0].get('skipped', {})
    parts = [f'Skipped: {part}, because {why}.' for part, why in skipped.items()]
    parts += ['## Stages', stages(studies),
              'The cells of the following tables are AP / AUROC / FPR95 / AUROC over the pixels '
              'of objects, in %.']
    for i, table in enumerate(tables):
        if table.title in skipped:
            continue
        parts += [f'## {table.title}', pixels(studies, [*table.rows, *([SHARE] if not i else [])])]
    parts += ['## Prompt changes', prompt_changes(studies)]
    return '\n\n'.join(parts)
