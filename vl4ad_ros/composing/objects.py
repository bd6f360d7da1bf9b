# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads a folder of cut-out objects: PNG files with opacity, and `objects.yaml` that describes them.

The file is a list under the key `objects`; each entry describes one PNG file::

    objects:
    - {file: cow.png, name: cow, height_m: 1.5}
    - {file: person.png, name: person, height_m: 1.75, known: true, licence: CC0-1.0}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from vl4ad_ros.composing.pasting import CutOut
from vl4ad_ros.files import read_regular
import yaml

SHIPPED = Path(__file__).parent / 'objects'
"""Folder of the objects of this package: drawings of six anomalies and three known things."""
DESCRIPTION = 'objects.yaml'

_KEYS = {'file': str, 'name': str, 'height_m': float, 'known': bool, 'copyright': str,
         'licence': str}
_NEEDED = ('file', 'name', 'height_m')
_HEIGHT_M = 0.05, 30.0
_LARGEST_DESCRIPTION, _LARGEST_PICTURE = 10 ** 6, 10 ** 8  # bytes
_EXAMPLE = '{file: cow.png, name: cow, height_m: 1.5}'


class ObjectError(ValueError):
    """A folder of objects that cannot be used; the message says what is wrong and where."""


@dataclass(frozen=True, eq=False)
class RoadObject:
    """
    An object that can be pasted into a picture of a road.

    :ivar cut_out: how it looks.
    :ivar height_m: its height in metres.
    :ivar known: whether it belongs on a road, such as a person or a car. Such objects are the
        control: they are pasted in the same way as the anomalies, but should not be found.
    :ivar notes: `copyright` and `licence` where they are given.
    """

    cut_out: CutOut
    height_m: float
    known: bool
    notes: Mapping[str, str]

    @property
    def name(self) -> str:
        """What it is, such as 'cow'."""
        return self.cut_out.name

    @property
    def width_m(self) -> float:
        """Its width in metres."""
        rows, columns = self.cut_out.alpha.shape
        return self.height_m * columns / rows


def read_objects(folder: Path) -> tuple[RoadObject, ...]:
    """
    Read all objects of a folder.

    :param folder: it has `objects.yaml` and the PNG files that this describes, and no others.
    :returns: at least one object, in the order of the description.
    :raises ObjectError: if the description or a picture is missing or cannot be used.
    """
    place = folder / DESCRIPTION
    try:
        tree = yaml.safe_load(read_regular(place, _LARGEST_DESCRIPTION).decode())
    except FileNotFoundError as error:
        raise ObjectError(f"'{folder}' has no {DESCRIPTION}; it lists the objects, for example: "
                          f'objects: [{_EXAMPLE}]') from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ObjectError(f"'{place}' cannot be read: {error}") from error
    entries = tree.get('objects') if isinstance(tree, dict) else None
    if not isinstance(entries, list) or not entries or set(tree) != {'objects'}:
        raise ObjectError(f"'{place}' must have the key 'objects' and no other, with a list such "
                          f'as: [{_EXAMPLE}]')
    described = [_checked(entry, f"'{place}', entry {number}")
                 for number, entry in enumerate(entries, 1)]
    left_out = sorted({path.name for path in folder.glob('*.png')}
                      - {entry['file'] for entry in described})
    if left_out:
        raise ObjectError(f"'{place}' does not describe {', '.join(left_out)}; add an entry such "
                          f'as {_EXAMPLE}, or remove the file')
    return tuple(_object(folder, entry) for entry in described)


def _checked(entry: Any, place: str) -> dict[str, Any]:
    """Return an entry whose keys and types are as expected."""
    if not isinstance(entry, dict):
        raise ObjectError(f'{place} is {entry!r}; expected an entry such as {_EXAMPLE}')
    for key in _NEEDED:
        if key not in entry:
            raise ObjectError(f"{place} has no '{key}'; expected an entry such as {_EXAMPLE}")
    for key, value in entry.items():
        if key not in _KEYS:
            raise ObjectError(f'{place} has the unknown key {key!r}; the keys are '
                              f'{", ".join(_KEYS)}')
        expected = _KEYS[key]
        fits = (isinstance(value, (int, float)) and not isinstance(value, bool)
                if expected is float else isinstance(value, expected))
        if not fits:
            what = {float: 'a number', bool: 'true or false', str: 'a text'}[expected]
            raise ObjectError(f'{place}: {key} is {value!r}; expected {what}')
    if not entry['name'].strip():
        raise ObjectError(f"{place}: name is empty; expected a word such as 'cow'")
    if not _HEIGHT_M[0] <= entry['height_m'] <= _HEIGHT_M[1]:
        raise ObjectError(f"{place}: height_m is {entry['height_m']}; expected {_HEIGHT_M[0]} to "
                          f'{_HEIGHT_M[1]:g} metres')
    if Path(entry['file']).name != entry['file']:
        raise ObjectError(f"{place}: file is {entry['file']!r}; expected the name of a file in "
                          'the same folder')
    return entry


def _object(folder: Path, entry: Mapping[str, Any]) -> RoadObject:
    path = folder / entry['file']
    try:
        data = np.frombuffer(read_regular(path, _LARGEST_PICTURE), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except FileNotFoundError as error:
        raise ObjectError(f"there is no picture '{path}', which {DESCRIPTION} names") from error
    except (OSError, cv2.error) as error:
        raise ObjectError(f"'{path}' cannot be read: {error}") from error
    if picture is None:
        raise ObjectError(f"'{path}' is not a picture that OpenCV can read; expected a PNG file")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 4:
        raise ObjectError(f"'{path}' has no opacity; expected a PNG file with 8 bits each of red, "
                          'green, blue and alpha, in which all around the object is transparent')
    rgba = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
    if rgba[..., 3].min() == 255:
        raise ObjectError(f"'{path}' is opaque everywhere; make all around the object transparent")
    try:
        cut_out = CutOut.of(entry['name'].strip(), rgba[..., :3], rgba[..., 3])
    except ValueError as error:
        raise ObjectError(f"'{path}': {error}") from error
    return RoadObject(cut_out, float(entry['height_m']), entry.get('known', False),
                      {key: entry[key] for key in ('copyright', 'licence') if key in entry})
