# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Things are painted where the camera matrix says."""

import numpy as np
import pytest

from vl4ad_workshop.scenes.bank import Sprite
from vl4ad_workshop.scenes.camera import Camera
from vl4ad_workshop.scenes.canvas import Canvas
from vl4ad_workshop.scenes.items import Billboard, Panel, Vehicle

SIZE = (240, 320)
CAMERA = Camera(SIZE, 300.0, 159.5, 100.0, 1.5, s=50.0, t=1.0)
WHITE = np.full((40, 20, 4), 255, np.uint8)


def painted(item):
    canvas = Canvas(SIZE, np.zeros(3), 1e6)
    canvas.surface('sky')
    item.paint(canvas, CAMERA, 0.0)
    rows, cols = np.nonzero(canvas.ids)
    return rows.min(), rows.max() + 1, cols.min(), cols.max() + 1


def expected(s, t0, t1, height):
    """Project a rectangle that faces the camera with K; return rows and columns of its edges."""
    k, z = CAMERA.matrix(), s - CAMERA.s
    corners = np.array([[t0 - CAMERA.t, CAMERA.height - height, z],
                        [t1 - CAMERA.t, CAMERA.height, z]]) @ k.T
    (left, top), (right, low) = corners[:, :2] / corners[:, 2:]
    return top, low, left, right


@pytest.mark.parametrize('z', [4.0, 11.0, 35.0])
@pytest.mark.parametrize('t', [-0.4, 2.3])
def test_billboard_stands_on_the_projected_ground(z, t):
    sprite = Sprite(WHITE, 0.8, 1.6)
    seen = painted(Billboard('box', sprite, CAMERA.s + z, t))
    assert seen == pytest.approx(expected(CAMERA.s + z, t - .4, t + .4, 1.6), abs=1.6)


def test_panel_across_the_road_fills_its_projection():
    seen = painted(Panel('wall', WHITE, 60.0, -1.0, 60.001, 2.0, 2.0))
    assert seen == pytest.approx(expected(60.0, -1.0, 2.0, 2.0), abs=1.6)


def test_vehicle_shows_its_side_towards_the_camera():
    views = {'rear': Sprite(WHITE, 2.0, 1.5), 'side': Sprite(WHITE, 4.0, 1.5)}
    top, low, left, right = painted(Vehicle('car', views, 60.0, 5.0))
    rear = expected(60.0, 4.0, 6.0, 1.5)
    side = expected(64.0, 4.0, 6.0, 1.5)
    assert (top, low, right) == pytest.approx((rear[0], rear[1], rear[3]), abs=1.6)
    assert left == pytest.approx(side[2], abs=2.0) and left < rear[2] - 5


def test_nearer_things_are_larger_and_lower():
    far, near = (painted(Billboard('box', Sprite(WHITE, 1, 1), 50 + z, 1.0)) for z in (20, 10))
    assert near[1] > far[1]
    assert near[1] - near[0] == pytest.approx(2 * (far[1] - far[0]), abs=1)
