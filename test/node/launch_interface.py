# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The arguments that classes and functions of launch and launch_ros take.

As a program: ``python launch_interface.py RECORD.json`` records all names that the launch files
import from these two packages, as they are installed, under their versions.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from pathlib import Path
import sys
from types import ModuleType
from typing import Any
import xml.etree.ElementTree as ElementTree

PACKAGES = ('launch', 'launch_ros')
LAUNCH_FILES = sorted((Path(__file__).resolve().parents[2] / 'launch').glob('*.launch.py'))
METHODS = ('launch.substitutions.LaunchConfiguration.perform',)
"""Methods that the launch files call."""


def imported_names() -> list[str]:
    """Return the dotted names that the launch files import from `PACKAGES`."""
    return sorted({
        f'{node.module}.{alias.name}' for file in LAUNCH_FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] in PACKAGES
        for alias in node.names})


def interface(names: list[str]) -> dict[str, dict[str, Any]]:
    """
    Return what each name takes, read from the installed packages.

    :returns: by name: `positional`, the arguments that can be given by position, in order;
        `keywords`, all that can be given by name; `required`, those without a default; `more`,
        whether further positional arguments are taken.
    """
    return {name: _arguments(_find(name)) for name in names}


def _find(name: str) -> Any:
    module, _, last = name.rpartition('.')
    try:
        return getattr(importlib.import_module(module), last)
    except ModuleNotFoundError:  # a method
        return getattr(_find(module), last)


def _arguments(thing: Any) -> dict[str, Any]:
    if inspect.isclass(thing):
        functions = [kind.__init__ for kind in thing.__mro__ if '__init__' in vars(kind)]
    else:
        functions = [thing]
    positional: list[str] = []
    keywords: set[str] = set()
    required: list[str] = []
    more = False
    for number, function in enumerate(functions):
        parameters = [p for p in inspect.signature(function).parameters.values()
                      if p.name != 'self']
        kinds = {p.kind for p in parameters}
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        keywords |= {p.name for p in named}
        if not number:
            positional = [p.name for p in named if p.kind == p.POSITIONAL_OR_KEYWORD]
            required = [p.name for p in named if p.default is p.empty]
            more = inspect.Parameter.VAR_POSITIONAL in kinds
        # What a class takes as **kwargs, it hands to the next class.
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return {'positional': positional, 'keywords': sorted(keywords), 'required': required,
            'more': more}


def installed_versions() -> str:
    """Return the versions of the installed packages, as keys of the record have them."""
    return ', '.join(f'{name} {_version(importlib.import_module(name))}' for name in PACKAGES)


def _version(module: ModuleType) -> str:
    from importlib import metadata
    manifest = Path(str(module.__file__)).parents[1] / 'package.xml'
    if manifest.exists():  # a source tree
        return ElementTree.parse(manifest).findtext('version', '')
    return metadata.version(module.__name__)


if __name__ == '__main__':
    wanted = [*imported_names(), *METHODS]
    record_file = Path(sys.argv[1])
    record = json.loads(record_file.read_text()) if record_file.exists() else {}
    record[installed_versions()] = interface(wanted)
    record_file.write_text(
        '{\n' + ',\n'.join(
            f' {json.dumps(versions)}: {{\n' + ',\n'.join(
                f'  {json.dumps(name)}: {json.dumps(entry)}' for name, entry in names.items())
            + '\n }' for versions, names in sorted(record.items())) + '\n}\n')
