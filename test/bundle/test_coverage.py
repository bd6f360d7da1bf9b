# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which calibrated classes prompts no longer have, in the text spaces of three bundles."""

from __future__ import annotations

from contextlib import closing

import pytest
from vl4ad_ros.bundle import names
from vl4ad_ros.bundle.coverage import coverage_warning
from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.reader import load
from vl4ad_ros.prompts.vocabulary import Vocabulary


@pytest.fixture(scope='module', params=['mock', DEFAULT, 'tiny'])
def detector(request, mock_bundle):
    """Return a detector of each bundle that is there."""
    if request.param not in ('mock', *names()):
        pytest.skip(f"the bundle '{request.param}' is not installed")
    with closing(Detector.open(mock_bundle if request.param == 'mock' else request.param,
                               'onnxruntime', BackendOptions(threads=1))) as opened:
        yield opened


@pytest.fixture
def missing(detector):
    """Return a function from known entries to the names of the classes that they lack."""
    return lambda *known: detector.missing_classes(
        detector.encode(Vocabulary.from_strings(known)))


def test_own_prompts_lack_nothing_whatever_the_anomaly_words(detector):
    known = detector.default_vocabulary.known
    for vocabulary in (detector.default_vocabulary, Vocabulary(known)):
        assert detector.missing_classes(detector.encode(vocabulary)) == ()


def test_each_class_whose_words_are_removed_is_named(detector):
    known = detector.default_vocabulary.known
    for i, removed in enumerate(known):
        rest = detector.encode(Vocabulary(known[:i] + known[i + 1:]))
        assert detector.missing_classes(rest) == (removed.name,)


def test_the_same_words_in_other_classes_lack_nothing(detector):
    words = [w for c in detector.default_vocabulary.known for w in c.concepts]
    for known in (words, [f'all: {", ".join(words)}']):
        prompts = detector.encode(Vocabulary.from_strings(known))
        assert detector.missing_classes(prompts) == ()


def test_synonyms_stand_for_a_class_and_other_words_do_not(detector, missing):
    if detector.bundle.name == 'mock':
        assert missing('asphalt', 'bushes', 'blue', 'tyre', 'orange', 'cloud') == ()
        # Purple resembles orange, but not as much as a synonym does.
        assert missing('asphalt', 'bushes', 'blue', 'tyre', 'cloud', 'cow', 'sign') == ('truck',)
        assert missing('road') == ('vegetation', 'sky', 'car', 'truck', 'marking')
    elif detector.bundle.name == DEFAULT:
        for others in ('cityscapes', 'cityscapes_merged', 'mapillary'):
            assert missing(*map(str, load(others).known)) == ()
        assert {'flat', 'human', 'vehicle'}.isdisjoint(
            missing('street', 'pedestrian', 'automobile'))
        assert {'human', 'vehicle', 'two-wheeler'} <= set(missing('road', 'tree', 'house', 'sky'))
    else:
        assert missing(*map(str, load('cityscapes').known)) == ()
        assert {'sky', 'truck', 'bicycle'} <= set(missing('road', 'person', 'car'))


def test_the_sentence_names_some_classes():
    assert coverage_warning(()) == ''
    assert coverage_warning(('vehicle', 'human')) == (
        'the threshold was calibrated with known classes that the prompts no longer have: '
        'vehicle, human; their pixels will count as anomalies')
    assert ': 0, 1, 2, 3, 4, 5, 6, 7 and 12 more; their' in coverage_warning(
        tuple(map(str, range(20))))
