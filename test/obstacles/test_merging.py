# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles that several cameras of a vehicle see become one list."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.merging import Merger
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.pipeline import Finding, Result
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.obstacles.scene_time import Moment
from vl4ad_ros.obstacles.severity import CRITICAL, INFO, Severity, WARNING

SECOND = 10 ** 9


def finding(number: int, x_m: float, y_m: float, sigma_m: float = 0.5, level: str = INFO,
            cut_off: tuple[str, ...] = (), name: str = '') -> Finding:
    place = Placement(x_m, y_m, (sigma_m ** 2, 0.0, sigma_m ** 2), math.atan2(y_m, x_m), 1.0, 1.0,
                      cut_off)
    return Finding(Region((0.0, 0.0, 9.0, 9.0), 81, 0.9, (4.5, 9.0)), name, 0.8 if name else 0.0,
                   str(number), place, Severity(level))


def result(*found: Finding, known: bool = True) -> Result:
    return Result((), found if known else None, '' if known else 'warming up', Moment('next', 0.1),
                  '', 0, object() if known else None)


class Run:
    """A merger with a clock."""

    def __init__(self, *cameras: str) -> None:
        self.merger, self.now_ns = Merger(cameras), SECOND

    def __call__(self, camera: str, *found: Finding, known: bool = True, after_s: float = 0.02,
                 motion: Motion | None = None):
        self.now_ns += int(after_s * SECOND)
        return self.merger.update(camera, self.now_ns, result(*found, known=known), motion, 1.0)


def ids(merged) -> dict[str, list[str]]:
    return {one.finding.id: [s.camera for s in one.sightings] for one in merged}


def test_one_obstacle_in_two_cameras_is_one_and_keeps_its_first_id():
    run = Run('front', 'left')
    run('left')
    assert ids(run('front', finding(3, 20, 2))) == {'front/3': ['front']}
    assert ids(run('left', finding(7, 20.4, 2.3))) == {'front/3': ['front', 'left']}
    assert ids(run('front')) == {'front/3': ['left']}
    assert ids(run('front', finding(9, 20.1, 2))) == {'front/3': ['front', 'left']}
    assert ids(run('left')) == {'front/3': ['front']}


def test_what_the_places_tell_apart_stays_apart_and_gets_an_id_of_its_own():
    run = Run('front', 'left')
    run('front', finding(1, 10, 0))
    assert ids(run('left', finding(1, 10.2, 0))) == {'front/1': ['front', 'left']}
    # The two part: the camera that gave the id keeps it.
    assert ids(run('left', finding(1, 10, 6))) == {'front/1': ['front'], 'left/1': ['left']}


def test_two_neighbours_are_paired_with_the_nearer_one_and_never_within_one_camera():
    run = Run('front', 'left')
    run('front', finding(1, 10, 0), finding(2, 10, 1))
    merged = run('left', finding(1, 10, 1.1), finding(2, 10, 0.1))
    pairs = {tuple(s.finding.id for s in one.sightings) for one in merged}
    assert pairs == {('1', '2'), ('2', '1')}
    assert len(run('left')) == 2


def test_the_best_view_gives_the_place_and_the_highest_severity_counts():
    run = Run('front', 'left')
    run('front', finding(1, 10, 0, 0.1, INFO, ('left',)))
    one, = run('left', finding(1, 10.3, 0, 0.4, WARNING, name='cow'))
    assert (one.finding.place.x_m, one.finding.name) == (10.3, 'cow')
    assert one.finding.severity.level == WARNING
    run('front', finding(1, 10, 0, 0.1), finding(2, 30, 0, 0.1, CRITICAL))
    merged = run('left', finding(1, 10.3, 0, 0.4, WARNING), finding(5, 5, 5))
    assert [m.finding.id for m in merged] == ['front/2', 'front/1', 'left/5']
    assert merged[1].finding.place.x_m == 10


def test_an_empty_list_says_that_every_camera_sees_nothing():
    run = Run('front', 'left')
    assert run('front') is None  # nothing has come from the left
    assert run('left') == ()
    assert run('left', known=False) is None
    assert len(run('front', finding(1, 10, 0))) == 1  # it is there, whatever the left sees
    run('left')
    assert run('front', after_s=0.9) == ()
    assert run('front', after_s=0.5) is None  # the left has been silent for too long


def test_an_old_obstacle_of_a_silent_camera_is_not_told_for_ever():
    run = Run('front', 'left')
    run('left', finding(1, 10, 0))
    assert len(run('front', after_s=0.9)) == 1
    assert run('front', after_s=0.2) is None


def test_what_another_camera_saw_before_is_moved_as_the_vehicle_moved():
    run, start = Run('front', 'left'), Motion(0, 10.0, 2.0)
    turned = replace(start, stamp_ns=SECOND // 2, x_m=4.0, y_m=2.5, yaw_rad=1.0)
    run('front', finding(1, 12, 1), motion=start)
    run('left')
    one, = run('left', motion=turned, after_s=0.48)
    place = one.finding.place
    assert math.isclose(place.x_m, 8 * math.cos(1) - 1.5 * math.sin(1))
    assert math.isclose(place.y_m, -1.5 * math.cos(1) - 8 * math.sin(1))
    assert math.isclose(place.bearing_rad, math.atan2(1, 12) - 1)
    assert one.sightings[0].finding.place.x_m == 12


def test_the_covariance_turns_with_the_vehicle():
    run, start = Run('front', 'left'), Motion(0, 0.0, math.pi)
    seen = finding(1, 12, 0)
    seen = replace(seen, place=replace(seen.place, covariance=(9.0, 0.0, 1.0)))
    run('front', seen, motion=start)
    one, = run('left', motion=start.later(SECOND // 2), after_s=0.5)
    xx, xy, yy = one.finding.place.covariance
    assert math.isclose(xx, 1) and math.isclose(yy, 9) and math.isclose(xy, 0, abs_tol=1e-9)


def test_ids_are_unique_however_obstacles_meet_and_part():
    rng, run = np.random.default_rng(3), Run('front', 'left', 'right')
    for _ in range(2000):
        camera = ('front', 'left', 'right')[rng.integers(3)]
        seen = [finding(int(number), *rng.integers(0, 3, 2) * 2.0)
                for number in rng.choice(5, rng.integers(4), replace=False)]
        merged = run(camera, *seen) or ()
        names = [one.finding.id for one in merged]
        assert len(set(names)) == len(names)
        pairs = [(s.camera, s.finding.id) for one in merged for s in one.sightings]
        assert len(set(pairs)) == len(pairs)
        assert {number for owner, number in pairs if owner == camera} == {s.id for s in seen}
