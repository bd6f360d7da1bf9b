# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels, confidence and points of every pixel, as the costmap layer of Nav2 has them."""

import numpy as np
from predictions import NAMES, predict
import pytest
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.ground_points import GroundPoints
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundView
from vl4ad_ros.obstacles.labels import (
    confidence_map, ground_mask, label_map, label_names, MOST_CLASSES)
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError

SIZE = (96, 160)
VIEW = GroundView(CameraModel(SIZE, (150.0, 150.0), (79.5, 30.0), 'plumb_bob', (-0.1, 0.0, 0, 0)),
                  CameraPose.of_angles(1.4, yaw_deg=3))


def street(*boxes, mass=None):
    """Return a prediction of sky above row 40 and road below it, with anomalous boxes."""
    prediction = predict(*boxes, mass=mass)
    nothing = np.zeros(0)
    vocabulary = Vocabulary.from_strings(['sky', 'flat: road, grass', 'car'], list(NAMES))
    prediction.best_known[10:] = 1
    object.__setattr__(prediction, 'prompts', Prompts(vocabulary, *[nothing] * 4, 'by hand'))
    return prediction


def test_labels_are_the_indices_of_their_names():
    prediction = street((60, 60, 20, 20), (100, 60, 20, 20), mass={'dog': (0.5, 0.9)})
    names = label_names(prediction.prompts.vocabulary)
    assert names == ('anomaly', 'sky', 'flat', 'car', 'cow', 'box', 'dog')
    labels = label_map(prediction, 0.5, 0.3)
    assert labels.dtype == np.uint8 and labels.shape == SIZE
    seen = [names[labels[row, column]] for row, column in (
        (5, 5), (39, 5), (40, 5), (70, 65), (70, 78), (70, 105), (70, 118))]
    assert seen == ['sky', 'sky', 'flat', 'dog', 'anomaly', 'dog', 'anomaly']
    assert (labels[prediction.score <= 0.5] <= 3).all()
    weak = street((60, 60, 20, 20), mass={'dog': (1.0, 0.2)})
    assert names[label_map(weak, 0.5, 0.3)[70, 70]] == 'anomaly'
    assert names[label_map(street((60, 60, 20, 20)), 0.5, 0.3)[70, 70]] == 'anomaly'


def test_more_classes_than_a_byte_holds_are_refused_with_their_number():
    words = [f'word {n}' for n in range(MOST_CLASSES)]
    assert len(label_names(Vocabulary.from_strings(words, []))) == 255
    with pytest.raises(VocabularyError, match='have 255 classes, but a label is one byte'):
        label_names(Vocabulary.from_strings(words, ['one more']))


def test_confidence_is_the_score_of_what_is_anomalous_and_the_rest_of_what_is_not():
    prediction = street((60, 60, 20, 20))
    confidence = confidence_map(prediction, 0.5)
    assert confidence.dtype == np.uint8
    assert confidence[70, 70] == 230  # 0.9
    assert confidence[10, 10] == 255
    assert confidence.min() >= 127


@pytest.mark.parametrize('image, network', [((96, 160), (96, 160)), ((101, 333), (96, 160)),
                                            ((480, 300), (96, 160)), ((30, 50), (96, 160))])
def test_nearest_has_the_cell_around_each_pixel(image, network):
    letterbox = Letterbox(image, network, 4)
    cells = np.arange(np.prod(letterbox.map_size)).reshape(letterbox.map_size).astype(np.uint8)
    grown = letterbox.nearest(cells)
    assert grown.shape == image
    for row, column in ((0, 0), (image[0] // 2, image[1] // 3), (image[0] - 1, image[1] - 1)):
        assert grown[row, column] == cells[letterbox.to_cells((column + 0.5, row + 0.5, 0, 0))][
            0, 0]


@pytest.mark.parametrize('classes, ground', [
    (['road'], True), ([' Flat '], True), (['car'], False)])
def test_ground_is_chosen_by_class_or_concept(classes, ground):
    mask = ground_mask(street(), 0.5, classes)
    assert mask[60, 60] == ground and not mask[10, 10]


def test_points_are_those_of_the_road_and_of_contacts():
    prediction = street((60, 60, 20, 20))
    anomalous = prediction.score > 0.5
    rows = np.flatnonzero(anomalous[:, 70])
    points = GroundPoints().of(VIEW, ground_mask(prediction, 0.5, ['road']))
    assert points.shape == (*SIZE, 3) and points.dtype == np.float32
    known = np.isfinite(points).all(axis=-1)
    assert (known == np.isfinite(points).any(axis=-1)).all()
    assert known[rows[-1], 70] and not known[rows[:-1], 70].any()  # only the contact
    assert known[rows[0] - 2, 70] and known[rows[-1] + 1:, 70].all()
    assert not known[:39].any() and (points[known][:, 2] == 0).all()
    where = np.argwhere(known)[::97]
    expected = VIEW.points(where[:, ::-1].astype(float))
    assert np.allclose(points[where[:, 0], where[:, 1], :2], expected, rtol=1e-5)


def test_kept_points_follow_the_camera_and_its_pose():
    keeper, everywhere = GroundPoints(), np.ones(SIZE, bool)
    other = GroundView(VIEW.camera, CameraPose.of_angles(2.0))
    third = GroundView(CameraModel(SIZE, (140.0, 140.0), (79.5, 30.0)), other.pose)
    for view in (VIEW, VIEW, other, third, VIEW):
        fresh = GroundPoints().of(view, everywhere)
        assert np.array_equal(keeper.of(view, everywhere), fresh, equal_nan=True)
