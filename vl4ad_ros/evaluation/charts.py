# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws the charts of a report as SVG, to be placed into a web page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import PixelCounts, PixelMetrics
from vl4ad_ros.evaluation.recording_result import AlertRow, RecordingResult

GOOD, BAD, TRUTH, INK, FAINT = '#b87900', '#c8143c', '#0077a8', '#20242c', '#9aa0aa'
"""Colours of true alerts, false alerts, ground truth, the total, and what is less important."""
VERDICTS = {'true': GOOD, 'false': BAD, 'ignored': FAINT, 'unknown': GOOD}
"""Colour of an alert by its verdict."""
_STYLE: Any = {
    'svg.fonttype': 'none', 'font.size': 11, 'axes.spines.top': False,
    'axes.spines.right': False, 'axes.edgecolor': FAINT, 'axes.labelcolor': INK,
    'xtick.color': INK, 'ytick.color': INK, 'legend.frameon': False, 'axes.axisbelow': True,
    'axes.grid': True, 'grid.color': '#e6e8ec'}
_GRID = 400
_MOST_POINTS = 1500
_MOST_LINES = 12
"""Number of recordings up to which each has a line of its own."""
_LEAST_FALL_OUT = 1e-5


@rc_context(_STYLE)
def precision_and_recall(counts: Mapping[str, np.ndarray], threshold: float) -> str:
    """
    Draw precision over recall, a line for each recording and one for all.

    :param counts: (2, 65536) counts of `PixelMetrics` by the name of the recording; their sum has
        pixels of both kinds.
    :param threshold: score at which a point is drawn, 0 to 1.
    """
    figure, (axes,) = _figure(5.6, 4.2)
    for name, curves, style in _lines(counts):
        axes.step(*_thinned(curves.recall, curves.precision), where='pre', label=name, **style)
    total = _Curves.of(_pooled(counts))
    at = total.at(threshold)
    axes.plot(total.recall[at], total.precision[at], 'o', color=INK,
              label=f'threshold {threshold:g}')
    axes.set(xlabel='recall (share of anomalous pixels found)', xlim=(0, 1.01), ylim=(0, 1.01),
             ylabel='precision')
    axes.legend(loc='best', fontsize=9)
    return _svg(figure, 'precision')


@rc_context(_STYLE)
def receiver_operating_characteristic(counts: Mapping[str, np.ndarray], threshold: float) -> str:
    """
    Draw recall over the false-positive rate, whose axis is logarithmic.

    :param counts: as `precision_and_recall` takes them.
    :param threshold: score at which a point is drawn, 0 to 1.
    """
    figure, (axes,) = _figure(5.6, 4.2)
    for name, curves, style in _lines(counts):
        fall_out = np.maximum(curves.fall_out, _LEAST_FALL_OUT)
        x, y = _thinned(np.log10(fall_out), curves.recall)
        axes.plot(10 ** x, y, label=name, **style)
    total = _Curves.of(_pooled(counts))
    at = total.at(threshold)
    axes.plot(np.maximum(total.fall_out[at], _LEAST_FALL_OUT), total.recall[at], 'o', color=INK,
              label=f'threshold {threshold:g}')
    axes.axhline(0.95, color=FAINT, linewidth=0.8, linestyle='--')
    axes.set_xscale('log')
    axes.set(xlabel='false-positive rate (share of normal pixels flagged)', ylabel='recall',
             xlim=(_LEAST_FALL_OUT, 1), ylim=(0, 1.01))
    axes.legend(loc='best', fontsize=9)
    return _svg(figure, 'roc')


@rc_context(_STYLE)
def score_distribution(counts: Mapping[str, np.ndarray], threshold: float) -> str:
    """
    Draw how the scores of normal and of anomalous pixels are distributed.

    :param counts: as `precision_and_recall` takes them.
    :param threshold: score at which a line is drawn, 0 to 1.
    """
    figure, (axes,) = _figure(5.6, 4.2)
    tally = _tally(_pooled(counts))
    edges = np.linspace(0, 1, 51)
    for pixels, name, colour in ((tally.normal, 'normal pixels', FAINT),
                                 (tally.anomalous, 'anomalous pixels', TRUTH)):
        shares = np.histogram(tally.values, edges, weights=pixels)[0] / pixels.sum()
        axes.stairs(shares, edges, fill=True, alpha=0.55, color=colour, label=name)
    axes.axvline(threshold, color=INK, linewidth=1, linestyle='--',
                 label=f'threshold {threshold:g}')
    axes.set_yscale('log')
    axes.set(xlabel='score', ylabel='share of the pixels of the kind', xlim=(0, 1))
    axes.legend(loc='best', fontsize=9)
    return _svg(figure, 'scores')


@rc_context(_STYLE)
def timeline(result: RecordingResult, threshold: float) -> str:
    """
    Draw score, alerts and ground truth of a recording over its time.

    :param result: the result of the recording.
    :param threshold: score at which a line is drawn, 0 to 1.
    """
    lanes = _lanes(result)
    figure, (above, below) = _figure(
        11, 2.3 + 0.3 * len(lanes), rows=(2.0, 0.3 * len(lanes)))
    times = np.array([row.time_s for row in result.frames])
    scores = np.array([row.score for row in result.frames])
    above.plot(*_envelope(times, scores), color=INK, linewidth=1)
    above.axhline(threshold, color=BAD, linewidth=0.9, linestyle='--')
    above.annotate(f'threshold {threshold:g}', (1, threshold), xycoords=('axes fraction', 'data'),
                   xytext=(-2, -3), textcoords='offset points', ha='right', va='top',
                   fontsize=9, color=BAD)
    above.set(ylim=(0, 1.02), ylabel='score')
    for place, (bars, _) in enumerate(lanes):
        for start, end, colour, text in bars:
            below.broken_barh([(start, max(end - start, times[-1] / 400))],
                              (-place - 0.36, 0.72), facecolors=colour, alpha=0.75)
            if text:
                below.annotate(text, (start, -place), xytext=(3, 0), textcoords='offset points',
                               va='center', fontsize=8, color='white', annotation_clip=True)
    below.set_yticks([-place for place in range(len(lanes))], [name for _, name in lanes])
    below.set(ylim=(0.5 - len(lanes), 0.5), xlabel='time in the recording, s')
    below.grid(axis='y', visible=False)
    below.tick_params(axis='y', length=0)
    for axes in (above, below):
        axes.set_xlim(0, max(float(times[-1]), 0.1) * 1.005)
    above.tick_params(axis='x', labelbottom=False)
    return _svg(figure, f'timeline {result.name}')


@rc_context(_STYLE)
def latencies(frame_ms: Sequence[float]) -> str:
    """
    Draw the distribution of the times of frames.

    :param frame_ms: milliseconds of each frame; at least one.
    """
    figure, (axes,) = _figure(7.5, 3.0)
    values = np.asarray(frame_ms)
    most = float(np.percentile(values, 98)) * 1.2
    axes.hist(np.minimum(values, most), bins=60, range=(0, most), color=FAINT)
    for share, style in ((50, '-'), (95, '--'), (99, ':')):
        at = float(np.percentile(values, share))
        axes.axvline(at, color=INK, linestyle=style, linewidth=1,
                     label=f'{share} % of the frames: {at:.0f} ms or less')
    axes.set(xlabel='milliseconds from the stored message to the alerts (the last bar has all '
             'above)', ylabel='frames', xlim=(0, most))
    axes.legend(loc='best', fontsize=9)
    return _svg(figure, 'latencies')


def _lanes(result: RecordingResult) -> list[tuple[list[tuple[float, float, str, str]], str]]:
    """Return bars (start, end, colour, text) and name of each line below the score."""
    lanes = []
    if result.objects:
        lanes.append(([(row.first_s, row.last_s, TRUTH if row.alerted_after_s is not None
                        else FAINT, row.name) for row in result.objects], 'ground truth'))
    for verdict, name in (('true', 'true alerts'), ('false', 'false alerts'),
                          ('ignored', 'on ignored pixels'), ('unknown', 'alerts')):
        rows: list[AlertRow] = [row for row in result.alerts if row.verdict == verdict]
        if rows or verdict == 'true' and result.objects:
            lanes.append(([(row.first_s, row.last_s, VERDICTS[verdict], '') for row in rows],
                          name))
    return lanes or [([], 'alerts')]


@dataclass(frozen=True, eq=False)
class _Curves:
    """Recall, precision and false-positive rate at each score, from the highest score on."""

    scores: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    fall_out: np.ndarray

    @staticmethod
    def of(counts: np.ndarray) -> _Curves:
        tally = _tally(counts)
        true, false = tally.anomalous.cumsum(), tally.normal.cumsum()
        return _Curves(tally.values, true / true[-1], true / (true + false), false / false[-1])

    def at(self, threshold: float) -> np.ndarray:
        """Return the position of the lowest score above a threshold; empty if there is none."""
        return np.flatnonzero(self.scores > threshold)[-1:]


def _lines(counts: Mapping[str, np.ndarray]) -> Iterator[tuple[str, _Curves, dict[str, Any]]]:
    """Yield name, curves and style of each line: the recordings if they are few, then all."""
    if 1 < len(counts) <= _MOST_LINES:
        for name, own in counts.items():
            if own.sum(axis=1).all():
                yield name, _Curves.of(own), {'linewidth': 0.9, 'alpha': 0.8}
    name = 'all recordings' if len(counts) > 1 else next(iter(counts))
    yield name, _Curves.of(_pooled(counts)), {'color': INK, 'linewidth': 1.8}


def _pooled(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.sum(list(counts.values()), axis=0)


def _tally(counts: np.ndarray) -> PixelCounts:
    metrics = PixelMetrics()
    metrics.add_counts(counts)
    return metrics.tally()


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out points that lie on the pixel of the point before."""
    cells = np.round(np.stack([x, y]) * _GRID)
    keep = np.append((np.diff(cells, axis=1) != 0).any(axis=0), True)
    return x[keep], y[keep]


def _envelope(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `_MOST_POINTS` points: the highest value of each part of the time."""
    part = -(-len(times) // _MOST_POINTS)
    starts = np.arange(0, len(times), part)
    return times[starts], np.maximum.reduceat(values, starts)


def _figure(width: float, height: float, rows: Sequence[float] = (1.0,)
            ) -> tuple[Figure, list[Axes]]:
    """Return a figure of this size in inches, and its axes, one below the other."""
    figure = Figure((width, height), layout='constrained')
    grid = figure.subplots(len(rows), squeeze=False, gridspec_kw={'height_ratios': rows})
    return figure, [line[0] for line in grid]


def _svg(figure: Figure, salt: str) -> str:
    """
    Return a figure as an element of a web page that fits into the width of the page.

    :param salt: makes the ids in the element different from those of other figures.
    """
    text = StringIO()
    with rc_context({'svg.hashsalt': salt}):
        figure.savefig(text, format='svg', metadata={'Date': None, 'Creator': None})
    svg = text.getvalue().partition('<svg')
    return re.sub(r' (width|height)="[^"]*pt"', '', svg[1] + svg[2], count=2)
