# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What Nav2 makes of the messages of the node, written anew from what its sources do.

navigation2 is read at a3a9704, semantic_segmentation_layer at b269885. Frames are taken to agree.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
import yaml

FLOAT32 = 7
SENSOR_DATA = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
"""nav2_ros_common/qos_profiles.hpp, `SensorDataQoS`."""
LATCHED = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE,
                     durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""The same file, `LatchedSubscriptionQoS`."""


def xyz(cloud: Any) -> np.ndarray:
    """
    Return the points as `sensor_msgs::PointCloud2ConstIterator<float>` reads them, (N, 3).

    It finds a field by its name, takes 4 bytes at its offset, and must not be used without data.
    """
    assert len(cloud.data) > 0 and not cloud.is_bigendian
    offsets = {field.name: field.offset for field in cloud.fields if field.datatype == FLOAT32}
    rows = np.frombuffer(cloud.data, np.uint8).reshape(-1, cloud.point_step)
    assert len(rows) == cloud.width * cloud.height
    return np.column_stack([
        rows[:, offsets[name]:offsets[name] + 4].copy().view(np.float32) for name in 'xyz'])


def stamp_ns(message: Any) -> int:
    """Return the stamp of a header."""
    return 10 ** 9 * message.header.stamp.sec + message.header.stamp.nanosec


class CollisionMonitor:
    """`nav2_collision_monitor` with one source."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Take the parameters of the node."""
        self.parameters = parameters
        self.source = parameters[parameters['observation_sources'][0]]

    def points(self, cloud: Any, now_ns: int) -> np.ndarray | None:
        """
        Return the points that count; None if the robot stops because the source is invalid.

        src/pointcloud.cpp, `getSourceData`, src/source.cpp, `sourceValid`, and
        src/collision_monitor_node.cpp, `process`.
        """
        timeout_s = self.source.get('source_timeout', self.parameters['source_timeout'])
        if cloud is None or (timeout_s and now_ns - stamp_ns(cloud) > 1e9 * timeout_s):
            return None
        assert cloud.header.frame_id == self.parameters['base_frame_id']
        points = xyz(cloud)
        with np.errstate(invalid='ignore'):
            counts = ((points[:, 2] >= self.source['min_height'])
                      & (points[:, 2] <= self.source['max_height']))
        return points[counts]

    def zones(self, points: np.ndarray) -> list[str]:
        """Return the zones that are triggered: src/polygon.cpp, `isTriggeredInternal`."""
        return [name for name in self.parameters['polygons']
                if self._inside(name, points) >= self.parameters[name].get('min_points', 4)]

    def _inside(self, name: str, points: np.ndarray) -> int:
        polygon = np.array(yaml.safe_load(self.parameters[name]['points']), np.float32)
        return sum(cv2.pointPolygonTest(polygon, point, False) >= 0
                   for point in points[:, :2].tolist())


class SemanticLayer:
    """`semantic_segmentation_layer` with one source, whose classes have costs by name."""

    def __init__(self, source: dict[str, Any], resolution_m: float = 0.1) -> None:
        """Take the parameters of the source."""
        self.source = source
        self.resolution_m = resolution_m
        self._costs: dict[str, dict[str, Any]] = {}
        for kind in source['class_types']:
            for name in source[kind]['classes']:
                self._costs.setdefault(name, source[kind])
        self._by_id: dict[int, dict[str, Any]] = {}

    def take_label_info(self, message: Any) -> None:
        """src/segmentation_buffer.cpp, `createSegmentationCostMultimap`: an id is one byte."""
        self._by_id = {c.class_id % 256: self._costs[c.class_name] for c in message.class_map
                       if c.class_name in self._costs}

    def tiles(self, labels: Any, confidence: Any, cloud: Any) -> dict[tuple[int, int], tuple]:
        """
        Return, for each tile, the largest cost that a pixel in it has, and its confidence.

        src/semantic_segmentation_layer.cpp, `syncSegmConfPointcloudCb`, and
        src/segmentation_buffer.cpp, `bufferSegmentation`.
        """
        stamps = [stamp_ns(message) for message in (labels, confidence, cloud)]
        assert max(stamps) - min(stamps) <= 1e8
        assert labels.width * labels.height == cloud.width * cloud.height
        assert len(labels.data) >= labels.width * labels.height and len(confidence.data) == len(
            labels.data)
        assert self._by_id, 'no label info has come before the first mask'
        assert self.source['use_cost_selection']
        nearest, farthest = (self.source[f'{end}_obstacle_distance'] for end in ('min', 'max'))
        best: dict[tuple[int, int], int] = {}
        nothing = {'max_cost': 0}
        for pixel, (x, y, z) in enumerate(xyz(cloud).tolist()):
            if not (math.isfinite(z) and nearest < math.hypot(x, y, z) < farthest):
                continue
            tile = (math.floor(x / self.resolution_m), math.floor(y / self.resolution_m))
            cost = self._by_id.get(labels.data[pixel], nothing)['max_cost']
            if tile not in best or cost > self._by_id.get(
                    labels.data[best[tile]], nothing)['max_cost']:
                best[tile] = pixel
        return {tile: (self._by_id[labels.data[pixel]]['max_cost'], confidence.data[pixel])
                for tile, pixel in best.items() if labels.data[pixel] in self._by_id}
