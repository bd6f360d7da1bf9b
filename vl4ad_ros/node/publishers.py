# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reasons why the images of a topic cannot be received, found from its publishers."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

COMPRESSED = '/compressed'


@dataclass(frozen=True)
class SourceProblem:
    """
    A problem with the publishers of a topic.

    :ivar sentence: what is wrong, and what to set.
    :ivar total: True if no publisher can be received, False if some can.
    """

    sentence: str
    total: bool


def source_problem(node: Node, topic: str, kind: type, profile: QoSProfile,
                   name: str = 'image') -> SourceProblem | None:
    """
    Look for a problem among the publishers that a topic has now.

    :param node: gives access to the ROS graph.
    :param topic: the full name of the subscribed topic.
    :param kind: the message class, `Image` or `CompressedImage`.
    :param profile: the quality of service of the subscription.
    :param name: by which the topic is remapped.
    :returns: the problem, or None if nothing is wrong or the topic has no publisher at all.
    """
    there = node.get_publishers_info_by_topic(topic)
    if not there:
        return _elsewhere(node, topic, kind, name)
    typed = [info for info in there if info.topic_type == _name(kind)]
    if not typed:
        return SourceProblem(_other_type(topic, kind, there[0].topic_type, name), True)
    reasons = [reason for info in typed
               for compatibility, reason in [qos_check_compatible(info.qos_profile, profile)]
               if compatibility == QoSCompatibility.ERROR]
    if not reasons:
        return None
    # Only the reliability can be overridden to something that a publisher does not offer.
    reason = ' '.join(reasons[0].replace('ERROR:', '').replace(';', ' ').split())
    return SourceProblem(
        f'{topic}: a publisher offers another reliability ({reason}); remove or change '
        f'qos_overrides.{topic}.subscription.reliability', len(reasons) == len(typed))


def _name(kind: type) -> str:
    return f'sensor_msgs/msg/{kind.__name__}'


def _elsewhere(node: Node, topic: str, kind: type, name: str) -> SourceProblem | None:
    """Return a hint if a topic without publishers has a raw or compressed sibling with some."""
    if topic.endswith(2 * COMPRESSED):
        given = topic[:-len(COMPRESSED)]
        return SourceProblem(
            f'nothing publishes {topic}: with image_transport: compressed the topic is given '
            f'without {COMPRESSED}, which is added; set {name}:={given[:-len(COMPRESSED)]}', True)
    if kind is CompressedImage:
        other, neighbour, transport = Image, topic[:-len(COMPRESSED)], 'raw'
    else:
        other, neighbour, transport = CompressedImage, topic + COMPRESSED, 'compressed'
    if any(info.topic_type == _name(other)
           for info in node.get_publishers_info_by_topic(neighbour)):
        return SourceProblem(f'nothing publishes {topic}, but {neighbour} is published; set '
                             f'image_transport: {transport}', True)
    return None


def _other_type(topic: str, kind: type, seen: str, name: str) -> str:
    """Return what to set if a topic has another type than the subscription."""
    said = f'{topic} is published as {seen}, not as {_name(kind)}'
    if kind is Image and seen == _name(CompressedImage):
        advice = f'set image_transport: compressed and {name}:={topic.removesuffix(COMPRESSED)}'
        if not topic.endswith(COMPRESSED):
            advice = (f"remap the publisher's topic to {topic}{COMPRESSED} and set "
                      'image_transport: compressed')
        return f'{said}; {advice}'
    if kind is CompressedImage and seen == _name(Image):
        return f'{said}; set image_transport: raw and {name}:={topic}'
    return f'{said}; set {name}:= to the topic of a camera'
