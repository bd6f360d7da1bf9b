# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Remember which function draws which kind."""

from __future__ import annotations

from collections.abc import Callable

DRAWERS: dict[str, Callable] = {}


def draws(*kinds: str):
    """
    Register a drawing function for these kinds.

    It is called as function(rng, pixels), or function(rng, pixels, kind) when it draws several,
    and returns a Pen or, for vehicles, a dict of Pens with the views 'side' (nose to the right),
    'rear' and 'front'. Its pen's height stands for the kind's height in metres.
    """
    def register(function):
        for kind in kinds:
            DRAWERS[kind] = function if len(kinds) == 1 else (
                lambda rng, pixels, kind=kind: function(rng, pixels, kind))
        return function
    return register
