# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers of results that exist as long as each other."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile

from vl4ad_ros.node import qos


class PublisherGroup:
    """
    Creates publishers whose topics begin alike, and destroys all of them together.

    :param node: creates the publishers.
    :param prefix: of the topics, such as ``~/``.
    """

    def __init__(self, node: LifecycleNode, prefix: str) -> None:
        """Start without publishers."""
        self._node = node
        self._prefix = prefix
        self._publishers: list[LifecyclePublisher] = []

    def create(self, kind: type, name: str, profile: QoSProfile) -> LifecyclePublisher:
        """
        Create a publisher whose quality of service can be overridden by parameters.

        :param kind: class of the messages.
        :param name: of the topic, without the prefix.
        :param profile: its quality of service.
        :raises Exception: what rclpy raises, such as for an unusable `qos_overrides` parameter; no
            publisher of the group is left behind.
        """
        try:
            publisher = self._node.create_lifecycle_publisher(
                kind, self._prefix + name, profile, qos_overriding_options=qos.overridable())
        except Exception:
            self.close()
            raise
        self._publishers.append(publisher)
        return publisher

    def close(self) -> None:
        """Destroy the publishers; may be called twice."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()
