# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What Nav2 does with the node's messages and config/, over DDS (`nav2.py` stands for Nav2)."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
import time

from harness import GREY, scene, TYPES
from nav2 import CollisionMonitor, LATCHED, SemanticLayer, SENSOR_DATA, stamp_ns
from on_ground import ground_bench, info, last, POSE, stamped_as, tell
import pytest
from vision_msgs.msg import LabelInfo
from vl4ad_ros.node import obstacle_outputs
import yaml

CONFIG = Path(__file__).resolve().parents[2] / 'config'
LAYER = ('labels', 'confidence', 'points')
NEAR = {'at': (60, 80), 'side': 40}


@pytest.fixture(scope='module')
def bench(ros, mock_bundle):
    """Yield an active node, subscribed to as Nav2 subscribes."""
    with ground_bench(ros, mock_bundle, **POSE, **{'ground.frame_id': 'base_link'}) as bench:
        tell(bench, info())
        yield bench


@pytest.fixture
def monitor() -> CollisionMonitor:
    """Return the collision monitor as config/ has it."""
    return CollisionMonitor(yaml.safe_load(
        (CONFIG / 'nav2_collision_monitor.yaml').read_text())['collision_monitor'][
            'ros__parameters'])


def watch(bench, *names: str) -> None:
    """Subscribe to outputs, if that has not been done, and wait until the node has seen it."""
    for name in names:
        topic = f'/vl4ad_detector/{name}'
        if not bench.node.count_subscribers(topic):
            bench.node.create_subscription(
                TYPES[name], topic, bench.received[name].append, SENSOR_DATA)
        bench.until(lambda: bench.detector_node.count_subscribers(topic), name)  # noqa: B023


def seen(bench, picture, name: str):
    """Show a picture until it is an alert; return the last output about it."""
    bench.ask(scene(30, 30, GREY))  # another size: tracking begins anew
    last(bench, picture)
    header = bench.send(picture)
    return bench.until(lambda: stamped_as(header, bench.received[name]), name)[0]


def test_points_of_obstacles_are_not_computed_while_nobody_listens(bench, monkeypatch):
    computed: list = []
    monkeypatch.setattr(obstacle_outputs, 'contact_points', lambda *each: computed.append(each))
    assert last(bench)[1].detections
    last(bench, count=1)  # the frame before is finished
    assert not computed


@pytest.mark.parametrize('picture, zones', [
    (scene(thing=GREY), []), (scene(), ['slow_zone']),
    (scene(**NEAR), ['stop_zone', 'slow_zone'])],
    ids=['nothing', 'ahead', 'cut off by the lower border'])
def test_the_collision_monitor_reacts_to_obstacles_and_not_to_the_road(
        bench, monitor, picture, zones):
    watch(bench, 'obstacle_points')
    cloud = seen(bench, picture, 'obstacle_points')
    points = monitor.points(cloud, time.time_ns())
    assert points is not None and bool(len(points)) == bool(zones)
    assert monitor.zones(points) == zones


def test_silence_stops_the_robot_after_the_timeout(bench, monitor):
    watch(bench, 'obstacle_points')
    count = len(bench.received['obstacle_points'])
    bench.ask(scene(30, 30, GREY), 'detections')  # after a reset, nothing is known
    bench.spin_for(0.3)
    assert len(bench.received['obstacle_points']) == count
    cloud = seen(bench, scene(thing=GREY), 'obstacle_points')
    assert monitor.points(None, 0) is None
    assert monitor.points(cloud, stamp_ns(cloud) + 990_000_000) is not None
    assert monitor.points(cloud, stamp_ns(cloud) + 1_010_000_000) is None


def test_the_points_for_the_layer_are_not_for_the_monitor(bench, monitor):
    """They lie on the ground, where no height tells the road from an obstacle."""
    watch(bench, 'points')
    obstacle, road = (seen(bench, picture, 'points') for picture in (scene(), scene(thing=GREY)))
    assert not len(monitor.points(obstacle, stamp_ns(obstacle)))
    lower = CollisionMonitor(deepcopy(monitor.parameters))
    lower.source['min_height'] = -0.1
    assert lower.zones(lower.points(road, stamp_ns(road)))


def test_the_layer_marks_where_the_obstacle_stands_and_frees_the_road(bench):
    """Sizes, stamps, bytes and ids fit, and the labels are known before the first mask."""
    source = yaml.safe_load((CONFIG / 'nav2_semantic_layer.yaml').read_text())[
        'local_costmap']['local_costmap']['ros__parameters']['semantic_layer']['camera']
    source['free']['classes'] = ['road']  # what the prompts of the mock bundle call it
    layer = SemanticLayer(source)
    watch(bench, *LAYER)
    infos: list = []
    bench.node.create_subscription(LabelInfo, '/vl4ad_detector/label_info', infos.append, LATCHED)
    layer.take_label_info(bench.until(lambda: infos, 'label info for who comes late')[0])
    assert max(c.class_id for c in infos[0].class_map) <= 254
    header = bench.send(scene())
    labels, confidence, points = (
        bench.until(lambda: stamped_as(header, bench.received[name]), name)[0]  # noqa: B023
        for name in LAYER)
    assert {labels.encoding, confidence.encoding} == {'mono8'}
    tiles = layer.tiles(labels, confidence, points)
    place = last(bench)[1].detections[0].bbox.center.position
    marked = [tile for tile, (cost, sure) in tiles.items()
              if cost == 254 and sure > source['danger']['mark_confidence']]
    assert marked and all(abs(0.1 * x - place.x) < 1 and abs(0.1 * y - place.y) < 1
                          for x, y in marked)
    free = [tile for tile, (cost, _) in tiles.items() if cost == 0]
    assert len(free) > 10 * len(marked)
