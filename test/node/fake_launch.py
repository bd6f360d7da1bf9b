# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Modules launch and launch_ros that take exactly the arguments in a record of the real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import sys
from types import ModuleType
from typing import Any


class Call:
    """
    A call of a class or a function of launch.

    :ivar name: without its modules, such as 'DeclareLaunchArgument'.
    :ivar arguments: by name.
    """

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        self.name = name
        self.arguments = arguments

    def __getitem__(self, argument: str) -> Any:
        """Return an argument, None if it was not given."""
        return self.arguments.get(argument)

    def __eq__(self, other: object) -> bool:
        """Compare names and arguments; actions themselves are compared by identity."""
        return isinstance(other, Call) and self.name != 'LifecycleNode' and (
            self.name, self.arguments) == (other.name, other.arguments) or self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f'{self.name}({self.arguments})'


def bind(name: str, entry: Mapping[str, Any], given: tuple, named: dict[str, Any]) -> dict:
    """
    Return the arguments of a call by name.

    :param entry: what the callable takes; see `launch_interface.interface`.
    :raises TypeError: if the real one would raise it.
    """
    positional = entry['positional']
    if len(given) > len(positional) and not entry['more']:
        raise TypeError(f'{name} takes {len(positional)} positional arguments, not {len(given)}')
    arguments = dict(zip(positional, given))
    for key, value in named.items():
        if key not in entry['keywords']:
            raise TypeError(f'{name} has no argument {key!r}')
        if key in arguments:
            raise TypeError(f'{name} got {key!r} twice')
        arguments[key] = value
    missing = set(entry['required']) - set(arguments)
    if missing:
        raise TypeError(f'{name} needs {sorted(missing)}')
    return arguments


@contextmanager
def installed(record: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Put the modules of a record in the place of the real ones."""
    modules: dict[str, ModuleType] = {}
    methods = {name: entry for name, entry in record.items() if name.rpartition('.')[0] in record}
    for name, entry in record.items():
        if name in methods:
            continue
        module, _, last = name.rpartition('.')
        for end in range(1, len(module.split('.')) + 1):
            part = '.'.join(module.split('.')[:end])
            modules.setdefault(part, ModuleType(part))
        setattr(modules[module], last, _stand_in(name, entry, methods))
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules)
              if name.split('.')[0] in ('launch', 'launch_ros')}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(hidden)


def _stand_in(name: str, entry: Mapping[str, Any], methods: Mapping[str, Any]) -> type:
    last = name.rpartition('.')[2]

    class StandIn(Call):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(last, bind(name, entry, given, named))

    if f'{name}.perform' in methods:
        def perform(self: StandIn, *given: Any, **named: Any) -> str:
            context = bind(f'{name}.perform', methods[f'{name}.perform'], given, named)['context']
            return context[self['variable_name']]
        StandIn.perform = perform
    return StandIn
