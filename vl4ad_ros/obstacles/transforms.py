# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A tree of coordinate frames, to be asked where one frame is in another at a moment.

The rules are those of tf2 (T. Foote, "tf: The transform library", TePRA 2013): each frame has one
parent, a transform that moves is interpolated between the two stamps around the moment (linearly
in its translation, and along the shortest arc in its rotation), and nothing is said of a moment
before the first or after the last stamp.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
import math

Quaternion = tuple[float, float, float, float]
"""(x, y, z, w) of a rotation, of length 1."""
Vector = tuple[float, float, float]
"""(x, y, z), in metres."""


class NoTransform(Exception):
    """A transform that is not known; the message is a clause that says why."""


@dataclass(frozen=True)
class Transform:
    """
    Where a frame is in another one.

    The camera of this example is 1.4 m above the vehicle, which is 10 m from the origin of the map
    and has turned to the left by a right angle.

    >>> camera = Transform((0.0, 0.0, 0.0, 1.0), (0.5, 0.0, 1.4))
    >>> vehicle = Transform.normalised((0.0, 0.0, 1.0, 1.0), (10.0, 0.0, 0.0))
    >>> [round(value, 3) for value in (vehicle @ camera).translation]
    [10.0, 0.5, 1.4]

    :ivar rotation: from the frame to the other one.
    :ivar translation: of the origin of the frame, in the other one.
    """

    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    translation: Vector = (0.0, 0.0, 0.0)

    @staticmethod
    def normalised(rotation: Quaternion, translation: Vector) -> Transform:
        """
        Return a transform whose quaternion is brought to the length 1.

        :param rotation: a quaternion of any length.
        :param translation: in metres.
        :raises ValueError: if a number is not finite, or if the quaternion is 0.
        """
        length = math.hypot(*rotation)
        if not (0 < length < math.inf and all(map(math.isfinite, translation))):
            raise ValueError(f'a transform has the quaternion {rotation} and the translation '
                             f'{translation}; expected finite numbers')
        x, y, z, w = (value / length for value in rotation)
        return Transform((x, y, z, w), translation)

    def __matmul__(self, inner: Transform) -> Transform:
        """Return this transform after another one: from the frame of `inner` to the outer one."""
        x, y, z = _turned(self.rotation, inner.translation)
        a, b, c = self.translation
        return Transform(_product(self.rotation, inner.rotation), (a + x, b + y, c + z))

    def inverse(self) -> Transform:
        """Return where the other frame is in this one."""
        x, y, z, w = self.rotation
        back = (-x, -y, -z, w)
        a, b, c = _turned(back, self.translation)
        return Transform(back, (-a, -b, -c))

    def towards(self, other: Transform, share: float) -> Transform:
        """
        Return the transform between this one and another one.

        :param other: the later one.
        :param share: of the way to it, 0 to 1.
        """
        a, b, c = (p + share * (q - p) for p, q in zip(self.translation, other.translation))
        return Transform(_arc(self.rotation, other.rotation, share), (a, b, c))


@dataclass
class TransformTree:
    """
    Frames and their transforms.

    :ivar fixed: the transform of each frame that does not move in its parent.
    :ivar moving: stamps in ns, rising, and transforms of each other frame.
    :ivar parents: the parent of each frame.
    """

    fixed: dict[str, Transform] = field(default_factory=dict)
    moving: dict[str, tuple[list[int], list[Transform]]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)

    def add(self, parent: str, frame: str, transform: Transform,
            stamp_ns: int | None = None) -> None:
        """
        Add a transform. Of two with the same stamp the first one counts.

        :param parent: the frame that it leads to.
        :param frame: the frame that it comes from.
        :param transform: where `frame` is in `parent`.
        :param stamp_ns: when that holds, in ns; None if it always holds.
        """
        self.parents[frame] = parent
        if stamp_ns is None:
            self.fixed[frame] = transform
            return
        stamps, transforms = self.moving.setdefault(frame, ([], []))
        place = bisect_left(stamps, stamp_ns)
        if place == len(stamps) or stamps[place] != stamp_ns:
            stamps.insert(place, stamp_ns)
            transforms.insert(place, transform)

    def way(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """
        Return the frames whose transforms lead from one frame to another.

        :param target: the frame to be reached.
        :param source: the frame to begin at.
        :returns: the frames from `source` up to the frame that both have in common, and those from
            `target` up to it; each without that frame.
        :raises NoTransform: if they have none in common.
        """
        up, down = self._ancestors(source), self._ancestors(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            unknown = [name for name in (source, target)
                       if name not in self.parents and name not in self.parents.values()]
            raise NoTransform(
                f"there is no transform with the frame '{unknown[0]}'" if unknown else
                f"'{source}' and '{target}' are not connected")
        return up[:up.index(common)], down[:down.index(common)]

    def is_fixed(self, target: str, source: str) -> bool:
        """
        Tell whether a frame does not move in another one.

        :param target: one frame.
        :param source: the other frame.
        :raises NoTransform: if they are not connected.
        """
        up, down = self.way(target, source)
        return all(frame in self.fixed for frame in (*up, *down))

    def find(self, target: str, source: str, stamp_ns: int) -> Transform:
        """
        Return where a frame is in another one at a moment.

        :param target: the other frame.
        :param source: the frame.
        :param stamp_ns: the moment, in ns.
        :raises NoTransform: if it is not known.
        """
        up, down = self.way(target, source)
        found = Transform()
        for frame in up:
            found = self._at(frame, stamp_ns) @ found
        back = Transform()
        for frame in down:
            back = self._at(frame, stamp_ns) @ back
        return back.inverse() @ found

    def _ancestors(self, frame: str) -> list[str]:
        """Return a frame and those above it."""
        found = [frame]
        while (parent := self.parents.get(found[-1])) is not None and parent not in found:
            found.append(parent)
        return found

    def _at(self, frame: str, stamp_ns: int) -> Transform:
        if frame in self.fixed:
            return self.fixed[frame]
        stamps, transforms = self.moving[frame]
        place = bisect_left(stamps, stamp_ns)
        if place < len(stamps) and stamps[place] == stamp_ns:
            return transforms[place]
        if not 0 < place < len(stamps):
            raise NoTransform(
                f"the transforms of '{frame}' are those of {stamps[0] / 1e9:.3f} to "
                f'{stamps[-1] / 1e9:.3f} s, but that of {stamp_ns / 1e9:.3f} s is needed')
        share = (stamp_ns - stamps[place - 1]) / (stamps[place] - stamps[place - 1])
        return transforms[place - 1].towards(transforms[place], share)


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz)


def _turned(rotation: Quaternion, vector: Vector) -> Vector:
    x, y, z, w = rotation
    back = (-x, -y, -z, w)
    return _product(_product(rotation, (*vector, 0.0)), back)[:3]


def _arc(a: Quaternion, b: Quaternion, share: float) -> Quaternion:
    """Interpolate on the shortest arc (K. Shoemake, "Animating rotation", SIGGRAPH 1985)."""
    cos = sum(p * q for p, q in zip(a, b))
    sign = 1.0 if cos >= 0 else -1.0
    angle = math.acos(min(abs(cos), 1.0))
    if angle < 1e-9:
        return a
    first, second = math.sin((1 - share) * angle), sign * math.sin(share * angle)
    x, y, z, w = ((first * p + second * q) / math.sin(angle) for p, q in zip(a, b))
    return x, y, z, w
