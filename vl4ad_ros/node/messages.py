# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as standard messages; the header is the input's and always an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import sys

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D, Detection2DArray, LabelInfo, ObjectHypothesisWithPose, VisionClass)

from vl4ad_ros.obstacles.pipeline import ANOMALY, Finding
from vl4ad_ros.prompts.vocabulary import Vocabulary

NORMAL, ANOMALOUS = 0, 255
"""Values of the mask."""
_FIRST_CLASS = 256
"""Classes are numbered from here in `label_info`: no value of a mono8 mask can be meant."""


def image(header: Header, array: np.ndarray, encoding: str) -> Image:
    """
    Return `array`, (H, W) or (H, W, C), as an Image with the given header and encoding.

    Rows are not padded: `len(data) == step * height`.
    """
    array = np.ascontiguousarray(array)
    message = Image(header=header, height=array.shape[0], width=array.shape[1],
                    encoding=encoding, step=array.strides[0],
                    is_bigendian=int(sys.byteorder == 'big'))
    # Appending to the field's own array.array is the one fast way that Humble has too:
    # assigning bytes or an ndarray is checked element by element there.
    message.data.frombytes(array.data.cast('B'))
    return message


def detections(header: Header, found: Iterable[Finding]) -> Detection2DArray:
    """
    Return detections or alerts as an array, empty if there are none.

    Boxes are in pixels of the input image. Each result has the score of what it names: the first
    is 'anomaly' with the region's score, the second, where a class names the region, that class
    with its mean mass; all 0 to 1.
    """
    return Detection2DArray(header=header, detections=[_detection(header, one) for one in found])


def label_info(header: Header, vocabulary: Vocabulary, threshold: float) -> LabelInfo:
    """
    Return what the mask's values mean, then the active prompts as entries from 256 on.

    Known classes come first, anomaly classes after them, in the order of the parameters.
    """
    names = {NORMAL: 'normal', ANOMALOUS: 'anomaly',
             **{_FIRST_CLASS + i: str(c) for i, c in enumerate(vocabulary.classes)}}
    return LabelInfo(header=header, threshold=threshold, class_map=[
        VisionClass(class_id=number, class_name=name) for number, name in names.items()])


def status(name: str, level: bytes, message: str, hardware: str,
           values: Mapping[str, str]) -> DiagnosticStatus:
    """Return one line of `/diagnostics` (REP-107)."""
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id=hardware,
                            values=[KeyValue(key=k, value=v) for k, v in values.items()])


def _detection(header: Header, found: Finding) -> Detection2D:
    x, y, width, height = map(float, found.region.box)
    results = [_hypothesis(ANOMALY, found.region.score)]
    if found.name:
        results.append(_hypothesis(found.name, found.mass))
    detection = Detection2D(header=header, id=found.id, results=results)
    detection.bbox.center.position.x = x + width / 2
    detection.bbox.center.position.y = y + height / 2
    detection.bbox.size_x = width
    detection.bbox.size_y = height
    return detection


def _hypothesis(name: str, score: float) -> ObjectHypothesisWithPose:
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = name
    hypothesis.hypothesis.score = float(score)
    return hypothesis
