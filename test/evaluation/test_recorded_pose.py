# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground of a recording whose TF says where the camera is."""

import math

from bags import make_header, make_image, scene, START_NS
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.recorded_ground import CAMERA_INFO, RecordedGround
from vl4ad_ros.evaluation.recorded_pose import TF
from vl4ad_ros.settings import Settings

OPTICAL = (-0.5, 0.5, -0.5, 0.5)
SIZE = (90, 160)
FRAMES = 4


def nodding(degrees):
    """Return the quaternion of something that looks down."""
    half = math.radians(degrees) / 2
    return 0.0, math.sin(half), 0.0, math.cos(half)


def transform(parent, frame, rotation, place, stamp_ns):
    """Return a TFMessage."""
    types = typestore().types
    header = make_header(stamp_ns)
    header.frame_id = parent
    return types[TF]([types['geometry_msgs/msg/TransformStamped'](
        header, frame, types['geometry_msgs/msg/Transform'](
            types['geometry_msgs/msg/Vector3'](*place),
            types['geometry_msgs/msg/Quaternion'](*rotation)))])


def record(path, fixed=(), moving=(), info=True):
    """Write frames at 10 Hz of the frame camera_optical, and transforms; return the bag."""
    store, types = typestore(), typestore().types
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        def connect(topic, kind):
            return writer.add_connection(topic, kind, typestore=store), kind
        image = connect('/camera/image', 'sensor_msgs/msg/Image')
        infos = connect('/camera/camera_info', CAMERA_INFO)
        static, tf = connect('/tf_static', TF), connect('/tf', TF)

        def write(connection, message, time_ns):
            writer.write(connection[0], time_ns, store.serialize_cdr(message, connection[1]))
        for i in range(FRAMES):
            stamp = START_NS + i * 10**8
            write(image, make_image(scene(i)[0], 'rgb8', stamp), stamp)
            if info:
                k = np.array([150.0, 0, 79.5, 0, 150.0, 44.5, 0, 0, 1])
                write(infos, types[CAMERA_INFO](
                    make_header(stamp), *SIZE, 'plumb_bob', np.zeros(5), k, np.eye(3).ravel(),
                    np.zeros(12), 0, 0,
                    types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)), stamp)
        for one in fixed:  # recorded late, as the latched messages of another robot are
            write(static, transform(*one, START_NS), START_NS + 10**8)
        for *one, seconds in moving:
            stamp = START_NS + round(seconds * 1e9)
            write(tf, transform(*one, stamp), stamp + 10**7)
    return CameraBag(path)


def views(bag, **parameters):
    """Return the ground, and the view of each frame."""
    ground = RecordedGround(bag, Settings().changed(
        {name.replace('__', '.'): value for name, value in parameters.items()}))
    return ground, [ground.view(frame, SIZE) for frame in bag.frames()]


def test_a_chain_of_fixed_transforms_gives_the_pose(tmp_path):
    """The pose is given to the node of a replay as parameters, so these stand for it."""
    bag = record(tmp_path / 'bag', [('base_link', 'mast', nodding(4.0), (1.5, 0.2, 1.0)),
                                    ('mast', 'camera_optical', OPTICAL, (0.0, 0.0, 0.5))])
    ground, found = views(bag)
    height = 1.0 + 0.5 * math.cos(math.radians(4))
    assert ground.parameters == {
        'camera.height_m': pytest.approx(height), 'camera.pitch_deg': pytest.approx(4.0),
        'camera.roll_deg': pytest.approx(0), 'camera.yaw_deg': pytest.approx(0),
        'camera.x_m': pytest.approx(1.5 + 0.5 * math.sin(math.radians(4))),
        'camera.y_m': pytest.approx(0.2)}
    ahead = height / math.tan(math.radians(4))  # where the optical axis meets the ground
    for view in found:
        assert view.points(np.array([[79.5, 44.5]]))[0] == pytest.approx(
            (ground.parameters['camera.x_m'] + ahead, 0.2))
    assert ground.unknown == 0


def test_a_camera_that_moves_is_interpolated_and_has_no_parameters(tmp_path):
    """Its last transform is before the last frame, where nothing is known."""
    bag = record(tmp_path / 'bag', [('head', 'camera_optical', OPTICAL, (0.0, 0.0, 0.0))], [
        ('base_link', 'head', nodding(0), (0.0, 0.0, 1.0), -0.05),
        ('elsewhere', 'wheel', nodding(0), (0.0, 0.0, 0.0), 0.0),
        ('base_link', 'head', nodding(0), (0.0, 0.0, 1.3), 0.25)])
    ground, found = views(bag)
    assert ground.parameters == {}
    assert [view and pytest.approx(view.pose.position[2]) for view in found] == [
        pytest.approx(1.05), pytest.approx(1.15), pytest.approx(1.25), None]
    assert ground.unknown == 1
    assert "pose of 'camera_optical' in 'base_link': the transforms of 'head'" in ground.reason


def test_parameters_come_before_tf(tmp_path):
    bag = record(tmp_path / 'bag', [('base_link', 'camera_optical', OPTICAL, (0.0, 0.0, 1.0))])
    ground, found = views(bag, camera__height_m=2.0)
    assert {view.pose.position for view in found} == {(0.0, 0.0, 2.0)} and not ground.parameters


@pytest.mark.parametrize('links, reason', [
    ([('base_link', 'lidar', OPTICAL, (0.0, 0.0, 1.0))],
     "there is no transform with the frame 'camera_optical'; record /tf_static and /tf, or set"),
    ([('base_link', 'camera_optical', (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
      ('base_link', 'lidar', OPTICAL, (0.0, 0.0, 1.0))], 'there is no transform with the frame'),
    ([('base_link', 'camera_optical', OPTICAL, (0.0, 0.0, -0.1))],
     'the camera is -0.1 m above the plane z = 0')])
def test_a_pose_that_is_not_known_is_said(tmp_path, links, reason):
    ground, found = views(record(tmp_path / 'bag', links))
    assert found == [None] * FRAMES and ground.unknown == FRAMES and reason in ground.reason


def test_without_tf_or_camera_info_nothing_is_expected(tmp_path):
    for name, arguments in (('tf', {}), ('info', {'info': False, 'fixed': [
            ('base_link', 'camera_optical', OPTICAL, (0.0, 0.0, 1.0))]})):
        ground, found = views(record(tmp_path / name, **arguments))
        assert found == [None] * FRAMES and ground.unknown == 0
