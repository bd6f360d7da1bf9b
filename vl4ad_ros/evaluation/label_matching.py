# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the frame that each label belongs to, by their header stamps."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from vl4ad_ros.evaluation.frame_times import period_ns

_ONLY_FRAME_NS = 100_000_000
"""Frame period that is assumed where all frames have the same stamp, in nanoseconds."""


def match_by_stamp(frames_ns: Sequence[int], labels_ns: Sequence[int]) -> list[int | None]:
    """
    Match labels to frames.

    A label belongs to the frame whose stamp is nearest, if they differ by at most half a frame
    period. A frame gets at most one label, the nearest one. The order in which labels and frames
    were recorded does not matter, except where several frames have the same stamp: then a label
    belongs to the first of them without a label that follows the frame of the label before, or
    else to the first without a label.

    :param frames_ns: header stamp of each frame, nanoseconds.
    :param labels_ns: header stamp of each label, nanoseconds.
    :returns: index of a frame for each label; None for a label that belongs to no frame.
    """
    frames_with: dict[int, list[int]] = defaultdict(list)
    for index, stamp in enumerate(frames_ns):
        frames_with[stamp].append(index)
    stamps = sorted(frames_with)
    tolerance = (period_ns(frames_ns) or _ONLY_FRAME_NS) / 2
    found: list[int | None] = [None] * len(labels_ns)
    taken: set[int] = set()
    near = sorted((abs(stamp - label), i, stamp) for i, label in enumerate(labels_ns)
                  for stamp in _neighbours(stamps, label) if abs(stamp - label) <= tolerance)
    previous = -1
    for _, label, stamp in near:
        if found[label] is None:
            free = [i for i in frames_with[stamp] if i not in taken]
            if free:
                previous = next((i for i in free if i > previous), free[0])
                taken.add(previous)
                found[label] = previous
    return found


def _neighbours(stamps: Sequence[int], label: int) -> Sequence[int]:
    """Return the stamps before and after a label, or its own."""
    place = bisect_left(stamps, label)
    return stamps[max(0, place - 1):place + 1]
