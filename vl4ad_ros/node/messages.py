# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of results to standard messages, which carry the header of the input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
import math
import sys

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Pose, PoseWithCovariance
import numpy as np
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D, Detection2DArray, Detection3D, Detection3DArray, LabelInfo, ObjectHypothesis,
    ObjectHypothesisWithPose, VisionClass)
from visualization_msgs.msg import Marker, MarkerArray

from vl4ad_ros.obstacles.box import Box
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.labels import label_names
from vl4ad_ros.obstacles.merging import CAMERA_CLASS, Obstacle
from vl4ad_ros.obstacles.pipeline import ANOMALY, Finding
from vl4ad_ros.obstacles.severity import COLOURS, Severity, SEVERITY_CLASS
from vl4ad_ros.prompts.vocabulary import Vocabulary

MARKER_S = 1
"""Seconds after which a viewer removes a marker that no newer message renews."""
_TEXT_M = 0.4
"""Height of the text of a marker."""
_EMPTY_HYPOTHESIS = ObjectHypothesisWithPose()
"""Is copied; the copies share its empty pose, which is replaced and never changed."""


def image(header: Header, array: np.ndarray, encoding: str) -> Image:
    """
    Return an array as an image message whose rows are not padded.

    :param header: of the input.
    :param array: (H, W) or (H, W, C), of the type that the encoding demands.
    :param encoding: such as 'mono8', 'rgb8' or '32FC1'.
    :returns: the message; `len(data) == step * height`.
    """
    array = np.ascontiguousarray(array)
    message = Image(header=header, height=array.shape[0], width=array.shape[1],
                    encoding=encoding, step=array.strides[0],
                    is_bigendian=int(sys.byteorder == 'big'))
    # Humble checks the elements of assigned bytes and arrays one by one. Appending to the
    # array.array that the field holds is fast in every distribution.
    message.data.frombytes(array.data.cast('B'))
    return message


def detections(header: Header, found: Iterable[Finding]) -> Detection2DArray:
    """
    Return detections or alerts as a message with one entry each.

    The boxes are in pixels of the input image. The first hypothesis of each entry is 'anomaly'
    with the score of the region. If an anomaly class names the region, the second hypothesis is
    that class, with its mean probability in the region. Both scores are 0 to 1.

    :param header: of the input; the message and all its entries carry it.
    :param found: the detections or alerts; the message is empty if there are none.
    """
    return Detection2DArray(header=header, detections=[_detection(header, one) for one in found])


def in_frame(header: Header, frame_id: str) -> Header:
    """
    Return a header with the stamp of the input and the frame of the vehicle.

    :param header: of the input.
    :param frame_id: of the vehicle.
    """
    return Header(stamp=header.stamp, frame_id=frame_id)


def obstacles(header: Header, found: Iterable[Finding]) -> Detection3DArray:
    """
    Return obstacles with their places as a message with one entry each.

    A box stands on the ground and is turned so that its x axis points away from the camera. The
    camera does not see how deep an obstacle is, so the box is as deep as it is wide. The
    hypotheses are those of `detections` and one more, whose class is such as ``severity:warning``
    and whose score is that of the first. Each has the pose of the box, with the covariance of the
    foot.

    :param header: with the stamp of the input and the frame of the vehicle.
    :param found: the obstacles; those without a place are left out.
    """
    return Detection3DArray(header=header, detections=[
        _obstacle(header, one, one.place) for one in found if one.place is not None])


def merged_obstacles(header: Header, merged: Iterable[Obstacle]) -> Detection3DArray:
    """
    Return the obstacles that several cameras see, as `obstacles` does.

    Behind the hypotheses of each obstacle there is one more for each camera that sees it. Its
    class is such as ``'camera:front/3'``, where 3 is the id of the alert of the camera `front`; it
    has the score and the pose that this camera gives. None of these scores exceeds that of the
    first hypothesis.

    :param header: with the stamp of the input and the frame of the vehicle.
    :param merged: the obstacles.
    """
    message = Detection3DArray(header=header)
    for obstacle in merged:
        finding = obstacle.finding
        if finding.place is None:
            continue
        entry = _obstacle(header, finding, finding.place)
        for sighting in obstacle.sightings:
            seen = _hypothesis(f'{CAMERA_CLASS}{sighting.camera}/{sighting.finding.id}',
                               min(sighting.finding.region.score, finding.region.score))
            seen.pose = pose_of(sighting.place)
            entry.results.append(seen)
        message.detections.append(entry)
    return message


def pose_of(place: Placement) -> PoseWithCovariance:
    """
    Return the pose of the box of an obstacle.

    :param place: of the obstacle.
    :returns: the middle of the box, and the covariance of x, y, z and the angles; see `Box.of`.
    """
    box, pose = Box.of(place), Pose()
    pose.position.x, pose.position.y, pose.position.z = box.middle
    pose.orientation.z, pose.orientation.w = box.turn
    return PoseWithCovariance(pose=pose, covariance=box.covariance)


def label_info(header: Header, vocabulary: Vocabulary, threshold: float) -> LabelInfo:
    """
    Return the names of the labels, at most 254: consumers keep a label in one byte.

    :param header: with the time from which the classes are active.
    :param vocabulary: the active classes; see `vl4ad_ros.obstacles.labels.label_names`.
    :param threshold: score above which a pixel is anomalous, 0 to 1.
    :raises VocabularyError: if there are too many classes.
    """
    return LabelInfo(header=header, threshold=threshold, class_map=[
        VisionClass(class_id=number, class_name=name)
        for number, name in enumerate(label_names(vocabulary))])


def points(header: Header, array: np.ndarray) -> PointCloud2:
    """
    Return points as a cloud of the same rows and columns.

    :param header: with the stamp of the input and the frame of the vehicle.
    :param array: float32 (H, W, 3), x, y and z of each point in metres; NaN for none. It must not
        be empty.
    """
    rows, columns, _ = array.shape
    message = PointCloud2(
        header=header, height=rows, width=columns, point_step=12, row_step=12 * columns,
        is_bigendian=sys.byteorder == 'big', is_dense=False, fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate('xyz')])
    message.data.frombytes(np.ascontiguousarray(array).data.cast('B'))  # see `image`
    return message


def markers(header: Header, found: Iterable[Finding]) -> MarkerArray:
    """
    Return obstacles as boxes with captions for RViz and Foxglove.

    The first marker removes all earlier ones. The namespace of the others is the severity of the
    obstacle, which also gives their colour.

    :param header: with the stamp of the input and the frame of the vehicle.
    :param found: the obstacles; those without a place are left out.
    """
    shown = [Marker(header=header, action=Marker.DELETEALL)]
    for number, one in enumerate(found):
        if one.place is not None and one.severity is not None:
            shown += _markers_of(header, number, one, one.place, one.severity)
    return MarkerArray(markers=shown)


def status(name: str, level: bytes, message: str, hardware: str,
           values: Mapping[str, str]) -> DiagnosticStatus:
    """
    Return one status of `/diagnostics` (REP-107).

    :param name: of the status, '<node>: <part>'.
    :param level: one of the constants of `DiagnosticStatus`.
    :param message: a sentence.
    :param hardware: constant id of what the status is about.
    :param values: further values, by name.
    """
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id=hardware,
                            values=[KeyValue(key=k, value=v) for k, v in values.items()])


def _detection(header: Header, found: Finding) -> Detection2D:
    x, y, width, height = map(float, found.region.box)
    detection = Detection2D(header=header, id=found.id, results=_hypotheses(found))
    detection.bbox.center.position.x = x + width / 2
    detection.bbox.center.position.y = y + height / 2
    detection.bbox.size_x = width
    detection.bbox.size_y = height
    return detection


def _markers_of(header: Header, number: int, found: Finding, place: Placement,
                severity: Severity) -> list[Marker]:
    red, green, blue = (value / 255 for value in COLOURS[severity.level])
    box, text = (Marker(header=header, ns=severity.level, id=2 * number + i, action=Marker.ADD)
                 for i in range(2))
    for marker, kind, alpha in ((box, Marker.CUBE, 0.5), (text, Marker.TEXT_VIEW_FACING, 1.0)):
        marker.type = kind
        marker.pose = pose_of(place).pose
        marker.color.r, marker.color.g, marker.color.b, marker.color.a = red, green, blue, alpha
        marker.lifetime.sec = MARKER_S
    box.scale.x = box.scale.y = max(place.width_m, 0.01)  # RViz shows nothing of the size 0
    box.scale.z = max(place.height_m, 0.01)
    text.scale.z = _TEXT_M
    text.pose.position.z = place.height_m + _TEXT_M
    time_left = severity.collision_s
    text.text = f'#{found.id} {found.caption}' + (
        f' in {time_left:.1f} s' if time_left is not None and math.isfinite(time_left) else '')
    return [box, text]


def _obstacle(header: Header, found: Finding, place: Placement) -> Detection3D:
    pose = pose_of(place)
    results = _hypotheses(found)
    if found.severity is not None:
        results.append(_hypothesis(SEVERITY_CLASS + found.severity.level, found.region.score))
    for result in results:
        result.pose = pose
    obstacle = Detection3D(header=header, id=found.id, results=results)
    obstacle.bbox.center = pose.pose
    obstacle.bbox.size.x = obstacle.bbox.size.y = place.width_m
    obstacle.bbox.size.z = place.height_m
    return obstacle


def _hypotheses(found: Finding) -> list[ObjectHypothesisWithPose]:
    results = [_hypothesis(ANOMALY, found.region.score)]
    if found.name:
        results.append(_hypothesis(found.name, found.mass))
    return results


def _hypothesis(name: str, score: float) -> ObjectHypothesisWithPose:
    # A new one would make an empty pose with 36 numbers, and all messages in it, each time.
    hypothesis = copy(_EMPTY_HYPOTHESIS)
    hypothesis.hypothesis = ObjectHypothesis(class_id=name, score=float(score))
    return hypothesis
