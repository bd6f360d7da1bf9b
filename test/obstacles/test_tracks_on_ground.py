# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids of obstacles that a camera on a moving vehicle sees, with and without odometry."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest
from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundLimits, GroundView
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.obstacles.tracks import Tracker

VIEW = GroundView(CameraModel((720, 1280), (900.0, 900.0), (639.5, 300.0)),
                  CameraPose.of_angles(1.5))
PERIOD_S = 0.1


class Drive:
    """
    A vehicle that sees boxes of 0.5 x 0.5 m on the ground, and the tracker of its camera.

    :ivar seen: for each frame the ids of the obstacles by their names, of those that it shows.
    :ivar tracks: the tracks of the newest frame.
    """

    def __init__(self, speed=0.0, turn_rate=0.0, view=VIEW, in_image=False):
        self.motion, self.in_image = Motion(10 ** 9, speed, turn_rate), in_image
        self.view, self.tracker, self.seen, self.tracks = view, Tracker(), [], ()

    def place(self, x, y):
        """Return a place of the frame of odometry in the frame of the vehicle."""
        away_x, away_y = x - self.motion.x_m, y - self.motion.y_m
        cos, sin = math.cos(self.motion.yaw_rad), math.sin(self.motion.yaw_rad)
        return away_x * cos + away_y * sin, away_y * cos - away_x * sin

    def frame(self, shown, **odometry):
        """
        Process the next frame.

        :param shown: places of the frame of odometry, by name.
        :param odometry: fields of its motion that are wrong; ``motion=None`` if there is none.
        """
        if self.seen:
            self.motion = self.motion.later(self.motion.stamp_ns + round(1e9 * PERIOD_S))
        turn = np.reshape(self.view.pose.rotation, (3, 3))
        boxes = {}
        for name, place in shown.items():
            x, y = self.place(*place)
            corners = np.array([(x, y + 0.25, 0), (x, y - 0.25, 0), (x, y, 0.5)])
            (left, foot), (right, _), (_, top) = 0.5 + self.view.camera.pixels(
                (corners - self.view.pose.position) @ turn)
            boxes[name] = Region((left, top, right - left, foot - top), 1, 0.9, (left, top))
        motion = replace(self.motion, **odometry) if 'motion' not in odometry else None
        places = [None if self.in_image else self.view.place(box) for box in boxes.values()]
        self.tracks = self.tracker.update(list(boxes.values()), 147.0, places, PERIOD_S, motion)
        ids = {track.region: track.id for track in self.tracks if not track.missed}
        self.seen.append({name: ids[box] for name, box in boxes.items()})


def alone(drive):
    """Return the ids that each obstacle has had."""
    found = {}
    for frame in drive.seen:
        for name, number in frame.items():
            found.setdefault(name, set()).add(number)
    return found


TWO = {'left': (22.0, 0.6), 'right': (22.0, -0.6)}


@pytest.mark.parametrize('odometry', [{}, {'motion': None}], ids=['odometry', 'no odometry'])
def test_neighbours_keep_their_ids_over_gaps(odometry):
    drive = Drive(speed=10.0)
    for frame in range(17):
        hidden = {'left'} if frame in (5, 6, 7, 8) else {'right'} if frame in (8, 9, 12) else set()
        drive.frame({name: at for name, at in TWO.items() if name not in hidden}, **odometry)
    assert alone(drive) == {'left': {1}, 'right': {2}}


NO_POSES = {'x_m': 0.0, 'y_m': 0.0, 'yaw_rad': 0.0}


@pytest.mark.parametrize('odometry, in_image', [
    pytest.param({}, False, id='odometry'), pytest.param(NO_POSES, False, id='speeds only'),
    pytest.param({'motion': None}, False, id='no odometry'), pytest.param({}, True, id='image')])
def test_a_turning_vehicle_does_not_mistake_obstacles_in_a_row(odometry, in_image):
    """From frame to frame a box moves to where its neighbour was; one is hidden for a while."""
    row = {name: (18.0, 1.0 - n) for n, name in enumerate('abcd')}
    drive = Drive(speed=4.0, turn_rate=0.55, in_image=in_image)
    for frame in range(7):
        hidden = 'b' if frame in (3, 4, 5) else ''
        drive.frame({name: at for name, at in row.items() if name != hidden}, **odometry)
    assert (alone(drive) != {name: {n} for n, name in enumerate('abcd', 1)}) == in_image


@pytest.mark.parametrize('in_image', [False, True])
def test_two_that_cross_keep_their_ids(in_image):
    """They walk at 12 m and 13.5 m; where their boxes meet, only the nearer one is seen."""
    drive = Drive(in_image=in_image)
    for frame in range(30):
        way = 0.2 * frame - 2.9
        shown = {'near': (12.0, way), 'far': (13.5, -way)}
        if abs(way) < 0.4:
            del shown['far']
        drive.frame(shown)
    assert (alone(drive) != {'near': {1}, 'far': {2}}) == in_image


@pytest.mark.parametrize('wrong, ways', [
    pytest.param({'x_m': 900.0, 'y_m': -40.0, 'yaw_rad': 2.0}, (0.9, 1.8), id='jumps'),
    pytest.param({'stamp_ns': 0}, (0.9, 1.8), id='has no stamps'),
    pytest.param({'motion': None}, (0.9, 0.9), id='stops')])
def test_odometry_that_jumps_or_stops_does_no_harm(wrong, ways):
    """Where it stops, the vehicle is taken to go on up to this frame, and is unknown after it."""
    drive, expected = Drive(speed=9.0), []
    for frame in range(18):
        hidden = 'left' if frame in (8, 9) else ''
        drive.frame({name: at for name, at in TWO.items() if name != hidden},
                    **wrong if 8 <= frame < 13 else {})
        expected.append(drive.tracks[0].ground.place(VIEW.pose.position))
    assert alone(drive) == {'left': {1}, 'right': {2}}
    assert [expected[7].x_m - expected[n].x_m for n in (8, 9)] == pytest.approx(ways, abs=0.05)
    growth = expected[9].covariance[2] - expected[8].covariance[2]
    assert (growth > 1.0) == ('motion' in wrong)


def test_an_id_stays_when_an_obstacle_comes_into_the_range_and_leaves_it():
    drive = Drive(speed=8.0, view=replace(VIEW, limits=GroundLimits(max_range_m=20.0)))
    known = []
    for frame in range(24):
        if frame == 12:
            drive.motion = replace(drive.motion, speed_mps=-8.0)
        drive.frame({'left': (26.0, 0.8), 'right': (26.0, -0.8)})
        known.append(drive.tracks[0].ground is not None)
    assert alone(drive) == {'left': {1}, 'right': {2}}
    assert (known[0], known[12], known[-1]) == (False, True, False)


def test_an_obstacle_whose_foot_is_not_found_for_a_frame_keeps_its_id():
    drive = Drive()
    for frame in range(6):
        drive.frame({'a': (6.0, 0.0)})
    region, = (track.region for track in drive.tracks)
    x, y, width, height = region.box
    half = replace(region, box=(x, y, width, 0.4 * height))
    for one in (half, region):
        track, = drive.tracker.update([one], 147.0, [VIEW.place(one)], PERIOD_S, drive.motion)
        assert track.id == 1 and abs(track.ground.mean[0] - VIEW.place(one).x_m) < 0.3


@pytest.mark.parametrize('in_image', [False, True])
def test_something_new_does_not_take_the_id_of_its_neighbour(in_image):
    drive = Drive(in_image=in_image)
    for _ in range(5):
        drive.frame({'old': (12.0, 0.0)})
    drive.frame({'new': (12.0, 0.72)})
    assert alone(drive)['new'] == ({1} if in_image else {2})
