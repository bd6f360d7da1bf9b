# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a vehicle moved between two frames, by poses and speeds that may contradict."""

from dataclasses import replace
import math

import pytest
from vl4ad_ros.obstacles.motion import Motion

SECOND = 10 ** 9
FIRST = Motion(SECOND, 10.0, 0.2, x_m=5.0, y_m=-3.0, yaw_rad=3.1)
SPEED_SHIFT = (9.3 * math.cos(0.1), 9.3 * math.sin(0.1), 0.2)


def second(forward, left, turn, **other):
    """Return the motion one second later, at a pose in the frame of the vehicle at `FIRST`."""
    cos, sin = math.cos(FIRST.yaw_rad), math.sin(FIRST.yaw_rad)
    return Motion(2 * SECOND, 8.6, 0.2, **{
        'x_m': 5.0 + forward * cos - left * sin, 'y_m': -3.0 + forward * sin + left * cos,
        'yaw_rad': math.remainder(FIRST.yaw_rad + turn, math.tau), **other})


def numbers(shift):
    return shift.forward_m, shift.left_m, shift.turn_rad


@pytest.mark.parametrize('pose', [(9.6, 1.2, 0.21), (8.0, 0.0, 0.15)])
def test_poses_that_agree_with_the_speed_are_used(pose):
    assert numbers(FIRST.shift_to(second(*pose), 1.0)) == pytest.approx(pose)


@pytest.mark.parametrize('later', [
    pytest.param(second(*SPEED_SHIFT, x_m=5.0, y_m=-3.0, yaw_rad=3.1), id='no poses at all'),
    pytest.param(second(*SPEED_SHIFT, x_m=0.0, y_m=0.0, yaw_rad=0.0), id='reset'),
    pytest.param(second(9.3, 6.0, 0.2), id='jump to the side'),
    pytest.param(replace(FIRST.later(10 ** 18), speed_mps=8.6), id='a stamp far ahead'),
    pytest.param(second(*SPEED_SHIFT[:2], 1.0), id='jump of the direction')])
def test_other_poses_are_replaced_by_the_speed(later):
    assert numbers(FIRST.shift_to(later, 1.0)) == pytest.approx(SPEED_SHIFT)


def test_a_curve_that_is_kept_is_the_same_by_pose_and_by_speed():
    later = FIRST.later(FIRST.stamp_ns + SECOND // 2)
    by_pose = FIRST.shift_to(later, 0.5)
    no_pose = FIRST.shift_to(Motion(later.stamp_ns, 10.0, 0.2, 5.0, -3.0, 3.1), 0.5)
    assert numbers(by_pose) == pytest.approx(numbers(no_pose))
    assert by_pose.forward_m == pytest.approx(5.0, abs=0.01)
