# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Names and numbers of arguments of Python bindings that pybind11 made, from their docstrings.

As a program: ``python binding_surface.py MODULE CLASS.NAME...`` prints them as JSON.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from typing import Any


def surface(module: Any, names: list[str]) -> dict[str, Any]:
    """Return for each name its possible numbers of arguments, True if it is none, or None."""
    return {name: _arguments(module, name) for name in names}


def _arguments(module: Any, name: str) -> list[int] | bool | None:
    thing = module
    for part in name.split('.'):
        thing = getattr(thing, part, None)
        if thing is None:
            return None
    last = name.rsplit('.', 1)[-1]
    found = set()
    for line in (getattr(thing, '__doc__', None) or '').splitlines():
        if match := re.match(rf'(?:\d+\. )?{last}\((.*)\) -> ', line):
            found |= _counts(match[1])
    return sorted(found) or True


def _counts(arguments: str) -> set[int]:
    """Return how many arguments can be given besides ``self``."""
    flat = re.sub(r'[<\[][^<>\[\]]*[>\]]', '', arguments)
    every = [a for a in flat.split(',') if a.strip() and not a.strip().startswith('self')]
    optional = sum('=' in a for a in every)
    return set(range(len(every) - optional, len(every) + 1))


if __name__ == '__main__':
    sys.path[0:0] = filter(None, [sys.argv[2]])
    library = importlib.import_module(sys.argv[1])
    print(json.dumps({'version': library.__version__, **surface(library, sys.argv[3:])}))
