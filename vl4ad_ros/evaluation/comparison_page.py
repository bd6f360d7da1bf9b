# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the comparison of two evaluations as one web page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vl4ad_ros import __version__
from vl4ad_ros.evaluation.comparison import Difference, ROUNDS
from vl4ad_ros.evaluation.differing_frames import DifferingFrame
from vl4ad_ros.evaluation.evaluation_folder import Stored
from vl4ad_ros.evaluation.report_page import environment, inline_jpeg


def comparison_page(pairs: Sequence[tuple[Stored, Stored]], found: Mapping[str, Difference],
                    frames: Sequence[DifferingFrame], first: Mapping[str, Any],
                    second: Mapping[str, Any], verdict: str, worse: bool) -> str:
    """
    Return the page of a comparison.

    :param pairs: each recording in both evaluations.
    :param found: the metrics.
    :param frames: the frames to show.
    :param first: the content of `metrics.json` of the first evaluation, and its `folder`.
    :param second: the same of the second evaluation.
    :param verdict: a sentence about `--max-drop`; ``''`` without it.
    :param worse: whether the second is worse than it allows.
    """
    compared = {one.result.name for one, _ in pairs}
    named = {entry['recording'] for side in (first, second) for entry in side['recordings']}
    changed = [(name if part == 'parameters' else f'{name} classes that were used',
                _shown(first[part].get(name)), _shown(second[part].get(name)))
               for part in ('parameters', 'prompts') for name in first[part]
               if first[part].get(name) != second[part].get(name)]
    return environment().get_template('comparison.html.j2').render(
        title='Comparison of two evaluations', version=__version__, rounds=ROUNDS, first=first,
        second=second, verdict=verdict, worse=worse, differences=list(found.values()),
        left_out=sorted(named - compared), changed=changed,
        recordings=[(one.result.name, one.result.figures.get('pixel_ap'),
                     other.result.figures.get('pixel_ap')) for one, other in pairs],
        frames=[{'recording': f.recording, 'time_s': f.time_s, 'text': f.text,
                 'first': inline_jpeg(f.pictures[0]), 'second': inline_jpeg(f.pictures[1])}
                for f in frames])


def _shown(value: Any) -> str:
    """Return the value of a parameter, or a list of classes, as text."""
    return '; '.join(map(str, value)) if isinstance(value, list) else str(value)
