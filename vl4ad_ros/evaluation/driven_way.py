# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far the vehicle drove in a recording, and how far away the objects were in each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import json

import numpy as np

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.storage.recording import WAY_KEY

ODOMETRY = 'nav_msgs/msg/Odometry'
_GAP_NS = 10**9  # that odometry may begin after the first image, or end before the last
NO_WAY = ('the recording has no nav_msgs/msg/Odometry that covers its images, and its metadata '
          'say nothing of the way')
NO_DISTANCES = 'the recording does not say how far away its objects are'


@dataclass(frozen=True)
class DrivenWay:
    """
    Ways and distances in a recording, where they are known.

    :ivar length_m: length of the way from the first frame to the last, in metres; None if it is
        not known.
    :ivar distances: distance ahead of the camera in metres, by the id of the object and the index
        of the frame; empty if it is not known.
    """

    length_m: float | None = None
    distances: Mapping[int, Mapping[int, float]] = field(default_factory=dict)


def driven_way(bag: CameraBag) -> DrivenWay:
    """
    Return the way and the distances of a recording.

    They are in the metadata of a composed recording. Otherwise the way is the sum of the distances
    between the successive positions of the first topic with odometry; noise makes it longer.

    :param bag: the recording.
    :raises BagError: if the recording is damaged.
    """
    text = bag.metadata(WAY_KEY)
    return DrivenWay(_odometry_m(bag)) if text is None else _composed(bag, text)


def _composed(bag: CameraBag, text: str) -> DrivenWay:
    """Return what the metadata of a composed recording say about the frames that are read."""
    try:
        stored = json.loads(text)
        metres = [float(stored['metres'][place]) for place in bag.places]
        distances = {int(number): {int(frame): float(ahead) for frame, ahead in frames.items()}
                     for number, frames in stored['ahead'].items()}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return DrivenWay()
    return DrivenWay(metres[-1] - metres[0], {
        number: {index: frames[place] for index, place in enumerate(bag.places)
                 if place in frames} for number, frames in distances.items()})


def _odometry_m(bag: CameraBag) -> float | None:
    first, found = '', []
    for topic, time_ns, message in bag.messages_of(ODOMETRY):
        first = first or topic
        if topic != first:
            break
        place = message.pose.pose.position
        found.append((time_ns, place.x, place.y, place.z))
    if len(found) < 2:
        return None
    start_ns, end_ns = bag.times_ns[0], bag.times_ns[-1]
    found.sort()
    if found[0][0] > start_ns + _GAP_NS or found[-1][0] < end_ns - _GAP_NS:
        return None
    inside = np.array([place for time_ns, *place in found if start_ns <= time_ns <= end_ns])
    if len(inside) < 2:
        return None
    return float(np.linalg.norm(np.diff(inside, axis=0), axis=1).sum())
