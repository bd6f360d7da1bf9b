# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixel figures of every row for every column of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from benchmarks.words.model import Answer, Words
from benchmarks.words.pictures import COLUMNS, counted, labels, on_things
from benchmarks.words.rows import Row
from benchmarks.words.street_model import StreetAnswer
import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import IGNORE, PixelMetrics
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.scenes.frame import Frame
from vl4ad_workshop.scenes.kinds import NEAR

FIGURES = ('ap', 'auroc', 'fpr95', 'auroc_things')
SHARE = 'share of anomalous pixels'


def columns_of(frame: Frame, group: str, columns: Iterable[str] = COLUMNS) -> Iterator[str]:
    """
    List the columns that a picture of a group counts for.

    A near-OOD picture counts for its group too: there its near kinds are ignored.
    """
    yield group
    if 'near' in columns and not NEAR.isdisjoint(frame.kinds):
        yield 'near'


class PixelFigures:
    """AP, AUROC, FPR95, and AUROC over the pixels of objects, for every row and column."""

    def __init__(self, rows: Mapping[str, Row], common: Mapping[str, Words],
                 controls: Mapping[str, Mapping[str, Words]], shipped: Classification) -> None:
        """Take prompts by name: those `common` to all columns, and the `controls` of each."""
        self._rows, self._shipped = rows, shipped
        self._words = {column: {**common, **own} for column, own in controls.items()}
        self._metrics: dict[tuple[str, str, str], tuple[PixelMetrics, PixelMetrics]] = {}

    def add(self, answer: Answer | StreetAnswer, frame: Frame, group: str) -> None:
        """Add a picture."""
        things = on_things(frame)
        # Rows of different tables are often the same, and columns share most prompts.
        done: dict[tuple[Row, int], np.ndarray] = {}
        for column in columns_of(frame, group, self._words):
            label = labels(frame, counted(column))
            valid = things & (label != IGNORE)
            for name, row in self._rows.items():
                if not row.fits(answer):
                    continue
                for prompts in row.prompts:
                    words = self._words[column][prompts]
                    key = row, id(words)
                    if key not in done:
                        done[key] = answer.on_picture(row(answer, words, self._shipped))
                    everywhere, among_things = self._metrics.setdefault(
                        (column, name, prompts), (PixelMetrics(), PixelMetrics()))
                    everywhere.add(done[key], label)
                    among_things.add(done[key][valid], label[valid])

    def result(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Return `FIGURES` by column and row; of a row with several prompts their mean."""
        table: dict[str, dict[str, dict[str, float | None]]] = {c: {} for c in self._words}
        for column, own in table.items():
            for name, row in self._rows.items():
                results = [self._figures(*self._metrics[column, name, p]) for p in row.prompts
                           if (column, name, p) in self._metrics]
                if results:
                    own[name] = {f: mean(r[f] for r in results) for f in FIGURES}
            own[SHARE] = {'ap': self._share(column)}
        return table

    def _share(self, column: str) -> float | None:
        """Return the AP of a random score."""
        for (c, _, _), (everywhere, _) in self._metrics.items():
            if c == column:
                result = everywhere.result()
                return result.anomalous / max(result.anomalous + result.normal, 1)
        return None

    @staticmethod
    def _figures(everywhere: PixelMetrics, things: PixelMetrics) -> dict[str, float | None]:
        result = everywhere.result()
        return {'ap': result.ap, 'auroc': result.auroc, 'fpr95': result.fpr95,
                'auroc_things': things.result().auroc}


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the figures that are defined; None if none is."""
    defined = [v for v in values if v is not None]
    return float(np.mean(defined)) if defined else None
