# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped weights of `street` on a drawn road with the drawn objects of `vl4ad compose`."""

import cv2
import numpy as np
import pytest

from vl4ad_ros import Detector
from vl4ad_ros.composing.objects import read_objects, SHIPPED
from vl4ad_ros.composing.pasting import paste
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary

THRESHOLD = 0.5
OBJECTS = {o.name: o for o in read_objects(SHIPPED)}


def road():
    """Return a sky, trees, asphalt with a dashed line, and grass on both sides."""
    rng, picture = np.random.default_rng(0), np.zeros((360, 640, 3), np.float32)
    for row in range(360):
        picture[row] = ((140 + 0.3 * row, 175 + 0.2 * row, 225) if row < 140 else
                        (60, 85, 45) if row < 185 else (100 + 0.05 * row,) * 3)
    grain = cv2.GaussianBlur(rng.normal(size=(360, 640)).astype(np.float32), (0, 0), 1.2)
    grain = grain[..., None]
    picture[140:185] += 60 * grain[140:185]
    picture[185:] += 18 * grain[185:]
    verge = np.zeros((360, 640), np.uint8)
    for corners in ([[0, 185], [300, 185], [0, 330]], [[639, 185], [340, 185], [639, 330]]):
        cv2.fillPoly(verge, [np.array(corners)], 1)
    picture[verge > 0] = (110, 130, 70) + 30 * grain[verge > 0]
    for far, near in ((200, 215), (235, 265), (300, 350)):
        cv2.line(picture, (320, far), (320, near), (225, 225, 225), 2 + (near - 200) // 40)
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def street():
    detector = Detector.open('street')
    yield detector
    detector.close()


def score_of(street, name, vocabulary):
    """Return the median score of the object that stands on the road."""
    height = 110 if OBJECTS[name].height_m > 1.4 else 80
    picture, mask = paste(road(), OBJECTS[name].cut_out, (330, 320), height)
    prediction = street.detect(picture, street.encode(vocabulary))
    rows, columns = prediction.cell_score.shape
    shown = cv2.resize(mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_AREA) > 0
    return float(np.median(prediction.cell_score[shown]))


def without(vocabulary, name, *anomalies):
    known = tuple(c for c in vocabulary.known if c.name != name)
    assert len(known) == len(vocabulary.known) - 1
    return Vocabulary(known, (*anomalies, *vocabulary.anomaly))


def test_an_empty_road_is_normal(street):
    vocabulary = street.default_vocabulary
    prediction = street.detect(road(), street.encode(vocabulary))
    ahead = np.s_[55:, 40:120]
    assert np.median(prediction.cell_score[ahead]) < 0.3
    names = [vocabulary.known[i].name for i in prediction.best_known[ahead].ravel()]
    assert names.count('flat') > 0.9 * len(names)


@pytest.mark.parametrize('name', sorted(OBJECTS))
def test_unusual_objects_stand_out_and_known_things_do_not(street, name):
    found = score_of(street, name, street.default_vocabulary)
    assert (found < THRESHOLD) if OBJECTS[name].known else (found > THRESHOLD)


@pytest.mark.parametrize('thing, known', [('car', 'vehicle'), ('person', 'human')])
def test_a_word_taken_away(street, thing, known):
    """What no prompt describes is anomalous, and still more so when it is named an anomaly."""
    vocabulary = street.default_vocabulary
    taken = next(c for c in vocabulary.known if c.name == known)
    usual, gone, named = (score_of(street, thing, v) for v in (
        vocabulary, without(vocabulary, known), without(vocabulary, known, taken)))
    assert usual < THRESHOLD < gone and gone <= named


def test_more_anomaly_words_leave_the_road_as_it_is(street):
    """The score keeps its meaning, whatever else is looked for."""
    vocabulary, picture = street.default_vocabulary, road()
    words = ('piano', 'violin', 'toothbrush', 'spaghetti', 'microscope', 'lipstick', 'envelope',
             'candle', 'calculator', 'necktie')
    more = Vocabulary(vocabulary.known,
                      (*vocabulary.anomaly, *(PromptClass(w, (w,)) for w in words)))
    a, b = (street.detect(picture, street.encode(v)).cell_score for v in (vocabulary, more))
    assert np.abs(a - b).mean() < 0.02 and np.quantile(np.abs(a - b), 0.9) < 0.05
