# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far the vehicle drove in a recording, and how far away the objects were in each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.true_places import Distances, true_distances

ODOMETRY = 'nav_msgs/msg/Odometry'
_GAP_NS = 10**9  # that odometry may begin after the first image, or end before the last
NO_WAY = 'the recording has no nav_msgs/msg/Odometry that covers its images'
NO_DISTANCES = 'the recording does not say how far away its objects are'


@dataclass(frozen=True)
class DrivenWay:
    """
    Ways and distances in a recording, where they are known.

    :ivar length_m: length of the way from the first frame to the last, in metres; None if it is
        not known.
    :ivar distances: true distance of the objects from the vehicle; empty if it is not known.
    """

    length_m: float | None = None
    distances: Distances = field(default_factory=dict)


def driven_way(bag: CameraBag, frame_id: str, read_frames: int | None = None) -> DrivenWay:
    """
    Return the way and the distances of a recording.

    The way is the sum of the distances between the successive positions of the first topic with
    odometry; noise makes it longer.

    :param bag: the recording.
    :param frame_id: the frame of the vehicle in which obstacles are published.
    :param read_frames: number of frames up to which it was evaluated; None for all.
    :raises BagError: if the recording is damaged.
    """
    return DrivenWay(_odometry_m(bag, bag.times_ns[:read_frames]), true_distances(bag, frame_id))


def _odometry_m(bag: CameraBag, times_ns: Sequence[int]) -> float | None:
    """Return the way between the first and the last of these times."""
    first, found = '', []
    for topic, time_ns, message in bag.messages_of(ODOMETRY):
        first = first or topic
        if topic != first:
            break
        place = message.pose.pose.position
        found.append((time_ns, place.x, place.y, place.z))
    if len(found) < 2:
        return None
    start_ns, end_ns = times_ns[0], times_ns[-1]
    found.sort()
    if found[0][0] > start_ns + _GAP_NS or found[-1][0] < end_ns - _GAP_NS:
        return None
    inside = np.array([place for time_ns, *place in found if start_ns <= time_ns <= end_ns])
    if len(inside) < 2:
        return None
    return float(np.linalg.norm(np.diff(inside, axis=0), axis=1).sum())
