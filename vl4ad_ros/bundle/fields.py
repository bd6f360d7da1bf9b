# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Typed access to the fields of a JSON object, with errors that name the field."""

from __future__ import annotations

from collections.abc import Sequence
import re
import sys
from typing import Any, NoReturn

from vl4ad_ros.bundle.errors import BundleError, REPAIR

_MOST_NESTED = 50
_FILE = r'\w[\w.-]*'
_NOT_TEXT = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]')
"""Control characters other than tab and line breaks, and lone surrogates."""


class Fields:
    """
    The fields of one JSON object.

    Every method that reads a field raises a `BundleError` that names the object, the field, what
    was expected there and what was found.

    :ivar values: the object as the JSON parser returned it.
    :ivar where: name of the object in error messages, such as ``bundle/manifest.json: vision``.
    """

    def __init__(self, values: Any, where: str) -> None:
        """
        Wrap an object.

        :param values: anything that a JSON parser returns.
        :param where: name of the object in error messages.
        :raises BundleError: if `values` is not an object.
        """
        self.where = where
        self.values = values
        if not isinstance(values, dict):
            raise BundleError(f'{where}: expected an object, found {values!r:.60}; {REPAIR}')

    def refuse(self, key: str, expected: str) -> NoReturn:
        """
        Report a wrong value.

        :param key: name of the field.
        :param expected: what it must be, such as ``'an integer 1..64'``.
        :raises BundleError: always.
        """
        found = repr(self.values[key])[:60] if key in self.values else 'nothing'
        raise BundleError(f'{self.where}: {key} must be {expected}, found {found}; {REPAIR}')

    def fields(self, key: str) -> Fields:
        """Return the object in a field."""
        if not isinstance(self.values.get(key), dict):
            self.refuse(key, 'an object')
        return Fields(self.values[key], f'{self.where}: {key}')

    def optional_fields(self, key: str) -> Fields | None:
        """Return the object in a field, or None if the field is absent."""
        return self.fields(key) if key in self.values else None

    def list_of_fields(self, key: str) -> list[Fields]:
        """Return the objects in a field that holds a list of objects."""
        values = self.values.get(key)
        if not isinstance(values, list):
            self.refuse(key, 'a list of objects')
        return [Fields(v, f'{self.where}: {key}[{i}]') for i, v in enumerate(values)]

    def text(self, key: str, longest: int = sys.maxsize) -> str:
        """
        Return a string.

        :param longest: the largest number of characters that is accepted.
        """
        if not isinstance(self.values.get(key), str):
            self.refuse(key, 'a string')
        if len(self.values[key]) > longest:
            self.refuse(key, f'at most {longest} characters long')
        return self.values[key]

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self.values.get(key)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self.refuse(key, 'a list of strings')
        return tuple(values)

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """Return a string that must be one of `choices`."""
        if self.text(key) not in choices:
            self.refuse(key, f'one of {", ".join(choices)}')
        return self.values[key]

    def file(self, key: str) -> str:
        """Return the name of a file in the bundle's own folder."""
        if not re.fullmatch(_FILE, self.text(key)):
            self.refuse(key, 'the name of a file in the bundle')
        return self.values[key]

    def optional_file(self, key: str) -> str | None:
        """Return the name of a file in the bundle's own folder, or None if the field is absent."""
        return self.file(key) if key in self.values else None

    def optional_files(self, key: str) -> tuple[str, ...]:
        """Return a list of names of files in the bundle; empty if the field is absent."""
        if key not in self.values:
            return ()
        if not all(re.fullmatch(_FILE, name) for name in self.texts(key)):
            self.refuse(key, 'a list of names of files in the bundle')
        return self.texts(key)

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer within `low` to `high`, both included."""
        if type(self.values.get(key)) is not int or not low <= self.values[key] <= high:
            self.refuse(key, f'an integer {low}..{high}')
        return self.values[key]

    def share(self, key: str) -> float:
        """Return a number within 0 to 1, both included."""
        if not _is_number(self.values.get(key)) or not 0 <= self.values[key] <= 1:
            self.refuse(key, 'a number 0..1')
        return float(self.values[key])

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        values = self.values.get(key)
        if not isinstance(values, list) or not all(map(_is_number, values)):
            self.refuse(key, 'a list of numbers')
        return tuple(map(float, values))


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    Return a JSON object in which no key may repeat: `object_pairs_hook` of `json.loads`.

    JSON readers do not agree on which of two equal keys counts.

    :param pairs: keys and values in the order of the file.
    :raises ValueError: if a key is there twice.
    """
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f'the key {key!r:.60} is there twice')
        values[key] = value
    return values


def check_json(value: Any, where: str) -> None:
    """
    Check that a JSON value is not nested too deeply and that its strings are printable text.

    :param value: anything that a JSON parser returns.
    :param where: name of the value in the error message.
    :raises BundleError: if it is nested more than 50 deep, or if a string or key has a control
        character (other than tab and line breaks) or a lone surrogate.
    """
    waiting = [(value, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MOST_NESTED:
            raise BundleError(f'{where} is nested more than {_MOST_NESTED} deep; {REPAIR}')
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list):
            waiting += [(v, depth + 1) for v in value]
        elif isinstance(value, str) and (odd := _NOT_TEXT.search(value)):
            raise BundleError(f'{where} has the character {odd[0]!a} in {value!a:.60}, which is '
                              f'not allowed in a text; {REPAIR}')


def _is_number(value: Any) -> bool:
    # An integer in JSON may be larger than any float.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max
