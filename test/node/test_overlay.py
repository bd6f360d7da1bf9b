# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The overlay of the node shows alerts in the colours of their severities."""

import numpy as np
import pytest

from vl4ad_ros.node.overlay import draw
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.pipeline import Finding
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.obstacles.severity import COLOURS, LEVELS, Severity

IMAGE = np.full((120, 320, 3), 100, np.uint8)
PLACE = Placement(12.0, 1.0, (1.0, 0.0, 0.1), 0.08, 1.0, 1.0)


def shown(level: str, box: tuple[float, float, float, float]) -> np.ndarray:
    """Return which pixels of an overlay have the colour of a level."""
    alert = Finding(Region(box, 600, 0.9, (0.0, 0.0)), 'cow', 0.81, '3', PLACE, Severity(level))
    drawn = draw(IMAGE, np.zeros(IMAGE.shape[:2], np.uint8), 0.5, [alert])
    return (drawn == COLOURS[level]).all(axis=2)


@pytest.mark.parametrize('level', LEVELS)
def test_the_box_has_the_colour_of_the_severity(level):
    box = shown(level, (40.0, 50.0, 30.0, 20.0))
    assert box[60, 35:40].any() and not box[60, 50]
    assert IMAGE.max() == 100  # the input is not changed


def test_a_long_caption_at_the_right_border_stays_in_the_picture():
    left, right = (np.flatnonzero(shown('critical', (x, 50.0, 30.0, 20.0)).any(axis=0))
                   for x in (10.0, 285.0))
    assert left.max() - left.min() > 150 and right.max() < 320
    assert abs(np.ptp(left) - np.ptp(right)) < 12
