# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pose of the camera from TF, with a stand-in for tf2_ros."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from fake_tf import stand_in
import numpy as np
import pytest
from vl4ad_ros.node.tf_pose import open_tf, TfPose
from vl4ad_ros.obstacles.ground_view import CameraPose
from vl4ad_ros.obstacles.mounting import Mounting, NoGround

STAMP_NS = 1_700_000_000_123_456_789
INFO = SimpleNamespace(
    width=200, height=120, distortion_model='plumb_bob', d=[0.0] * 5, p=[0.0] * 12, r=[0.0] * 9,
    k=[200.0, 0, 99.5, 0, 200.0, 29.5, 0, 0, 1.0], binning_x=0, binning_y=0,
    roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0))


@pytest.fixture
def tf(monkeypatch):
    """Return the poses of the stand-in."""
    monkeypatch.setitem(sys.modules, 'tf2_ros', stand_in())
    source = open_tf('the node', 'base_link')
    assert isinstance(source, TfPose) and source._listener.node == 'the node'
    source._buffer.from_ns = source._buffer.to_ns = STAMP_NS
    return source


def test_the_pose_is_that_at_the_stamp_of_the_image(tf):
    pose = tf.pose('camera_optical', STAMP_NS)
    expected = CameraPose.of_angles(1.4, x_m=1.9, y_m=-0.6)
    assert np.allclose(pose.rotation, expected.rotation) and pose.position == expected.position
    tf.pose('camera_optical', 0)  # no stamp: the newest
    assert tf._buffer.asked == [('base_link', 'camera_optical', STAMP_NS),
                                ('base_link', 'camera_optical', 0)]
    tf.close()
    assert tf._listener.closed


@pytest.mark.parametrize('frame, stamp_ns, reason', [
    ('', STAMP_NS, 'the images have no frame_id, so TF cannot give the pose'),
    ('lidar', STAMP_NS, "TF has no usable pose of 'lidar' in 'base_link': .* is not connected"),
    ('camera_optical', STAMP_NS + 1, 'extrapolation; publish it, or set camera.height_m')])
def test_what_tf_does_not_know_is_said(tf, frame, stamp_ns, reason):
    with pytest.raises(NoGround, match=reason):
        tf.pose(frame, stamp_ns)


def test_a_transform_that_is_no_rotation_is_refused(tf):
    turn = tf._buffer.found.transform.rotation
    turn.x = turn.y = turn.z = turn.w = 0.0
    with pytest.raises(NoGround, match='expected finite numbers'):
        tf.pose('camera_optical', STAMP_NS)


def test_without_tf2_ros_the_pose_is_unknown_and_the_reason_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    with pytest.raises(NoGround, match='camera.height_m is 0 and tf2_ros is not installed'):
        open_tf('the node', 'base_link').pose('camera_optical', STAMP_NS)


def test_the_view_takes_the_pose_of_tf_only_if_parameters_give_none(tf):
    view = Mounting().view(INFO, (120, 200), tf, 'camera_optical', STAMP_NS)
    assert view.pose.position == (1.9, -0.6, 1.4)
    assert view.points([[99.5, 79.5]])[0] == pytest.approx((1.9 + 1.4 * 200 / 50, -0.6))
    tf._buffer.found.transform.translation.z = -0.1
    with pytest.raises(NoGround, match='the camera is -0.1 m above the plane z = 0'):
        Mounting().view(INFO, (120, 200), tf, 'camera_optical', STAMP_NS)
    with pytest.raises(NoGround, match='there is no CameraInfo'):
        Mounting().view(None, (120, 200), tf, 'camera_optical', STAMP_NS)
