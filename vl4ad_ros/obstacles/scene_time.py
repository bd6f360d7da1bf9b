# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decide whether a frame follows the frames before it, by the time of the scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimits:
    """
    How far apart the stamps of two frames of one scene may be.

    :ivar late_s: 0 to 60 s. A frame whose stamp is older than the newest stamp by less than this
        came late. A frame that is older by this or more is a jump back in time.
    :ivar max_gap_s: 0.01 to 3600 s. A longer step forward separates two scenes.
    :raises ValueError: if a limit is out of its range; the message names the limit.
    """

    late_s: float = 0.5
    max_gap_s: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (('late_s', 0, 60), ('max_gap_s', 0.01, 3600)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f'{name} must be from {low} to {high} s, not {getattr(self, name)}')


@dataclass(frozen=True)
class Moment:
    """
    How a frame follows the frames before it.

    :ivar step: ``'next'`` if the frame follows the newest one, or is the first; ``'late'`` if it
        is somewhat older than the newest one; ``'back'`` if the time jumped back, and ``'gap'`` if
        it jumped forward, so that another scene begins.
    :ivar seconds: time from the newest frame to this one, in s, negative for an older one; 0 for
        the first frame.
    :ivar unusable: the reason why the stamp could not be used and the time of receipt was used
        instead: ``'zero'`` if it is 0 or less, ``'constant'`` if it equals that of the newest
        frame; ``''`` if the stamp was used.
    """

    step: str
    seconds: float
    unusable: str = ''


class SceneTime:
    """
    Decides how each frame of one stream follows the frames before it.

    The header stamps are the time of the scene, so the answer does not depend on how fast frames
    are processed. If one of two frames has no usable stamp, the times at which they were received
    are compared instead. This class has no clock: the same stamps give the same answers.
    """

    def __init__(self) -> None:
        """Start without a frame."""
        self._newest: tuple[int, int] | None = None

    def judge(self, stamp_ns: int, received_ns: int, limits: TimeLimits) -> Moment:
        """
        Return how the next frame follows the frames before it.

        A late frame does not become the newest one; every other frame does.

        :param stamp_ns: time stamp of the header, in ns.
        :param received_ns: time at which the frame was received, in ns, on a clock that all
            frames share.
        :param limits: the limits for this frame.
        """
        unusable = 'zero' if stamp_ns <= 0 else ''
        if self._newest is None:
            self._newest = stamp_ns, received_ns
            return Moment('next', 0.0, unusable)
        newest_stamp_ns, newest_received_ns = self._newest
        if not unusable and stamp_ns == newest_stamp_ns:
            unusable = 'constant'
        if unusable or newest_stamp_ns <= 0:
            seconds = (received_ns - newest_received_ns) / 1e9
        else:
            seconds = (stamp_ns - newest_stamp_ns) / 1e9
        if -limits.late_s < seconds < 0:
            return Moment('late', seconds, unusable)
        self._newest = stamp_ns, received_ns
        step = 'back' if seconds < 0 else 'gap' if seconds > limits.max_gap_s else 'next'
        return Moment(step, seconds, unusable)
