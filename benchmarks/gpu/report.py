# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run has found so far: gpu.json, gpu.md and gpu.log, complete after every finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import json
import math
import os
from pathlib import Path
import time
import traceback
from typing import Any

from vl4ad_ros.signals import check, undisturbed

Figures = dict[str, Any]

SECTIONS: Mapping[str, str] = {
    'machine': 'Machine',
    'correctness': 'Deviation from float32 on the CPU',
    'latency': 'Latency',
    'pipeline': 'From a camera image to mask and regions',
    'detector': 'A bundle through Detector on each backend',
    'profile': 'Where the time goes',
    'memory': 'Memory over many frames',
    'compile': 'torch.compile',
}
"""The sections of the report and their titles, the most important first."""
NOT_REACHED = 'the run ended before this'
_CPU = ('**This is a trial run on a CPU. Its figures show only that the command works; they are '
        'not figures of a GPU.**')


class Report:
    """
    Figures by section and name.

    A name that was planned and has no figures has a reason instead: under ``skipped`` if the
    minutes did not suffice or something cannot be run at all, under ``failed`` if it was tried.

    :ivar failures: number of names under ``failed``.
    """

    def __init__(self, folder: Path, settings: Figures, minutes: float) -> None:
        """
        Start the clock and write an empty report.

        :param folder: where the three files are written; it is made if it does not exist.
        :param settings: what was asked for.
        :param minutes: how long the run may take.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._start, self._seconds = folder, time.monotonic(), 60 * minutes
        self._log = open(folder / 'gpu.log', 'w', encoding='utf-8')
        self._data: dict[str, Any] = {
            'settings': settings, 'started': time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime()),
            'ended': 'still running, or ended without notice', 'seconds': 0.0,
            'sections': {name: {} for name in SECTIONS}}
        self.failures = 0

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._seconds - (time.monotonic() - self._start)

    def say(self, text: str) -> None:
        """Write a line to the log and to the terminal."""
        line = f'{time.monotonic() - self._start:7.1f} s  {text}'
        print(line, flush=True)
        self._log.write(line + '\n')
        self._log.flush()

    def plan(self, section: str, names: Iterable[str]) -> None:
        """Announce figures, so that none of them can go missing without a reason."""
        for name in names:
            self._data['sections'][section][name] = {'skipped': NOT_REACHED}
        self._write()

    def put(self, section: str, name: str, figures: Figures, aloud: bool = True) -> None:
        """
        Set the figures of a name.

        :param section: one of `SECTIONS`.
        :param name: what was measured.
        :param figures: numbers, texts, or lists and dicts of them. A number that is not finite
            counts as a failure.
        :param aloud: also log them.
        """
        if not _finite(figures):
            self.fail(section, name, f'a figure is not finite: {figures}')
            return
        self._data['sections'][section][name] = figures
        if aloud:
            self.say(f'{section}: {name}: ' + ', '.join(
                f'{key} {_text(value)}' for key, value in figures.items() if _scalar(value)))
        self._write()

    def get(self, section: str, name: str) -> Figures:
        """Return the figures of a name, or its reason."""
        return self._data['sections'][section].get(name, {})

    def skip(self, section: str, name: str, reason: str) -> None:
        """Say why something is not measured."""
        self._data['sections'][section][name] = {'skipped': reason}
        self.say(f'{section}: {name} is skipped: {reason}')
        self._write()

    def fail(self, section: str, name: str, reason: str) -> None:
        """Say why something could not be measured."""
        self._data['sections'][section][name] = {'failed': reason}
        self.failures += 1
        self.say(f'{section}: {name} failed: {reason}')
        self._write()

    def item(self, section: str, name: str, seconds: float,
             work: Callable[[], Figures | None]) -> bool:
        """
        Measure something if the minutes suffice, and go on after an error.

        :param seconds: how long it is expected to take.
        :param work: returns the figures, or None if it has put them itself.
        :return: whether it succeeded.
        """
        if seconds > self.left:
            self.skip(section, name, self.too_long(seconds))
            return False
        try:
            figures = work()
        except Exception as error:  # of any library; the other figures are still worth having
            check()
            self.fail(section, name, f'{type(error).__name__}: {error}'.strip()[:2000])
            return False
        if figures is not None:
            self.put(section, name, figures)
        return 'failed' not in self.get(section, name)

    def section(self, section: str, work: Callable[[], None]) -> None:
        """
        Measure a section, and go on after an error that is not of one figure alone.

        :param section: one of `SECTIONS`; what it lacks afterwards counts as failed.
        :param work: puts the figures.
        """
        try:
            work()
        except Exception as error:
            check()
            for line in traceback.format_exc().splitlines():
                self.say(line)
            for name, figures in self._data['sections'][section].items():
                if figures == {'skipped': NOT_REACHED}:
                    self.fail(section, name, f'{type(error).__name__}: {error}'.strip()[:2000])

    def too_long(self, seconds: float) -> str:
        """Return the reason for skipping what would take so many seconds."""
        if self.left <= 0:
            return 'the time of --minutes is used up; give more minutes'
        return (f'it takes about {seconds:.0f} s, and {self.left:.0f} s of --minutes are left; '
                'give more minutes')

    def end(self, how: str) -> None:
        """
        Write how the run ended.

        :param how: a part of a sentence.
        """
        self._data['ended'] = how
        self.say(f'the run {how}; the figures are in {self._folder}')
        self._write()

    def _write(self) -> None:
        self._data['seconds'] = round(time.monotonic() - self._start, 1)
        texts = {'gpu.json': json.dumps(self._data, indent=1, allow_nan=False),
                 'gpu.md': self._markdown()}
        with undisturbed():
            for name, text in texts.items():
                partial = self._folder / f'.{name}.partial'
                partial.write_text(text + '\n', encoding='utf-8')
                os.replace(partial, self._folder / name)

    def _markdown(self) -> str:
        settings = self._data['settings']
        lines = ['`python -m benchmarks.gpu` with '
                 + ', '.join(f'{key} {value}' for key, value in settings.items())
                 + f'; started {self._data["started"]}, {self._data["seconds"]:.0f} s, the run '
                 f'{self._data["ended"]}.']
        if settings.get('device') == 'cpu':
            lines += ['', _CPU]
        missing = []
        for section, title in SECTIONS.items():
            found = {}
            for name, figures in self._data['sections'][section].items():
                reason = next((f'{how}: {figures[how]}' for how in ('skipped', 'failed')
                               if how in figures), None)
                if reason:
                    missing.append(f'* {title}: {name} {reason}')
                else:
                    found[name] = figures
            if found:
                lines += ['', f'## {title}', '', *_tables(found)]
        if missing:
            lines += ['', '## What is missing, and why', '', *missing]
        return '\n'.join(lines)


def _tables(rows: Mapping[str, Figures]) -> list[str]:
    """Return a table of each kind of rows, and below them each table that is in a row."""
    kinds: dict[str, dict[str, Figures]] = {}
    for name, figures in rows.items():
        kinds.setdefault(next(iter(figures), ''), {})[name] = figures
    lines: list[str] = []
    for kind in kinds.values():
        columns = dict.fromkeys(
            key for figures in kind.values() for key, value in figures.items() if _scalar(value))
        lines += ['', *_table(kind, list(columns))] if lines else _table(kind, list(columns))
    for name, figures in rows.items():
        for key, value in figures.items():
            if not _scalar(value):
                lines += ['', f'{name}, {key}:', '', *_table(
                    value, list(dict.fromkeys(k for row in value.values() for k in row)))]
    return lines


def _table(rows: Mapping[str, Figures], columns: list[str]) -> list[str]:
    return ['| | ' + ' | '.join(c.replace('_', ' ') for c in columns) + ' |',
            '|---' * (len(columns) + 1) + '|',
            *('| ' + ' | '.join([name.replace('|', '/'), *(
                _text(row.get(column, '')) for column in columns)]) + ' |'
              for name, row in rows.items())]


def _scalar(value: Any) -> bool:
    return not isinstance(value, dict)


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value).replace('|', '/')


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
