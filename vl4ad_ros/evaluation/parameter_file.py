# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a parameter file of the node, with comments that say where its values come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vl4ad_ros.outputs import beside
from vl4ad_ros.settings import Settings
import yaml


def write_parameter_file(file: Path, values: Mapping[str, Any], comments: Iterable[str]) -> None:
    """
    Write a parameter file that `settings.read_parameter_file` and the node can read.

    :param file: where to write it; an older file is replaced once the new one is complete.
    :param values: values by the full name of the parameter, such as `region.min_area`, with tuples
        or lists for lists.
    :param comments: lines to put before the values, without `#`.
    :raises ParameterError: if the node would refuse a value.
    :raises OutputError: if the file cannot be written.
    """
    Settings().changed(values)
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = name.split('.')
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump({'/**': {'ros__parameters': tree}}, sort_keys=False, allow_unicode=True,
                          width=99)
    # A name with a line break must not end the comment.
    lines = [f'# {" ".join(line.splitlines())}'.rstrip() for line in comments]
    with beside(file) as path:
        path.write_text('\n'.join([*lines, '', text]), encoding='utf-8',
                        errors='backslashreplace')
