# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for tf2_ros, which no package index has.

It has the members of tf2_ros that the node uses, and knows one transform.
"""

from __future__ import annotations

from types import ModuleType

from geometry_msgs.msg import TransformStamped


class TransformException(Exception):
    """Stand-in."""


class StandInBuffer:
    """
    Stand-in for `tf2_ros.Buffer`.

    :ivar found: the transform, of a level camera.
    :ivar from_ns: the transform is known for stamps from here on, in ns, ...
    :ivar to_ns: ... to here; the newest one, which is asked for with 0, is always known.
    :ivar asked: the arguments of all calls.
    """

    def __init__(self) -> None:
        self.from_ns, self.to_ns = 0, 2 ** 62
        self.asked: list = []
        self.found = TransformStamped()
        found = self.found.transform
        found.translation.x, found.translation.y, found.translation.z = 1.9, -0.6, 1.4
        turn = found.rotation
        turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5  # of an optical frame

    def lookup_transform(self, target, source, time):
        self.asked.append((target, source, time.nanoseconds))
        if source != 'camera_optical':
            raise TransformException(f'"{source}" is not connected to "{target}"')
        if time.nanoseconds and not self.from_ns <= time.nanoseconds <= self.to_ns:
            raise TransformException('Lookup would require extrapolation')
        return self.found


class StandInListener:
    """Stand-in for `tf2_ros.TransformListener`."""

    def __init__(self, buffer, node) -> None:
        self.node, self.closed = node, False

    def unregister(self) -> None:
        self.closed = True


def stand_in() -> ModuleType:
    """Return the module."""
    library = ModuleType('tf2_ros')
    library.Buffer, library.TransformListener = StandInBuffer, StandInListener
    library.TransformException = TransformException
    return library
