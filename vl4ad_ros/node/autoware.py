# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles as detected objects of Autoware. Only this file knows autoware_perception_msgs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from std_msgs.msg import Header

from vl4ad_ros.node.messages import pose_of
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.pipeline import Finding


class DetectedObjectsFormat:
    """
    Writes obstacles as `autoware_perception_msgs/DetectedObjects`.

    Every obstacle is a HAZARD, animals too: the tracker of Autoware takes no ANIMAL whose shape is
    a box, and its planners do not stop for one (autoware_launch 662752e,
    data_association_matrix.param.yaml; autoware_universe pull requests 12910 and 13352).

    :ivar type: of the messages.
    :ivar about: which label the objects have, a sentence for the log.
    """

    def __init__(self, library: Any) -> None:
        """
        Choose the label.

        :param library: the module `autoware_perception_msgs.msg`.
        """
        self._library = library
        self.type: type = library.DetectedObjects
        label = library.ObjectClassification
        if hasattr(label, 'HAZARD'):
            self._label = label.HAZARD
            self.about = 'autoware_perception_msgs is installed: ~/objects are of the class HAZARD'
        else:
            self._label = label.UNKNOWN
            self.about = ('autoware_perception_msgs is installed but too old to have HAZARD: '
                          '~/objects are of the class UNKNOWN')

    def write(self, header: Header, found: Iterable[Finding]) -> Any:
        """
        Return obstacles as a message with one object each.

        The box is that of `messages.obstacles`. Its direction is that in which the camera sees it,
        which says nothing about where the obstacle is heading.

        :param header: with the stamp of the input and the frame of the vehicle.
        :param found: the obstacles; those without a place are left out.
        """
        return self.type(header=header, objects=[
            self._object(one, one.place) for one in found if one.place is not None])

    def _object(self, found: Finding, place: Placement) -> Any:
        library = self._library
        # As Autoware's own detectors have it: the score is the probability that there is
        # something, and 1 is the probability that it is of this class.
        written = library.DetectedObject(
            existence_probability=float(found.region.score),
            classification=[library.ObjectClassification(label=self._label, probability=1.0)],
            kinematics=library.DetectedObjectKinematics(
                pose_with_covariance=pose_of(place), has_position_covariance=True,
                orientation_availability=library.DetectedObjectKinematics.UNAVAILABLE),
            shape=library.Shape(type=library.Shape.BOUNDING_BOX))
        size = written.shape.dimensions
        size.x = size.y = place.width_m
        size.z = place.height_m
        return written


def detected_objects_format() -> DetectedObjectsFormat | None:
    """Return what writes the messages of Autoware; None where they are not installed."""
    try:
        from autoware_perception_msgs import msg
    except ImportError:
        return None
    return DetectedObjectsFormat(msg)
