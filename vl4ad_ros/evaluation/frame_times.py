# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Checks the times at which frames were recorded, and replaces those that no clock can have shown.

Recorders write times of 0 (https://github.com/ros2/rosbag2/issues/1276), clocks are set forward
and back while a recording runs, and a recording can be paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

LARGEST_LEAP_NS = 60 * 10**9
"""Longest time from one frame to the next that is not reported, in nanoseconds."""


@dataclass(frozen=True)
class FrameTimes:
    """
    The order and the times of the frames of a recording.

    :ivar order: positions of the frames among the messages as they are stored.
    :ivar times_ns: time of each frame in this order, nanoseconds; it never decreases.
    :ivar notes: a sentence about each kind of fault, and what is done about it.
    """

    order: Sequence[int]
    times_ns: Sequence[int]
    notes: Sequence[str] = ()

    @staticmethod
    def of(recorded_ns: Sequence[int], stamps_ns: Sequence[int], topic: str) -> FrameTimes:
        """
        Choose the times of the frames.

        The record times are used unchanged if they have no fault. Otherwise the header stamps
        are used if they have none. If neither can be used, times that are zero or go back are
        replaced by the time of the frame before plus the median frame period.

        :param recorded_ns: record time of each message as stored, nanoseconds since the epoch.
        :param stamps_ns: header stamp of each message, nanoseconds since the epoch.
        :param topic: name of the topic, for the sentences.
        """
        stored = range(len(recorded_ns))
        faults = _faults(recorded_ns)
        if not faults:
            return FrameTimes(stored, recorded_ns)
        said = f'the record times of {topic} {", ".join(faults)}'
        if not _faults(stamps_ns):
            return FrameTimes(stored, stamps_ns, [
                f'{said}; the header stamps of the images are used instead'])
        by_time = sorted(stored, key=lambda i: recorded_ns[i])
        sorted_ns = [recorded_ns[i] for i in by_time]
        sorted_stamps_ns = [stamps_ns[i] for i in by_time]
        if not _faults(sorted_ns) and not _faults(sorted_stamps_ns):
            return FrameTimes(by_time, sorted_ns, [
                f'the messages of {topic} are not stored in the order of their record times; they '
                'are sorted by these'])
        if all(fault.startswith('leap') for fault in faults):
            return FrameTimes(stored, recorded_ns, [
                f'{said}, and the header stamps of the images show no other time; such a gap is '
                'not counted in the duration'])
        return FrameTimes(stored, _repaired(recorded_ns), [
            f'{said}, and the header stamps of the images cannot replace them; each wrong record '
            'time is taken to be one frame period after the frame before'])


def duration_s(times_ns: Sequence[int]) -> float:
    """
    Return how long a recording is, without pauses of more than a minute.

    :param times_ns: time of each frame, nanoseconds; it never decreases.
    :returns: seconds from the first to the last frame plus one mean frame period; a pause counts
        as one mean frame period. 0 for one frame.
    """
    steps = [b - a for a, b in pairwise(times_ns)]
    counted = [step for step in steps if step <= LARGEST_LEAP_NS]
    mean = sum(counted) / len(counted) if counted else 0.0
    return (sum(counted) + mean * (1 + len(steps) - len(counted))) / 1e9


def period_ns(times_ns: Sequence[int]) -> float | None:
    """Return the median time between different times, nanoseconds; None if all are equal."""
    steps = [b - a for a, b in pairwise(sorted(set(times_ns)))]
    return median(steps) if steps else None


def _faults(times_ns: Sequence[int]) -> list[str]:
    """Return what is wrong with times, as the ends of a sentence about them."""
    faults = []
    zeros = sum(t <= 0 for t in times_ns)
    if zeros:
        faults.append(f'are zero in {zeros} of {len(times_ns)} frames')
    known = [(i, t) for i, t in enumerate(times_ns) if t > 0]
    if len(known) > 1 and len({t for _, t in known}) == 1:
        faults.append('are all the same')
    steps = [(i, (b - a) / 1e9) for (_, a), (i, b) in pairwise(known)]
    back = [(i, step) for i, step in steps if step < 0]
    if back:
        faults.append(f'jump back by {-back[0][1]:.3f} s at frame {back[0][0]}{_more(back)}')
    leaps = [(i, step) for i, step in steps if step * 1e9 > LARGEST_LEAP_NS]
    if leaps:
        faults.append(f'leap by {leaps[0][1]:.0f} s at frame {leaps[0][0]}{_more(leaps)}')
    return faults


def _more(found: Sequence[object]) -> str:
    return f' and {len(found) - 1} more times' if len(found) > 1 else ''


def _repaired(times_ns: Sequence[int]) -> list[int]:
    """Replace what is zero or goes back by one period after the frame before."""
    good = [b - a for a, b in pairwise(times_ns) if a > 0 and 0 < b - a <= LARGEST_LEAP_NS]
    period = round(median(good)) if good else 10**8
    first = next((i for i, t in enumerate(times_ns) if t > 0), 0)
    found = [max(times_ns[first], 1) - (first - i) * period for i in range(first + 1)]
    previous = times_ns[first]
    for time_ns in times_ns[first + 1:]:
        step = time_ns - previous if previous > 0 and time_ns >= previous else period
        found.append(found[-1] + step)
        previous = time_ns if time_ns > 0 else previous + period
    return found
