# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One row of the table of parameters: its default, its range, and how values are checked."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
from typing import Any

from vl4ad_ros.inference.backend import removal, REMOVED

_KINDS = {bool: 'true or false', int: 'an integer', float: 'a number with a point, such as 1.0',
          str: 'text'}


class ParameterError(ValueError):
    """A parameter value that cannot be used; the message names it and says what to set."""


def parameter(name: str, default: Any, meaning: str, between: tuple = (),
              choices: tuple = (), fixed: bool = False) -> Any:
    """
    Return a dataclass field of `Settings` with its row of the table as metadata.

    :param name: name of the ROS parameter.
    :param default: its default value, a tuple for a list.
    :param meaning: its description in Markdown.
    :param between: smallest and largest value of a number; empty if there is no range.
    :param choices: all values that a text may have; empty if any text is allowed.
    :param fixed: it can only change while the node is unconfigured.
    """
    return field(default=default, metadata={'name': name, 'meaning': meaning, 'between': between,
                                            'choices': choices, 'fixed': fixed})


@dataclass(frozen=True)
class Row:
    """
    One row of the table: a parameter as it is declared, documented and checked.

    :ivar attribute: name of the field of `Settings`.
    :ivar default: default value, a tuple for a list.
    :ivar name: name of the ROS parameter.
    :ivar meaning: description in Markdown.
    :ivar between: smallest and largest value; empty if there is no range.
    :ivar choices: all values that are allowed; empty if there is no such list.
    :ivar fixed: whether it can only change while the node is unconfigured.
    """

    attribute: str
    default: Any
    name: str
    meaning: str
    between: tuple
    choices: tuple
    fixed: bool

    @property
    def ros_default(self) -> Any:
        """The default value as rclpy takes it: lists instead of tuples."""
        return list(self.default) if isinstance(self.default, tuple) else self.default

    @property
    def range_text(self) -> str:
        """The allowed values as text; empty if every value of the type is allowed."""
        return ' to '.join(map(str, self.between)) or ', '.join(self.choices)

    @property
    def type_text(self) -> str:
        """The name of the type in ROS, such as ``string[]``."""
        kind = type(self.default[0] if isinstance(self.default, tuple) else self.default)
        name = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[kind]
        return name + ('[]' if isinstance(self.default, tuple) else '')

    def value_of(self, value: Any) -> Any:
        """
        Return a value in the form of `Settings`, with a tuple for a list.

        :param value: a value as rclpy or a YAML file gives it.
        :raises ParameterError: if it has another type, or is an empty list.
        """
        if isinstance(self.default, tuple):
            if value is None or not isinstance(value, str) and not len(value):
                raise self.refusal(
                    'an empty list', f'at least one entry, such as {self.ros_default}')
            kind = type(self.default[0])
            if isinstance(value, str) or not all(type(item) is kind for item in value):
                raise self.refusal(f'{value!r:.60}', f'a list, each entry {_KINDS[kind]}')
            return tuple(value)
        kind = type(self.default)
        if type(value) is not kind:
            raise self.refusal(f'{value!r:.60}', _KINDS[kind])
        return value

    def check(self, value: Any) -> None:
        """
        Refuse a value that is out of range.

        :param value: a value of the right type.
        :raises ParameterError: if it is not one of the choices, outside the range or not finite;
            also if it is a backend that was removed, with what to use in its place.
        """
        if self.name == 'model.backend' and value in REMOVED:
            raise ParameterError(f'{self.name} {removal(value)}')
        if self.choices and value not in self.choices:
            raise self.refusal(f"'{value}'", ' or '.join(self.choices))
        if self.between and not self.between[0] <= value <= self.between[1]:
            raise self.refusal(str(value), self.range_text)
        if isinstance(self.default, tuple) and any(
                isinstance(item, float) and not math.isfinite(item) for item in value):
            raise self.refusal(str(list(value)), 'finite numbers')

    def refusal(self, got: str, wanted: str) -> ParameterError:
        """
        Return the error for a value of this parameter.

        :param got: the value as text.
        :param wanted: what was expected instead.
        """
        hint = "; write [''] for none" if self.name == 'prompts.anomaly' else ''
        return ParameterError(f'{self.name} is {got}; expected {wanted}{hint}')
