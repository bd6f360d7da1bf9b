# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Translates the label values of a data set to normal, anomalous and ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import re

import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, NORMAL

_MEANINGS = (NORMAL, ANOMALY, IGNORE)
_ENTRY = re.compile(r'(\d{1,5})(?:-(\d{1,5}))?:(\d{1,3})')
_UNKNOWN = 254


class LabelMapError(ValueError):
    """A text that is no label map; the message says what was expected."""


@dataclass(frozen=True)
class LabelMap:
    """
    What each value of a label image means.

    For LostAndFound, whose obstacles are 2 to 200 on a road of 1:

    >>> labels = LabelMap.parse('0:255,1:0,2-200:1')
    >>> labels.translated(np.array([[0, 1, 2, 200]], np.uint8))
    array([[255,   0,   1,   1]], dtype=uint8)

    :ivar meaning: 0 (normal), 1 (anomalous) or 255 (ignored) by value; values of 0 to 65535.
    """

    meaning: Mapping[int, int] = field(
        default_factory=lambda: {value: value for value in _MEANINGS})

    @staticmethod
    def parse(text: str) -> LabelMap:
        """
        Read a map such as ``0:0,254:1,255:255``.

        :param text: entries ``VALUE:MEANING`` or ``FIRST-LAST:MEANING``, with commas between
            them; the meaning is 0 (normal), 1 (anomalous) or 255 (ignored).
        :raises LabelMapError: if it is anything else, or gives one value two meanings.
        """
        meaning: dict[int, int] = {}
        for entry in filter(None, re.split(r'[,\s]+', text)):
            match = _ENTRY.fullmatch(entry)
            first = int(match[1]) if match else 0
            last = int(match[2] or first) if match else -1
            if match is None or int(match[3]) not in _MEANINGS or not first <= last <= 65535:
                raise LabelMapError(
                    f"'{entry}' is no entry of a label map; expected VALUE:MEANING or "
                    'FIRST-LAST:MEANING, with 0 (normal), 1 (anomalous) or 255 (ignored) as the '
                    'meaning, such as 0:0,254:1')
            for value in range(first, last + 1):
                if meaning.setdefault(value, int(match[3])) != int(match[3]):
                    raise LabelMapError(f'the label map gives {value} two meanings')
        if not meaning:
            raise LabelMapError('the label map is empty; expected entries such as 0:0,254:1')
        return LabelMap(meaning)

    def unknown(self, values: np.ndarray) -> list[int]:
        """
        Return the values that the map does not have, in rising order.

        :param values: of an unsigned integer type, any shape.
        """
        return [int(v) for v in np.flatnonzero(np.bincount(values.ravel()))
                if int(v) not in self.meaning]

    def translated(self, values: np.ndarray) -> np.ndarray:
        """
        Return a label with 0, 1 and 255.

        :param values: (H, W) uint8 or uint16, without values that the map does not have.
        :returns: (H, W) uint8.
        """
        table = np.full(1 << 8 * values.itemsize, _UNKNOWN, np.uint8)
        for value, meaning in self.meaning.items():
            if value < table.size:
                table[value] = meaning
        return table[values]
