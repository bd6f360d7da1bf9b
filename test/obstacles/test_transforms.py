# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trees of frames: chains, interpolation, and what is not known."""

import math

import numpy as np
import pytest
from vl4ad_ros.obstacles.ground_view import CameraPose
from vl4ad_ros.obstacles.transforms import NoTransform, Transform, TransformTree

S = 10**9
OPTICAL = (-0.5, 0.5, -0.5, 0.5)


def about_z(degrees):
    half = math.radians(degrees) / 2
    return 0.0, 0.0, math.sin(half), math.cos(half)


def close(found, rotation, translation):
    same = np.abs(np.dot(found.rotation, rotation))  # q and -q are the same rotation
    return np.allclose(found.translation, translation, atol=1e-12) and same == pytest.approx(1)


@pytest.fixture
def tree():
    """Return a vehicle that drives and turns in a map, with a mast and a camera on it."""
    tree = TransformTree()
    tree.add('map', 'base', Transform((0.0, 0.0, 0.0, 1.0), (10.0, 0.0, 0.0)), 5 * S)
    tree.add('map', 'base', Transform(about_z(90), (14.0, 2.0, 0.0)), 6 * S)
    tree.add('base', 'mast', Transform(about_z(90), (1.0, 0.0, 0.0)))
    tree.add('mast', 'camera', Transform(OPTICAL, (0.0, -0.5, 1.4)))
    return tree


def test_a_fixed_chain_is_the_product_of_its_links(tree):
    found = tree.find('base', 'camera', 0)
    # The mast is turned to the left, so its right is the front of the vehicle.
    pose = CameraPose.of_transform(found.rotation, found.translation)
    expected = CameraPose.of_angles(1.4, yaw_deg=90.0, x_m=1.5)
    assert np.allclose(pose.rotation, expected.rotation)
    assert np.allclose(pose.position, expected.position)
    assert tree.is_fixed('base', 'camera') and not tree.is_fixed('map', 'camera')
    back = tree.find('camera', 'base', 0)
    assert close(back @ found, (0, 0, 0, 1), (0, 0, 0))


def test_what_moves_is_interpolated(tree):
    assert close(tree.find('map', 'base', 5 * S), about_z(0), (10, 0, 0))
    assert close(tree.find('map', 'base', 5 * S + S // 4), about_z(22.5), (11, 0.5, 0))
    # Both ends move together with the vehicle, so their distance stays.
    assert close(tree.find('mast', 'camera', 5 * S + S // 4), OPTICAL, (0, -0.5, 1.4))


def test_the_shortest_arc_is_taken():
    """The quaternions of 170 and 190 degrees have opposite signs here."""
    tree = TransformTree()
    tree.add('a', 'b', Transform(about_z(170)), 0)
    tree.add('a', 'b', Transform(tuple(-value for value in about_z(190))), S)
    assert close(tree.find('a', 'b', S // 2), about_z(180), (0, 0, 0))


@pytest.mark.parametrize('target, source, stamp_ns, reason', [
    ('map', 'camera', 5 * S - 1, "'base' are those of 5.000 to 6.000 s, but that of 5.000 s"),
    ('map', 'camera', 6 * S + S, 'but that of 7.000 s is needed'),
    ('base', 'lidar', 0, "there is no transform with the frame 'lidar'"),
    ('base', 'other', 0, "'other' and 'base' are not connected")])
def test_what_is_not_known_is_said(tree, target, source, stamp_ns, reason):
    tree.add('island', 'other', Transform())
    with pytest.raises(NoTransform, match=reason):
        tree.find(target, source, stamp_ns)


def test_frames_that_are_their_own_ancestors_end():
    tree = TransformTree()
    tree.add('a', 'b', Transform())
    tree.add('b', 'a', Transform())
    with pytest.raises(NoTransform, match='no transform with the frame'):
        tree.find('c', 'a', 0)


@pytest.mark.parametrize('rotation, place', [
    ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((0.0, 0.0, 0.0, 1.0), (math.nan, 0.0, 0.0))])
def test_numbers_that_are_no_transform_are_refused(rotation, place):
    with pytest.raises(ValueError, match='expected finite numbers'):
        Transform.normalised(rotation, place)


@pytest.mark.parametrize('angles', [(4.0, 0.0, 0.0), (-20.0, 33.0, 170.0), (60.0, -95.0, -3.0)])
def test_a_pose_gives_its_angles_back(angles):
    pose = CameraPose.of_angles(1.4, *angles, 1.5, -0.2)
    again = CameraPose.of_angles(**pose.angles)
    assert np.allclose(again.rotation, pose.rotation) and again.position == pose.position
    assert [pose.angles[f'{name}_deg'] for name in ('pitch', 'roll', 'yaw')] == pytest.approx(
        angles)
