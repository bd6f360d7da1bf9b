# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a frame follows the frames before it, judged by the time of the scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimits:
    """
    How far apart two frames of one scene may be.

    :ivar late_s: 0..60 s; a frame whose stamp is older than the newest one by less than this came
        late and is left out of tracking. One that is older by as much or more is a jump back.
    :ivar max_gap_s: 0.01..3600 s; a longer step forward separates two scenes.
    :raises ValueError: if a limit is out of range; the message names it.
    """

    late_s: float = 0.5
    max_gap_s: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (('late_s', 0, 60), ('max_gap_s', 0.01, 3600)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f'{name} must be {low}..{high}, not {getattr(self, name)}')


@dataclass(frozen=True)
class Moment:
    """
    One frame's place in time.

    :ivar step: ``'next'``: the frame follows the one before, or is the first; ``'late'``: it
        belongs before one that was seen already; ``'back'`` and ``'gap'``: another scene begins.
    :ivar seconds: from the newest frame so far to this one; 0 for the first.
    :ivar unusable: why its stamp could not be used, so that the time of receipt was:
        ``'zero'`` (or less), ``'constant'`` (the stamp of the frame before), or ``''``.
    """

    step: str
    seconds: float
    unusable: str = ''


class SceneTime:
    """
    Judges the frames of one stream, in the order in which they are processed.

    The time of the scene is that of the header stamps, so that the answer does not depend on how
    fast frames are processed. Between two frames of which one has no usable stamp, the times at
    which they were received count instead. There is no clock in here: the same stamps give the
    same answers.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._newest: tuple[int, int] | None = None

    def judge(self, stamp_ns: int, received_ns: int, limits: TimeLimits) -> Moment:
        """
        Take the next frame.

        :param stamp_ns: of its header, ns.
        :param received_ns: when it was received, ns on any clock that all frames share.
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
