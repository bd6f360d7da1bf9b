# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the objects of a recording truly are in metres, as it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vl4ad_ros.evaluation.bag_reader import CameraBag, TRUTH_PREFIX
from vl4ad_ros.evaluation.vision_messages import box_of, OBSTACLES
from vl4ad_ros.obstacles.box import Box

TRUE_PLACES_TOPIC = TRUTH_PREFIX + 'obstacles'
Distances = Mapping[int, Mapping[int, float]]
"""Distances in metres, by the number of the object and the index of the frame."""


@dataclass(frozen=True)
class TruePlace:
    """
    An object at one moment.

    :ivar number: its id in the ground truth.
    :ivar kind: what it is.
    :ivar box: where it is, in the frame of the vehicle.
    """

    number: int
    kind: str
    box: Box


def true_distances(bag: CameraBag, frame_id: str) -> Distances:
    """
    Return how far away the objects are in the frames that are read.

    The `vision_msgs/Detection3DArray` on `TRUE_PLACES_TOPIC` say so. Each belongs to the frame
    with the nearest header stamp, as labels do. The id of each object is its number. If the
    positions are in another frame, nothing is known, and a note of the recording says so.

    :param bag: the recording.
    :param frame_id: the frame of the vehicle in which obstacles are published.
    :returns: the distances from its origin (`Box.distance_m`); empty if the recording has none.
    :raises BagError: if the recording is damaged.
    """
    found = [(time_ns, message) for _, time_ns, message
             in bag.messages_of(OBSTACLES, TRUE_PLACES_TOPIC)]
    other = {message.header.frame_id for _, message in found} - {frame_id}
    if other:
        bag.note(f"{TRUE_PLACES_TOPIC} gives positions in '{min(other)}', but ground.frame_id is "
                 f"'{frame_id}'; they are not compared")
        return {}
    stamps = [10**9 * message.header.stamp.sec + message.header.stamp.nanosec
              for _, message in found]
    distances: dict[int, dict[int, float]] = {}
    indices = bag.frames_of(stamps, [time_ns for time_ns, _ in found])
    for index, (_, message) in zip(indices, found):
        for one in message.detections:
            if index is not None and one.id.isdecimal():
                distances.setdefault(int(one.id), {})[index] = box_of(one).distance_m
    return distances
