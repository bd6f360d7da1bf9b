# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Severity by stopping distance, by time to collision and by distance; odometry at a stamp."""

import math
from types import SimpleNamespace

import pytest
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.motion import MAX_AGE_S, Motion, MotionLog
from vl4ad_ros.obstacles.severity import judge, SeverityLimits

LIMITS = SeverityLimits(reaction_s=1.0, deceleration_mps2=3.0, margin_m=2.0, warning_ttc_s=5.0,
                        critical_m=10.0, warning_m=30.0)


def at(x_m, y_m=0.0):
    return Placement(x_m, y_m, (1.0, 0.0, 1.0), math.atan2(y_m, x_m), 0.5, 0.5)


# At 10 m/s the vehicle stops after 10 + 100 / 6 = 26.67 m, and drives 50 m in 5 s.
@pytest.mark.parametrize('x_m, speed_mps, level, collision_s', [
    (28.6, 10.0, 'critical', 2.66), (28.8, 10.0, 'warning', 2.68), (51.9, 10.0, 'warning', 4.99),
    (52.1, 10.0, 'info', 5.01), (28.6, 0.0, 'info', math.inf), (28.6, -3.0, 'info', math.inf),
    (-28.6, -10.0, 'critical', 2.66), (2.0, 0.0, 'critical', 0.0), (1.0, -5.0, 'critical', 0.0),
    (10.0, None, 'critical', None), (10.1, None, 'warning', None), (30.1, None, 'info', None)])
def test_levels(x_m, speed_mps, level, collision_s):
    severity = judge(at(x_m), speed_mps, LIMITS)
    assert (severity.level, severity.collision_s) == (
        level, collision_s if collision_s is None else pytest.approx(collision_s))


def test_only_the_speed_towards_the_obstacle_counts():
    beside = judge(at(0.0, 12.0), 10.0, LIMITS)
    assert (beside.level, beside.collision_s) == ('info', math.inf)
    ahead_left = judge(at(20.0, 20.0), 10.0, LIMITS)
    assert ahead_left.collision_s == pytest.approx((math.hypot(20, 20) - 2) / (10 / math.sqrt(2)))


@pytest.mark.parametrize('limits, reason', [
    ({'deceleration_mps2': 0.0}, 'deceleration_mps2 must be more than 0'),
    ({'reaction_s': -1.0}, 'reaction_s must be 0 or more, not -1.0'),
    ({'warning_m': 5.0}, r'warning_m \(5.0\) must not be less than critical_m \(10.0\)')])
def test_limits_out_of_range_are_refused(limits, reason):
    with pytest.raises(ValueError, match=reason):
        SeverityLimits(**limits)


def odometry(stamp_s, speed=0.0, turn_rate=0.0, x=0.0, y=0.0, yaw=0.0):
    """Return a message like nav_msgs/Odometry."""
    ns = round(stamp_s * 1e9)
    part = SimpleNamespace
    return part(
        header=part(stamp=part(sec=ns // 10 ** 9, nanosec=ns % 10 ** 9)),
        pose=part(pose=part(position=part(x=x, y=y), orientation=part(
            x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2)))),
        twist=part(twist=part(linear=part(x=speed), angular=part(z=turn_rate))))


def test_motion_at_a_stamp_is_the_newest_one_before_it_moved_on():
    log = MotionLog()
    for stamp in (10.0, 10.2, 10.1, 10.3):
        log.add(odometry(stamp, speed=stamp, x=5.0, y=1.0, yaw=math.pi / 2))
    motion = log.at(round(10.25e9))
    assert motion.speed_mps == 10.2
    assert (motion.x_m, motion.y_m, motion.yaw_rad) == pytest.approx(
        (5.0, 1.0 + 0.05 * 10.2, math.pi / 2))
    assert log.at(round(9.9e9)) is None
    assert log.at(round((10.3 + MAX_AGE_S + 0.01) * 1e9)) is None


def test_a_turning_vehicle_goes_round_a_circle():
    """Steps of 20 ms stay on the circle of radius v / w to a millimetre."""
    motion = Motion(0, 5.0, 0.5)
    for step in range(1, 101):
        motion = motion.later(step * 20_000_000)
    assert motion.yaw_rad == pytest.approx(1.0)
    assert (motion.x_m, motion.y_m) == pytest.approx(
        (10 * math.sin(1.0), 10 * (1 - math.cos(1.0))), abs=1e-3)


def test_odometry_with_numbers_that_are_not_finite_is_left_out():
    log = MotionLog()
    log.add(odometry(10.0, speed=math.nan))
    assert log.at(10 ** 10) is None


def test_odometry_after_a_jump_back_in_time_is_found():
    log = MotionLog()
    for stamp in (100.0, 100.1, 50.0, 50.1):
        log.add(odometry(stamp, speed=stamp))
    assert log.at(round(50.15e9)).speed_mps == 50.1
