# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads parameter files of ROS 2 without rclpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vl4ad_ros.files import read_regular
from vl4ad_ros.settings.row import ParameterError
from vl4ad_ros.settings.settings import NODE_NAME
import yaml

_LARGEST_FILE = 1 << 20  # bytes of a parameter file


def read_parameter_file(file: Path, node_name: str = NODE_NAME) -> dict[str, Any]:
    """
    Return the values that a ROS parameter file gives to a node.

    If several sections of the file are for the node, later ones win, as in ROS.

    :param file: a YAML file.
    :param node_name: name of the node with its namespace, such as ``front/vl4ad_detector``. A
        section is for the node if its name matches this one, where ``*`` stands for one part of
        the name and ``**`` for any number of them.
    :returns: values by the name of the parameter, not checked.
    :raises ParameterError: if the file cannot be read or has no section for the node.
    """
    try:
        tree = yaml.safe_load(read_regular(file, _LARGEST_FILE).decode())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ParameterError(f"parameter file '{file}' cannot be read: "
                             f'{" ".join(str(error).split())}') from error
    sections = list(_sections(tree))
    chosen = [values for name, values in sections
              if _matches(name.strip('/').split('/'), node_name.strip('/').split('/'))]
    if not chosen:
        found = ', '.join(f"'{name}'" for name, _ in sections) or 'none'
        raise ParameterError(
            f"parameter file '{file}' has no section for the node '{node_name}'; its sections "
            f"with ros__parameters: {found}. Use '/**:' for any node")
    return {name: value for values in chosen for name, value in _flat(values)}


def _sections(tree: Any, path: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the node name and the values of each section."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if key == 'ros__parameters':
            yield path, value if isinstance(value, dict) else {}
        else:
            yield from _sections(value, f'{path}/{str(key).strip("/")}')


def _matches(pattern: list[str], name: list[str]) -> bool:
    """Tell whether the name of a section matches that of a node, both split at slashes."""
    if not pattern or not name:
        return pattern in ([], ['**']) and not name
    if pattern[0] == '**':
        return _matches(pattern[1:], name) or _matches(pattern, name[1:])
    return fnmatchcase(name[0], pattern[0]) and _matches(pattern[1:], name[1:])


def _flat(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the full name and the value of each parameter in nested mappings."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value
