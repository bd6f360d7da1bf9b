# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the report of an evaluation as one web page that needs no other file and no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
from jinja2 import Environment, PackageLoader, select_autoescape, StrictUndefined
import numpy as np

from vl4ad_ros import __version__
from vl4ad_ros.evaluation import charts
from vl4ad_ros.evaluation.evaluation_folder import PICTURES, Stored
from vl4ad_ros.evaluation.moment_pictures import file_names
from vl4ad_ros.obstacles.severity import COLOURS, LEVELS
from vl4ad_ros.settings import ROWS

MOST_MOMENTS = 9
"""Largest number of moments of each kind on the page."""
_COLUMNS = (
    ('frames', '{frames_processed}'), ('duration', '{duration_s:.1f} s'),
    ('AP', '{pixel_ap:.3f}'), ('FPR95', '{fpr95:.3f}'), ('AUROC', '{pixel_auroc:.3f}'),
    ('objects alerted', '{anomalies_alerted} of {anomalies}'),
    ('time to alert', '{time_to_alert_s:.2f} s'),
    ('distance at alert', '{distance_at_alert_m:.1f} m'),
    ('distance error', '{distance_error_m[median]:.2f} m'), ('alerts', '{alerts}'),
    ('false alerts', '{false_alerts}'), ('false / min', '{false_alerts_per_minute:.1f}'),
    ('false / km', '{false_alerts_per_km:.1f}'))
_TILES = (
    ('average precision (pixels)', '{pixel_ap:.3f}'),
    ('false-positive rate at 95 % recall', '{fpr95:.3f}'),
    ('objects alerted', '{anomalies_alerted} of {anomalies}'),
    ('false alerts per minute', '{false_alerts_per_minute:.1f}'),
    ('alerts per minute', '{alerts_per_minute:.1f}'), ('frames', '{frames_processed}'),
    ('of recordings', '{duration}'))


def report_page(stored: Sequence[Stored], metrics: Mapping[str, Any], run: Mapping[str, Any],
                title: str) -> str:
    """
    Return the page of an evaluation.

    :param stored: the recordings that could be evaluated; at least one.
    :param metrics: the content of `metrics.json`.
    :param run: the content of `run.json`.
    :param title: heading of the page.
    """
    has_truth = any('false_alerts' in s.result.figures for s in stored)
    threshold = metrics['parameters']['threshold']
    total = {**metrics['total'], 'duration': _duration(metrics['total']['duration_s'])}
    used = [(name, text) for name, text in _COLUMNS
            if any(_text(text, s.result.figures) for s in stored)]
    return environment().get_template('report.html.j2').render(
        title=title, version=__version__, metrics=metrics, run=run, has_truth=has_truth,
        unfinished=_unfinished(stored, run),
        failures=[(r['recording'], r['error']) for r in metrics['recordings'] if 'error' in r],
        tiles=[{'name': name, 'value': value} for name, text in _TILES
               if (value := _text(text, total))
               and not (name.startswith('alerts') and has_truth)],
        columns=[name for name, _ in used],
        rows=[{'name': s.result.name, 'cells': [_text(text, s.result.figures) for _, text in used]}
              for s in stored],
        total=[_text(text, total) for _, text in used],
        misses=_moments(stored, 'miss'), false_alerts=_moments(stored, 'false alert'),
        alerts=_moments(stored, 'alert'), charts=_charts(stored, threshold),
        timelines=[{'name': s.result.name, 'notes': s.result.figures.get('notes', ()),
                    'svg': charts.timeline(s.result, threshold), 'alerts': s.result.alerts}
                   for s in stored],
        severities=_severities(stored),
        latency=charts.latencies([ms for s in stored for ms in s.run.frame_ms]),
        changed={name: _listed(ROWS[name].ros_default)
                 for name, value in metrics['parameters'].items()
                 if value != ROWS[name].ros_default},
        gpu=run['machine']['gpu'].get('name', ''), facts=_facts(run))


def environment() -> Environment:
    """Return the environment of the templates; values are escaped, and unknown names fail."""
    return Environment(loader=PackageLoader('vl4ad_ros.evaluation', 'pages'),
                       autoescape=select_autoescape(('html.j2', 'j2')), undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)


def inline_jpeg(data: bytes) -> str:
    """Return a JPEG file as an address that contains it."""
    return f'data:image/jpeg;base64,{b64encode(data).decode()}'


def _moments(stored: Sequence[Stored], kind: str) -> list[dict[str, Any]]:
    """Return the worst moments of all recordings, for the template."""
    found = [(moment, number, s) for s in stored for number, moment in enumerate(s.result.moments)
             if moment.kind == kind]
    worst = sorted(found, key=lambda entry: entry[0].rank, reverse=True)[:MOST_MOMENTS]
    entries = []
    for moment, number, s in worst:
        files = [s.folder / PICTURES / name for name in file_names(number)]
        image, score, *above = [path.read_bytes() for path in files if path.exists()]
        height, width = _size(image)
        entries.append({'recording': s.result.name, 'time_s': moment.time_s, 'text': moment.text,
                        'image': inline_jpeg(image), 'score': inline_jpeg(score),
                        'above': inline_jpeg(above[0]) if above else '',
                        'width': width, 'height': height})
    return entries


def _severities(stored: Sequence[Stored]) -> dict[str, str]:
    """Return level and colour of the severities; ``{}`` if no alert has one."""
    if not any(row.severity for s in stored for row in s.result.alerts):
        return {}
    return {level: f'#{bytes(COLOURS[level]).hex()}' for level in LEVELS}


def _size(data: bytes) -> tuple[int, int]:
    picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return picture.shape[:2]


def _charts(stored: Sequence[Stored], threshold: float) -> list[dict[str, Any]]:
    counts = {s.result.name: s.result.pixels for s in stored if s.result.pixels is not None}
    if not counts or not np.sum(list(counts.values()), axis=0).sum(axis=1).all():
        return []  # Without pixels of both kinds there is no curve.
    return [
        {'svg': charts.precision_and_recall(counts, threshold),
         'caption': 'The area below the line is the average precision (AP). Up and to the right '
         'is better.'},
        {'svg': charts.receiver_operating_characteristic(counts, threshold),
         'caption': 'FPR95 is the rate at which the line reaches the dashed one. Up and to the '
         'left is better.'},
        {'svg': charts.score_distribution(counts, threshold),
         'caption': 'The less the two overlap, the better. The axis of the shares is '
         'logarithmic.'}]


def _unfinished(stored: Sequence[Stored], run: Mapping[str, Any]) -> str:
    """Return a sentence about what is missing after an interruption; '' if nothing is."""
    sentences = [f'Of {s.result.name} the first {s.result.figures["frames_processed"]} frames '
                 'were evaluated.' for s in stored if not s.result.complete]
    if run['left_out']:
        sentences.append(f'Without a result: {", ".join(run["left_out"])}.')
    return ' '.join(sentences)


def _facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    machine = run['machine']
    return [('command', run['command']), ('date', run['date']),
            ('duration', f'{run["seconds"]:.1f} s'), ('host', run['host']),
            ('processor', f'{machine["cpu"]}, {machine["cores"]} cores'),
            ('operating system', machine['os']), ('Python', machine['python']),
            *machine['versions'].items()]


def _text(template: str, figures: Mapping[str, Any]) -> str:
    """Return a figure as text; '' if the recording does not have it."""
    try:
        return template.format_map(figures)
    except (KeyError, TypeError):  # It is absent or undefined.
        return ''


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s' if minutes else f'{seconds:.1f} s'


def _listed(value: Any) -> str:
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)
