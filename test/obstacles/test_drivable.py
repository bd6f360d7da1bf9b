# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The region of interest that the model itself sees."""

import numpy as np
from predictions import predict
import pytest
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.drivable import DrivableRegion
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundView
from vl4ad_ros.obstacles.pipeline import Limits, Pipeline
from vl4ad_ros.prompts.vocabulary import Vocabulary

VIEW = GroundView(CameraModel((96, 160), (150.0, 150.0), (79.5, 30.0)), CameraPose.of_angles(1.4))
ON_ROAD, OFF_ROAD, FAR, SKY = (72, 68, 16, 12), (4, 72, 16, 12), (72, 36, 12, 8), (72, 12, 12, 8)
LIMITS = Limits(drivable=('road',))


def street(*boxes, road=True):
    """Return a prediction with a road from (40..120, 95) to (70..90, 48) between pavements."""
    prediction = predict(*boxes)
    vocabulary = Vocabulary.from_strings(['wall', 'flat: road, grass', 'sky'], ['cow'])
    object.__setattr__(prediction, 'prompts', Prompts(vocabulary, *[np.zeros(0)] * 4, 'by hand'))
    for row in range(12, 24) if road else ():
        half = 5 + (row - 12) * 5 / 11
        prediction.best_known[row, round(20 - half):round(20 + half)] = 1
    for x, y, width, height in boxes:  # the network sees no road where something else is
        prediction.best_known[y // 4:(y + height) // 4, x // 4:(x + width) // 4] = 0
    prediction.best_known[2, 2] = 1  # a speck of road in the sky
    return prediction


def kept(*boxes, limits=LIMITS, view=VIEW, **options):
    result = Pipeline().process(street(*boxes, **options), 1, 1, limits, view)
    return {min(boxes, key=lambda b: abs(b[0] - d.region.box[0]) + abs(b[1] - d.region.box[1]))
            for d in result.detections}


def test_only_what_stands_on_the_road_counts():
    everything = (ON_ROAD, OFF_ROAD, FAR, SKY)
    assert kept(*everything, limits=Limits()) == set(everything)
    assert kept(*everything) == {ON_ROAD, FAR}


def test_without_a_horizon_the_region_ends_where_the_road_ends():
    assert kept(ON_ROAD, FAR, view=None) == {ON_ROAD}


@pytest.mark.parametrize('pitch_deg', [-60.0, 60.0, 90.0, -90.0])
def test_a_horizon_outside_of_the_image_is_no_trouble(pitch_deg):
    view = GroundView(VIEW.camera, CameraPose.of_angles(1.4, pitch_deg))
    assert DrivableRegion.of(street(), ['road'], view).cells.any()


def test_polygon_and_road_together():
    left_half = ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))
    both = Limits(regions=type(LIMITS.regions)(roi=left_half), drivable=('road',))
    beside = (48, 76, 12, 12)
    assert kept(ON_ROAD, OFF_ROAD, beside, limits=both) == {beside}


def test_a_frame_without_road_hides_nothing():
    prediction = street(ON_ROAD, OFF_ROAD, road=False)
    prediction.best_known[:] = 0
    assert len(Pipeline().process(prediction, 1, 1, LIMITS, VIEW).detections) == 2
    assert DrivableRegion.of(prediction, ['road'], VIEW) is None


@pytest.mark.parametrize('pitch_deg, row', [
    (0.0, 30.0), (5.0, 30.0 - 150 * np.tan(np.radians(5)))])
def test_the_row_of_the_horizon(pitch_deg, row):
    view = GroundView(VIEW.camera, CameraPose.of_angles(1.4, pitch_deg, yaw_deg=20))
    assert view.horizon_row == pytest.approx(row)
