# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Obstacles as Autoware takes them, over DDS.

Read for this: autoware_msgs 7025d8f (autoware_perception_msgs/msg), autoware_launch 662752e
(data_association_matrix.param.yaml of the tracker), and from autoware_universe
autoware_multi_object_tracker, lib/uncertainty/uncertainty_processor.cpp at 45d8f35 and
src/processor/input_manager.cpp at 5b0eb49.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

from harness import Bench, GREY, scene
import numpy as np
from on_ground import ground_bench, info, last, POSE, stamped_as, tell
import pytest
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from vl4ad_ros.node.autoware import detected_objects_format, DetectedObjectsFormat

msg = pytest.importorskip(
    'autoware_perception_msgs.msg', reason='autoware_perception_msgs is not installed; ./run test')


@pytest.fixture(scope='module')
def bench(ros, mock_bundle):
    """Yield an active node, to whose objects nobody listens."""
    with ground_bench(ros, mock_bundle, **POSE, **{'ground.frame_id': 'base_link'}) as bench:
        tell(bench, info())
        yield bench


def listen(bench) -> None:
    """Subscribe as the tracker does: rclcpp::QoS{1}."""
    bench.node.create_subscription(
        msg.DetectedObjects, '/vl4ad_detector/objects', bench.received['objects'].append,
        QoSProfile(depth=1))
    bench.until(lambda: bench.detector_node.count_subscribers('/vl4ad_detector/objects'),
                'the node to see its subscriber')


def test_objects_are_not_written_while_nobody_listens(bench, monkeypatch):
    written: list = []
    monkeypatch.setattr(DetectedObjectsFormat, 'write', lambda *found: written.append(found))
    assert last(bench)[1].detections
    last(bench, count=1)  # the frame before is finished
    assert not written


def test_every_field_says_what_autoware_expects(bench):
    listen(bench)
    alerts, obstacles = last(bench)
    header = obstacles.header
    message = bench.until(lambda: stamped_as(header, bench.received['objects']), 'objects')[0]
    assert message.header == header and header.frame_id == 'base_link'
    assert len(message.objects) == len(obstacles.detections) == 1
    found, expected = message.objects[0], obstacles.detections[0]
    score = alerts.detections[0].results[0].hypothesis.score
    assert found.existence_probability == pytest.approx(score, abs=1e-6) and 0.5 < score <= 1
    # It is a cow, but the tracker takes no ANIMAL whose shape is a box.
    assert expected.results[1].hypothesis.class_id == 'cow'
    assert [(c.label, c.probability) for c in found.classification] == [(9, 1.0)]
    assert msg.ObjectClassification.HAZARD == 9
    kinematics, shape = found.kinematics, found.shape
    assert kinematics.pose_with_covariance == expected.results[0].pose
    assert kinematics.pose_with_covariance.pose == expected.bbox.center
    # The tracker keeps a covariance that is there, and needs one that can be inverted.
    assert kinematics.has_position_covariance
    covariance = np.reshape(kinematics.pose_with_covariance.covariance, (6, 6))[:2, :2]
    assert np.linalg.eigvalsh(covariance).min() > 1e-4
    assert kinematics.orientation_availability == kinematics.UNAVAILABLE == 0
    assert not kinematics.has_twist and not kinematics.has_twist_covariance
    assert shape.type == shape.BOUNDING_BOX == 0 and not shape.footprint.points
    assert shape.dimensions == expected.bbox.size
    assert min(shape.dimensions.x, shape.dimensions.y, shape.dimensions.z) > 0.1


def test_no_obstacle_is_an_empty_message(bench):
    listen(bench)
    header = last(bench, scene(thing=GREY), 9)[1].header
    message = bench.until(lambda: stamped_as(header, bench.received['objects']), 'objects')[0]
    assert not message.objects


def test_old_messages_have_no_hazard_and_that_is_said():
    old = SimpleNamespace(ObjectClassification=SimpleNamespace(UNKNOWN=0),
                          DetectedObjects=msg.DetectedObjects)
    chosen = DetectedObjectsFormat(old)
    assert 'too old to have HAZARD' in chosen.about and 'UNKNOWN' in chosen.about
    assert chosen.write(Header(), ()) == msg.DetectedObjects()
    assert 'HAZARD' in detected_objects_format().about


def test_without_the_messages_nothing_is_said_and_nothing_published(
        ros, mock_bundle, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, 'autoware_perception_msgs', None)
    with Bench(ros, {'model.bundle': str(mock_bundle)}, name='without') as bench:
        assert bench.change('configure')
        names = [name for name, _ in bench.node.get_publisher_names_and_types_by_node(
            'without', '/')]
    assert '/without/obstacles' in names and '/without/objects' not in names
    assert 'autoware' not in capfd.readouterr().err
