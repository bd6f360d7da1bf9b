# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the time stamp of an image."""

from __future__ import annotations

_CLOCK_SKEW_NS = 100_000_000
"""Clocks of two machines differ by less; a stamp further ahead is a wrong stamp."""


class Stamps:
    """
    Look at the stamps of one stream in the order of arrival.

    Every image is processed whatever its stamp: a driver with a broken clock still sees.
    """

    def __init__(self) -> None:
        self._last_ns = 0

    def look(self, stamp_ns: int, now_ns: int) -> str:
        """
        Return '' for a good stamp, else 'zero' (or less), 'future' or 'back' (before the last).

        'back' is how a looping bag looks: what was tracked before it is another scene.
        """
        if stamp_ns <= 0:
            return 'zero'
        last_ns, self._last_ns = self._last_ns, stamp_ns
        if stamp_ns < last_ns:
            return 'back'
        return 'future' if stamp_ns > now_ns + _CLOCK_SKEW_NS else ''
