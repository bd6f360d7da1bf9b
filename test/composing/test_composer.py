# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects are in the frames where the ground truth says, and nowhere else."""

import numpy as np
import pytest

from vl4ad_ros.composing.compose import Composer
from vl4ad_ros.composing.objects import read_objects, RoadObject, SHIPPED
from vl4ad_ros.composing.pasting import CutOut
from vl4ad_ros.composing.placing import PlacedObject
from vl4ad_ros.composing.route import Route
from vl4ad_ros.obstacles.ground import GroundCamera

GREY = np.full((360, 640, 3), 120, np.uint8)
CAMERA = GroundCamera((550.0, 550.0), (319.5, 179.5), 0.0, 1.4)
ROUTE = Route.at_speed(np.arange(0, 6, 0.1), 10.0)


def red(known=False, height_m=1.0):
    """Return a red square."""
    cut_out = CutOut.of('box', np.full((100, 100, 3), (200, 30, 30), np.uint8),
                        np.ones((100, 100), bool))
    return RoadObject(cut_out, height_m, known, {})


def composer(*placed, seed=0):
    return Composer(CAMERA, ROUTE, [PlacedObject(n, thing, point, False)
                                    for n, (thing, point) in enumerate(placed, 1)], 0.5, seed)


def test_an_object_stands_where_the_camera_would_see_it():
    frame = composer((red(), (30.0, 2.0))).compose(10, GREY)  # 20 metres ahead
    rows, columns = (np.flatnonzero((frame.object_ids == 1).any(axis=a)) for a in (1, 0))
    assert rows[-1] + 0.5 == pytest.approx(179.5 + 550 * 1.4 / 20, abs=1.5)
    assert len(rows) == pytest.approx(550 / 20, abs=2)
    assert columns.mean() == pytest.approx(319.5 - 550 * 2 / 20, abs=1)
    assert (frame.image[frame.object_ids == 1][:, 0] > 140).mean() > 0.95


def test_labels_are_exact():
    frame = composer((red(), (20.0, 1.0))).compose(5, GREY)
    assert set(np.unique(frame.label)) == {0, 1, 255}
    assert ((frame.label == 1) == (frame.object_ids == 1)).all()
    shown = (frame.image[..., 0].astype(int) - frame.image[..., 1]) > 20
    assert not (shown & (frame.label == 0)).any(), 'no part of the object is called normal'
    assert shown[frame.label == 1].all()
    assert (frame.label == 255).sum() < 0.25 * (frame.label == 1).sum()


def test_known_things_are_normal_but_have_numbers():
    frame = composer((red(known=True), (20.0, 1.0))).compose(5, GREY)
    assert not (frame.label == 1).any() and (frame.label == 255).any()
    assert (frame.object_ids == 1).sum() > 500
    assert (frame.label[frame.object_ids == 1] == 0).all()


def test_the_nearer_object_hides_the_other():
    """The numbers are in the order of placing, which must not matter."""
    for order in (1, -1):
        things = [(red(), (25.0, 0.5)), (red(known=True, height_m=2.0), (12.0, 0.5))][::order]
        frame = composer(*things).compose(5, GREY)
        near = 2 if order == 1 else 1
        assert not (frame.object_ids == 3 - near).any(), 'the far one is all hidden'
        assert (frame.object_ids == near).any() and not (frame.label == 1).any()


def test_objects_come_nearer_and_are_passed():
    composer_ = composer((red(), (30.0, 1.0)))
    sizes = [int((composer_.compose(i, GREY).object_ids == 1).sum()) for i in range(0, 60, 3)]
    passed = sizes.index(0)
    assert sizes[:passed - 1] == sorted(sizes[:passed - 1]) and passed >= 9
    assert not any(sizes[passed:])
    assert composer_.distances(10) == {1: pytest.approx(20.0)}
    assert composer_.distances(40) == {}


def test_what_is_too_small_is_ignored():
    frame = composer((red(height_m=0.1), (8.0, 0.0))).compose(0, GREY)
    assert (frame.label == 1).sum() >= 25
    tiny = CutOut.of('rod', np.zeros((100, 20, 3), np.uint8), np.ones((100, 20), bool))
    frame = composer((RoadObject(tiny, 0.5, False, {}), (40.0, 0.0))).compose(0, GREY)
    assert not frame.object_ids.any() and (frame.label == 255).any()
    assert set(np.unique(frame.label)) == {0, 255}
    frame = composer((red(height_m=0.1), (45.0, 0.0))).compose(0, GREY)
    assert (frame.image == GREY).all() and not frame.label.any()


def test_what_the_recording_calls_anomalous_is_ignored():
    label = np.zeros(GREY.shape[:2], np.uint8)
    label[200:220, :40], label[300:310, :40] = 1, 255
    frame = composer((red(), (20.0, 1.0))).compose(5, GREY, label)
    assert (frame.label[label > 0] == 255).all() and (frame.label == 1).any()
    with pytest.raises(ValueError, match=r'label of frame 5 has the shape \(360, 639\)'):
        composer().compose(5, GREY, label[:, 1:])


def test_frames_depend_on_the_seed_only():
    noisy = np.random.default_rng(0).integers(90, 130, GREY.shape, np.uint8)
    placed = (read_objects(SHIPPED)[0], (20.0, 1.0))
    one, again, other = (composer(placed, seed=s).compose(4, noisy).image for s in (0, 0, 1))
    assert (one == again).all() and (one != other).any()
