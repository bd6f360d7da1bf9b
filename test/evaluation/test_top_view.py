# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts with places: from messages and back, seen from above, and in words."""

from dataclasses import replace
from types import SimpleNamespace

from bags import make_header, START_NS, write_bag
import numpy as np
import pytest

from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.alert_messages import alerts_of
from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.evaluation.approach import Approach
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.evaluation.top_view import top_view
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.pipeline import Finding
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.obstacles.severity import COLOURS, Severity
from vl4ad_ros.settings import Settings

SIZE = 360, 640
NO_PATH = np.zeros((0, 2))


def alert(x_m, y_m, level='warning'):
    """Return an alert that is 1 m wide and 2 m high."""
    place = Placement(x_m, y_m, (1.0, 0.2, 0.5), float(np.arctan2(y_m, x_m)), 1.0, 2.0)
    return Alert('3', 0.9, (10.0, 20.0, 30.0, 40.0), 'cow', 0.81, place, Severity(level))


def middle(picture, colour):
    """Return the mean column and row of the pixels of a colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    assert rows.size
    return columns.mean(), rows.mean()


def test_ahead_is_up_and_left_is_left():
    far = top_view([alert(30, 0)], lambda reach: NO_PATH, SIZE)
    near = top_view([alert(12, 0), alert(30, 0, 'info')], lambda reach: NO_PATH, SIZE)
    left = top_view([alert(30, 15)], lambda reach: NO_PATH, SIZE)
    assert far.shape == (*SIZE, 3)
    colour = COLOURS['warning']
    assert middle(near, colour)[1] > middle(far, colour)[1] + 100
    assert middle(left, colour)[0] < middle(far, colour)[0] - 80
    assert middle(near, COLOURS['info'])[1] < 150


def test_the_path_reaches_as_far_as_the_rings_and_without_places_there_is_no_picture():
    asked = []

    def path(reach_m):
        asked.append(reach_m)
        return np.column_stack([np.linspace(0, reach_m, 9), np.zeros(9)])
    with_path = top_view([alert(30, 8)], path, SIZE)
    without = top_view([alert(30, 8)], lambda reach: NO_PATH, SIZE)
    assert asked == [40.0]
    changed = np.flatnonzero((with_path != without).any(axis=(1, 2)))
    assert changed.min() < 30 and changed.max() > 330
    assert top_view([Alert('1', 0.9, (0.0, 0.0, 5.0, 5.0))], path, SIZE) is None
    assert top_view([alert(1e10, 0)], path, SIZE) is None


def test_captions_and_colours_follow_severity_and_place():
    image = np.full((90, 160, 3), 128, np.uint8)
    assert alert(23.2, 0).caption == 'cow 0.81, 23 m, warning'
    assert alert(4.26, 0, 'critical').caption == 'cow 0.81, 4.3 m, critical'
    for level, colour in COLOURS.items():
        drawn = drawing.draw_alerts(image, None, [alert(20, 0, level)], None, 640)
        assert (drawn == colour).all(axis=2).sum() > 200, level
    without = Alert('1', 0.9, (10.0, 20.0, 30.0, 40.0))
    drawn = drawing.draw_alerts(image, None, [without], None, 640)
    assert (drawn == drawing.ALERT).all(axis=2).any()
    # What is most severe lies on top.
    drawn = drawing.draw_alerts(image, None, [alert(9, 0, 'critical'), without], None, 640)
    assert not (drawn == drawing.ALERT).all(axis=2).any()


def test_an_approach_is_the_first_and_the_nearest_place_and_the_highest_level():
    without = Alert('3', 0.9, (10.0, 20.0, 30.0, 40.0))
    reports = [without, alert(20, 0, 'info'), alert(8, 0, 'critical'), alert(9, 0, 'warning')]
    assert Approach.of(reports) == Approach(20.0, 8.0, 'critical')
    assert Approach.of([without]) == Approach(None, None, '')


def test_alerts_are_read_as_the_node_publishes_them():
    pytest.importorskip('rclpy', reason='needs ROS 2')
    from std_msgs.msg import Header
    from vl4ad_ros.node import messages
    sent = [alert(20, 3, 'info'), Alert('4', 0.7, (1.0, 2.0, 3.0, 4.0)),
            replace(alert(7, -2, 'critical'), id='5', name='', mass=0.0)]
    found = [Finding(Region(one.box, 9, one.score, (0.0, 0.0)), one.name, one.mass, one.id,
                     one.place, one.severity) for one in sent]
    header = Header(frame_id='base_link')
    read = alerts_of(messages.detections(header, found), messages.obstacles(header, found))
    for one, other in zip(sent, read, strict=True):
        assert (one.id, one.caption, one.box) == (other.id, other.caption, other.box)
        if one.place:
            assert vars(other.place) == pytest.approx(
                {**vars(one.place), 'covariance': pytest.approx(one.place.covariance)})
    assert [one.place for one in alerts_of(messages.detections(header, found))] == [None] * 3


def test_the_path_is_that_of_odometry_after_the_frame(tmp_path):
    bag = CameraBag(write_bag(tmp_path / 'bag', 5))
    frame = bag.frame(2)
    assert not len(RecordedGround(bag, Settings()).path_ahead(frame, 40))
    ground = RecordedGround(bag, Settings())
    # It looks along y of the fixed frame and drives 1 m in each 0.1 s, then to its left.
    corner = [(5.0, 5.0 + i) for i in range(6)] + [(5.0 - i, 10.0) for i in range(1, 30)]
    ground._motions = [(0, odometry(START_NS + i * 10**8, x, y)) for i, (x, y) in
                       enumerate(corner)]
    path = ground.path_ahead(frame, 10)
    assert path[:4] == pytest.approx(np.array([[0, 0], [1, 0], [2, 0], [3, 0]]), abs=1e-4)
    assert path[-1] == pytest.approx([3, 9], abs=1e-4) and len(path) == 13


def odometry(stamp_ns, x, y):
    """Return what is read of an Odometry of a vehicle that looks along y."""
    spin = SimpleNamespace(x=0.0, y=0.0, z=0.0)
    return SimpleNamespace(
        header=make_header(stamp_ns), twist=SimpleNamespace(twist=SimpleNamespace(
            linear=spin, angular=spin)),
        pose=SimpleNamespace(pose=SimpleNamespace(
            position=SimpleNamespace(x=x, y=y, z=0.0),
            orientation=SimpleNamespace(x=0.0, y=0.0, z=np.sqrt(0.5), w=np.sqrt(0.5)))))
