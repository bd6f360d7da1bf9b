# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""By prompt alone, what was normal is anomalous and the reverse: the shipped weights (no DDS)."""

from contextlib import closing

import numpy as np
import pytest

from vl4ad_ros.inference.detector import Detector
from vl4ad_workshop.demo.second_act import Phase
from vl4ad_workshop.scenes.halt import Halt
from vl4ad_workshop.scenes.kinds import KINDS

PICTURES = 6
SMALLEST = 300  # pixels

# Kind: by how much at least the median score of its pixels changes, and where it must lie then,
# above for a class taken from the known prompts and below for one put among them.
TAKEN_AWAY = {'car': (0.5, 0.6), 'truck': (0.4, 0.5), 'building': (0.5, 0.6), 'road': (0.5, 0.6),
              'vegetation': (0.5, 0.6)}
PUT_IN = {'cow': (0.5, 0.3), 'cone': (0.5, 0.3), 'sofa': (0.5, 0.3)}

# Kind, metres ahead, metres right of the road's middle.
THINGS = (('truck', 16.0, -2.2), ('car', 8.0, -1.8), ('sofa', 7.0, 0.9), ('cone', 5.0, 1.9),
          ('cow', 8.0, 4.2))


@pytest.fixture(scope='module')
def detector():
    with closing(Detector.open('tiny')) as with_model:
        yield with_model


@pytest.fixture(scope='module')
def pictures():
    """Return pictures of the held-out split with every kind in the tables, large enough."""
    drawn = [Halt(seed, THINGS, 1.0, split='test').draw(0).frame for seed in range(PICTURES)]
    for kind in (*TAKEN_AWAY, *PUT_IN):
        assert sum(where(frame, kind).sum() >= SMALLEST for frame in drawn) >= PICTURES // 2
    return drawn


@pytest.fixture(scope='module')
def medians(detector, pictures):
    """Return a function from prompts to the median score of each kind over pictures."""
    def of(phase):
        prompts = detector.encode(phase.prompts(detector.default_vocabulary))
        scores = [detector.detect(frame.image, prompts).score for frame in pictures]
        return {kind: float(np.median([
            np.median(score[where(frame, kind)]) for frame, score in zip(pictures, scores)
            if where(frame, kind).sum() >= SMALLEST])) for kind in (*TAKEN_AWAY, *PUT_IN)}
    return of


@pytest.fixture(scope='module')
def before(medians):
    return medians(Phase("the bundle's own"))


def where(frame, kind):
    """Return the (H, W) mask of a kind's pixels."""
    return np.isin(frame.segments, [i for i, name in enumerate(frame.kinds) if name == kind])


@pytest.mark.parametrize('kind', TAKEN_AWAY)
def test_what_is_no_longer_known_is_anomalous(kind, medians, before):
    change, least = TAKEN_AWAY[kind]
    after = medians(Phase('', not_known=(kind,)))[kind]
    assert after > before[kind] + change and after > least, f'{before[kind]:.3f} -> {after:.3f}'


@pytest.mark.parametrize('kind', TAKEN_AWAY)
def test_what_is_said_not_to_belong_is_anomalous(kind, medians, before):
    change, least = TAKEN_AWAY[kind]
    after = medians(Phase('', anomalous=(kind,)))[kind]
    assert after > before[kind] + change and after > least, f'{before[kind]:.3f} -> {after:.3f}'


@pytest.mark.parametrize('kind', PUT_IN)
def test_what_is_said_to_be_normal_is_normal(kind, medians, before):
    change, most = PUT_IN[kind]
    after = medians(Phase('', also_known=(kind,)))[kind]
    assert after < before[kind] - change and after < most, f'{before[kind]:.3f} -> {after:.3f}'


def test_the_words_of_one_kind_leave_the_others_as_they_were(medians, before):
    """A cow that is normal makes no sofa normal."""
    after = medians(Phase('', also_known=('cow',)))
    for kind in {*TAKEN_AWAY, *PUT_IN} - {'cow'}:
        said = f'{kind}: {before[kind]:.3f} -> {after[kind]:.3f}'
        assert abs(after[kind] - before[kind]) < 0.1, said


def test_the_kinds_are_what_the_tables_say():
    assert all(KINDS[kind].group == 'known' for kind in TAKEN_AWAY)
    assert not any(KINDS[kind].group == 'known' for kind in PUT_IN)
