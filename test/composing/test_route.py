# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points beside a way come nearer, and objects are placed reproducibly."""

import math

import numpy as np
import pytest

from vl4ad_ros.composing.objects import read_objects, SHIPPED
from vl4ad_ros.composing.placing import place_objects
from vl4ad_ros.composing.route import Route

STRAIGHT = Route.at_speed(np.arange(0, 10, 0.1), 10.0)
OBJECTS = read_objects(SHIPPED)


def circle(radius=50.0, speed=10.0):
    """Return the way along a circle to the left, through poses at 20 Hz, for frames at 10 Hz."""
    known = np.arange(0, 10, 0.05)
    angle = known * speed / radius
    poses = np.stack([radius * np.sin(angle), radius * (1 - np.cos(angle)),
                      (angle + math.pi) % (2 * math.pi) - math.pi], axis=1)
    return Route.through(np.arange(0, 9.9, 0.1), known, poses)


def test_a_constant_speed_brings_points_nearer():
    assert STRAIGHT.length_m == pytest.approx(99)
    point = STRAIGHT.beside(60.0, -2.0)
    seen = np.array([STRAIGHT.seen_from(i, point) for i in range(100)])
    assert np.allclose(seen[:, 0], 60 - np.arange(100)) and np.allclose(seen[:, 1], -2)


def test_on_a_curve_a_point_is_passed_on_its_side():
    way = circle()
    assert way.length_m == pytest.approx(98, abs=0.2)
    point = way.beside(60.0, 2.5)
    ahead, left = way.seen_from(60, point)
    assert ahead == pytest.approx(0, abs=0.05) and left == pytest.approx(2.5, abs=0.05)
    # 30 metres before, the circle to the left brings it farther to the left.
    ahead, left = way.seen_from(30, point)
    angle = 30 / 50
    assert ahead == pytest.approx(47.5 * math.sin(angle), abs=0.1)
    assert left == pytest.approx(50 - 47.5 * math.cos(angle), abs=0.1)


def test_headings_are_interpolated_across_the_turn():
    way = Route.through(np.array([0.5]), np.array([0.0, 1.0]),
                        np.array([[0, 0, math.pi - 0.1], [0, 0, -math.pi + 0.1]]))
    assert math.cos(way.poses[0, 2]) == pytest.approx(-1)


def test_beyond_its_end_the_way_goes_straight_on():
    assert STRAIGHT.beside(109.0, 1.0) == pytest.approx((109.0, 1.0))
    x, y = circle().beside(circle().length_m + 10, 0.0)
    ahead, left = circle().seen_from(98, (x, y))
    assert ahead == pytest.approx(10, abs=0.01) and left == pytest.approx(0, abs=0.01)


def test_a_camera_that_stands_still_sees_an_object():
    way = Route.at_speed(np.arange(0, 2, 0.1), 0.0)
    (placed,) = place_objects(OBJECTS, way, 0, 25.0)
    assert 10 < way.seen_from(5, placed.point)[0] < 30


def test_places_depend_on_the_seed_only():
    one, again, other = (place_objects(OBJECTS, STRAIGHT, seed, 25.0) for seed in (0, 0, 1))
    assert [p.point for p in one] == [p.point for p in again]
    assert [p.thing.name for p in one] == [p.thing.name for p in again]
    assert [p.point for p in one] != [p.point for p in other]


def test_objects_stand_beside_the_path_at_the_spacing():
    placed = place_objects(OBJECTS, STRAIGHT, 3, 20.0)
    ahead = np.array([p.point[0] for p in placed])
    assert len(placed) == 6 and ahead[0] >= 12 and ahead[-1] < 99 + 30
    assert np.diff(ahead).mean() == pytest.approx(20, abs=1)
    for p in placed:
        free = abs(p.point[1]) - p.thing.width_m / 2
        assert 0.5 <= free <= 2.0


def test_the_number_of_objects_can_be_given():
    placed = place_objects(OBJECTS, STRAIGHT, 0, 25.0, count=20)
    assert [p.number for p in placed] == list(range(1, 21))
    assert placed[-1].point[0] < 132
    assert [p.thing.known for p in placed] == [False, True] * 10
    anomalies = [p.thing.name for p in placed if not p.thing.known]
    assert len(set(anomalies[:6])) == 6, 'each comes once before one comes again'


def test_folders_of_one_sort_work():
    for known in (False, True):
        chosen = [thing for thing in OBJECTS if thing.known == known]
        placed = place_objects(chosen, STRAIGHT, 0, 30.0)
        assert {p.thing.known for p in placed} == {known}


def test_too_many_objects_are_refused():
    with pytest.raises(ValueError, match='too many; at most 65535'):
        place_objects(OBJECTS, STRAIGHT, 0, 25.0, count=70000)
