# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a drawn bag says in metres fits what its pictures show."""

import numpy as np
import pytest

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.driven_way import driven_way
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.settings import Settings
from vl4ad_workshop.demo.second_act import SCRIPT
from vl4ad_workshop.scenes.bag import write_drive
from vl4ad_workshop.scenes.drive import Drive
from vl4ad_workshop.scenes.whereabouts import Way

SIZE = (180, 320)


def errors(drive, path, within_m=30.0):
    """Return by how many pixels feet and middles of the labels differ from the true places."""
    bag = CameraBag(write_drive(drive, path))
    ground, way = RecordedGround(bag, Settings()), Way(drive)
    found = []
    for frame, _, ids in bag.labelled_frames():
        view = ground.view(frame, drive.size)
        turn = np.reshape(view.pose.rotation, (3, 3))
        for thing in way.things(frame.index):
            rows, columns = np.nonzero(ids == thing.number)
            x, y, _ = thing.box.middle
            x -= thing.box.size[0] / 2
            if not rows.size or x > within_m or rows.max() == drive.size[0] - 1:
                continue
            foot, = view.camera.pixels((np.array([[x, y, 0.0]]) - view.pose.position) @ turn)
            found.append((rows.max() + 0.5 - foot[1],
                          (columns.min() + columns.max()) / 2 - foot[0]))
    return np.array(found), bag


def test_labels_stand_at_their_true_places(tmp_path):
    """A thing is drawn to the nearest pixel, and the camera nods by less than half a pixel."""
    drive = Drive(3, SIZE, seconds=8.0, rate_hz=2.0, anomalies=2)
    found, bag = errors(drive, tmp_path / 'bag')
    assert len(found) >= 8
    assert np.abs(found[:, 0]).max() < 1.6 and abs(found[:, 0].mean()) < 0.8
    assert np.abs(found[:, 1]).max() < 2.5
    way = driven_way(bag, 'base_link')
    assert way.length_m == pytest.approx(drive.ego(7.5).s, abs=0.2)
    assert set(way.distances) == {1, 2}
    for number, frames in way.distances.items():
        first, last = min(frames), max(frames)
        moved = drive.ego(last / 2).s - drive.ego(first / 2).s
        assert frames[first] - frames[last] == pytest.approx(moved, abs=0.3)


def test_odometry_has_the_speed_of_its_positions():
    way = Way(Drive(5, SIZE, seconds=6.0, rate_hz=10.0, anomalies=1))
    motions = [way.motion(i) for i in range(60)]
    for (before, _), (now, left), (after, _) in zip(motions, motions[1:], motions[2:]):
        step = np.array([after.x_m - before.x_m, after.y_m - before.y_m]) / 0.2
        cos, sin = np.cos(now.yaw_rad), np.sin(now.yaw_rad)
        assert step @ (cos, sin) == pytest.approx(now.speed_mps, abs=0.02)
        assert step @ (-sin, cos) == pytest.approx(left, abs=0.02)
        assert (after.yaw_rad - before.yaw_rad) / 0.2 == pytest.approx(
            now.turn_rate_rps, abs=1e-3)
        assert now.speed_mps > 5


def test_a_car_that_halts_stands_still(tmp_path):
    scene = SCRIPT.scene()
    scene.seconds = 0.5
    found, bag = errors(scene, tmp_path / 'bag')
    assert len(found) == 10 and np.abs(found[:, 0]).max() < 1.6
    assert driven_way(bag, 'base_link').length_m == 0
