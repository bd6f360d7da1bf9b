# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles in metres over DDS, and CameraInfo that is missing, late or wrong."""

from __future__ import annotations

import math
import time

from harness import GREY, scene
from nav_msgs.msg import Odometry
import numpy as np
from on_ground import FOCAL, ground_bench, HEIGHT_M, info, last, POSE, tell
import pytest
from sensor_msgs.msg import CameraInfo


@pytest.fixture(scope='module')
def bench(ros, mock_bundle):
    """Yield an active node that knows the pose of its camera, and a publisher of CameraInfo."""
    with ground_bench(ros, mock_bundle, **POSE, **{'ground.frame_id': 'vehicle'}) as bench:
        yield bench


def because(bench, text: str) -> None:
    """Wait until diagnostics give this reason for missing positions."""
    picture = scene()
    picture[0, 0] = 0  # A picture that only repeats would be the problem of a frozen camera.
    bench.ask(picture)
    bench.status('image', lambda s: s.level == b'\x01' and text in s.message and any(
        v.key == 'no positions because' and text in v.value for v in s.values))


def test_without_camera_info_alerts_are_as_ever_and_then_obstacles_begin(bench):
    alerts, obstacles = last(bench)
    assert len(alerts.detections) == 1 and obstacles is None
    bench.ask(scene())
    because(bench, 'no CameraInfo has come on /camera_info; remap camera_info:=')
    tell(bench, info())  # late
    later, obstacles = last(bench, count=1)
    assert [a.id for a in later.detections] == [a.id for a in alerts.detections]
    assert [o.id for o in obstacles.detections] == [a.id for a in alerts.detections]


def test_obstacles_stand_where_the_pinhole_says(bench):
    tell(bench, info())
    alerts, message = last(bench)
    assert message.header.frame_id == 'vehicle'
    obstacle, alert = message.detections[0], alerts.detections[0]
    assert obstacle.header == message.header
    box = alert.bbox
    foot = box.center.position.y + box.size_y / 2 - 0.5
    ahead = HEIGHT_M * FOCAL / (foot - 29.5)
    left = ahead * (99.5 - (box.center.position.x - 0.5)) / FOCAL
    width, height = (side * ahead / FOCAL for side in (box.size_x, box.size_y))
    bearing = math.atan2(left, ahead)
    pose, size = obstacle.bbox.center, obstacle.bbox.size
    assert (size.x, size.y) == pytest.approx((width, width), rel=1e-6)
    assert size.z == pytest.approx(height * math.hypot(ahead, left) / ahead, rel=1e-2)
    assert pose.position.x == pytest.approx(1.5 + ahead + width / 2 * math.cos(bearing))
    assert pose.position.y == pytest.approx(-0.2 + left + width / 2 * math.sin(bearing))
    assert pose.position.z == pytest.approx(size.z / 2)
    assert 2 * math.atan2(pose.orientation.z, pose.orientation.w) == pytest.approx(bearing)
    named = [r.hypothesis.class_id for r in obstacle.results]
    assert named[:-1] == [r.hypothesis.class_id for r in alert.results] and named[0] == 'anomaly'
    assert named[-1] == 'severity:critical' and obstacle.results[-1].hypothesis.score == (
        obstacle.results[0].hypothesis.score)
    covariance = np.reshape(obstacle.results[0].pose.covariance, (6, 6))
    assert np.allclose(covariance, covariance.T) and (np.linalg.eigvalsh(covariance) > -1e-9).all()
    by_pixel = 3.0 * ahead ** 2 / (HEIGHT_M * FOCAL)
    by_pitch = math.radians(0.5) * (ahead ** 2 + HEIGHT_M ** 2) / HEIGHT_M
    assert math.sqrt(covariance[0, 0]) == pytest.approx(math.hypot(by_pixel, by_pitch), rel=0.05)


def test_nothing_there_is_an_empty_message_and_a_thing_in_the_air_is_none(bench):
    tell(bench, info())
    _, nothing = last(bench, scene(thing=GREY), 9)
    assert nothing is not None and not nothing.detections
    bench.ask(scene(30, 30, GREY))
    alerts, obstacles = last(bench, scene(at=(60, 2), side=20))
    assert len(alerts.detections) == 1 and obstacles is None
    bench.ask(scene(30, 30, GREY))


@pytest.mark.parametrize('wrong, reason', [
    (info(k=[0.0] * 9), 'the camera is not calibrated'),
    (CameraInfo(), 'the camera is not calibrated'),
    (info(width=100), 'the images have 200x120 pixels, but CameraInfo describes 100x120')])
def test_wrong_camera_info_takes_only_the_metres_away(bench, wrong, reason):
    tell(bench, info())
    before, obstacles = last(bench)
    assert obstacles is not None
    tell(bench, wrong)
    alerts, obstacles = last(bench, count=1)
    assert [a.id for a in alerts.detections] == [a.id for a in before.detections]
    assert obstacles is None
    because(bench, reason)
    tell(bench, info())
    assert last(bench, count=1)[1] is not None
    bench.status('image', lambda s: s.level == b'\x00')


def test_size_limits_in_metres(bench):
    tell(bench, info())
    size = max(last(bench)[1].detections[0].bbox.size.y, 0.1)
    try:
        assert bench.set(region__min_size_m=2 * size).successful
        assert not bench.ask(scene(), 'detections').detections
        assert bench.set(region__min_size_m=0.5 * size).successful
        assert bench.ask(scene(), 'detections').detections
        assert bench.set(region__max_size_m=0.7 * size).successful
        assert not bench.ask(scene(), 'detections').detections
        refused = bench.set(region__min_size_m=0.9 * size)
        assert 'must not exceed max_size_m' in refused.reason
    finally:
        assert bench.set_together(region__min_size_m=0.0, region__max_size_m=0.0).successful


def test_the_range_limit_ends_positions(bench):
    tell(bench, info())
    assert last(bench)[1] is not None
    assert bench.set(ground__max_range_m=3.0).successful
    assert last(bench, count=1)[1] is None
    assert bench.set(ground__max_range_m=40.0).successful
    assert last(bench, count=1)[1] is not None


def odometry(bench, speed_mps: float, ago_s: float = 0.02) -> None:
    """Publish odometry whose stamp is a little older than that of the next picture."""
    message = Odometry()
    now_ns = time.time_ns() - round(1e9 * ago_s)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10 ** 9)
    message.twist.twist.linear.x = speed_mps
    bench.odometry.publish(message)
    bench.spin_for(0.1)


def test_severity_follows_the_speed_and_else_the_distance(bench):
    def most_severe(text: str) -> None:
        bench.status('image', lambda s: any(
            v.key == 'most severe alert' and v.value.startswith(text) for v in s.values))
    tell(bench, info())
    alerts, _ = last(bench)
    name = f'#{alerts.detections[0].id} '
    most_severe(f'critical: {name}')  # within 10 m, and the speed is not known
    bench.until(bench.odometry.get_subscription_count, 'the node to subscribe to odometry')
    odometry(bench, 0.0)
    bench.ask(scene(), 'alerts')
    most_severe(f'info: {name}')
    time.sleep(0.6)  # odometry stops: after 0.5 s, the distance decides again
    bench.ask(scene(), 'alerts')
    most_severe(f'critical: {name}')
    odometry(bench, 20.0)
    bench.ask(scene(), 'alerts')
    most_severe(f'critical: {name}')
    refused = bench.set(severity__warning_m=1.0)
    assert 'severity.warning_m (1.0) must not be less than critical_m (10.0)' in refused.reason


NAV2 = ('labels', 'confidence', 'points', 'markers')


def test_labels_confidence_points_and_markers_come_only_while_somebody_listens(bench):
    """And then they are what Nav2's semantic_segmentation_layer takes: mono8, of one size."""
    tell(bench, info())
    last(bench)
    assert not any(bench.received[name] for name in NAV2)
    subscriptions = [bench.watch(name) for name in NAV2]
    bench.until(lambda: all(bench.detector_node.count_subscribers(f'/vl4ad_detector/{name}')
                            for name in NAV2), 'the node to see its subscribers')
    header = bench.send(scene())
    labels, confidence = (bench.answer(header, name) for name in NAV2[:2])
    points, markers = (bench.until(lambda: [  # noqa: B023
        m for m in bench.received[name] if getattr(m, 'markers', [m])[0].header.stamp
        == header.stamp], name)[0] for name in NAV2[2:])
    for image in (labels, confidence):
        assert (image.encoding, image.height, image.width) == ('mono8', 120, 200)
        assert len(image.data) == image.step * image.height == 120 * 200
    names = {c.class_id: c.class_name for c in bench.received['label_info'][-1].class_map}
    assert max(names) <= 254 and len(set(names.values())) == len(names)
    seen = np.reshape(labels.data, (120, 200))
    assert [names[seen[y, x]] for x, y in ((10, 100), (80, 60))] == ['road', 'cow']
    assert (points.height, points.width, points.header.frame_id) == (120, 200, 'vehicle')
    assert [(f.name, f.offset, f.datatype) for f in points.fields] == [
        ('x', 0, 7), ('y', 4, 7), ('z', 8, 7)]
    assert (points.point_step, points.row_step, len(points.data)) == (12, 2400, 120 * 2400)
    cloud = np.frombuffer(points.data, np.float32).reshape(120, 200, 3)
    assert np.isnan(cloud[:30]).all() and np.isfinite(cloud[100]).all()
    assert cloud[100, 99, 0] == pytest.approx(1.5 + HEIGHT_M * FOCAL / 70.5, rel=1e-4)
    clear, box, text = markers.markers
    assert clear.action == clear.DELETEALL and box.header.frame_id == 'vehicle'
    assert box.ns == text.ns and box.ns in ('info', 'warning', 'critical')
    assert text.text.startswith('#') and ' m' in text.text
    for subscription in subscriptions:
        bench.node.destroy_subscription(subscription)
