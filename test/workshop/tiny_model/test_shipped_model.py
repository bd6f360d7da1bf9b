# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model in the package on held-out drawn pictures, with coarse bounds (needs onnxruntime)."""

import numpy as np
import pytest

from vl4ad_ros.evaluation.pixel_metrics import IGNORE, PixelMetrics
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.scenes.kinds import KINDS
from vl4ad_workshop.scenes.still import draw_still


@pytest.fixture(scope='module')
def detector():
    with_model = Detector.open('tiny')
    yield with_model
    with_model.close()


@pytest.fixture(scope='module')
def pictures():
    return [draw_still(np.random.default_rng([77, i]), (360, 640), groups=('known', 'masks'),
                       split='test') for i in range(12)]


def auroc(detector, prompts, pictures):
    metrics = PixelMetrics()
    for frame in pictures:
        anomalous = np.array([KINDS[k].group != 'known' for k in frame.kinds] + [False])
        label = np.where(frame.segments < 0, IGNORE, anomalous[frame.segments])
        metrics.add(detector.detect(frame.image, prompts).score, label.astype(np.uint8))
    return metrics.result().auroc


def test_finds_what_no_prompt_fits(detector, pictures):
    """Measured: 0.94 on 120 pictures (docs/tiny_model.md)."""
    assert auroc(detector, detector.encode(detector.default_vocabulary), pictures) > 0.85


def test_listens_to_what_belongs(detector, pictures):
    """What the road is called decides whether the road is normal."""
    known = detector.default_vocabulary.known
    frame = next(p for p in pictures if 'road' in p.kinds)
    road = frame.segments == frame.kinds.index('road')

    def road_score(classes):
        prompts = detector.encode(Vocabulary(classes))
        return float(np.median(detector.detect(frame.image, prompts).score[road]))

    assert road_score(known) < 0.2
    assert road_score(tuple(c for c in known if c.name != 'road')) > road_score(known) + 0.2


def test_says_that_it_is_not_for_driving(detector):
    assert 'not for driving' in detector.bundle.notice
    # What no stage of the training saw must not be prompted for.
    unseen = {w for k in KINDS.values() if k.group == 'unseen' for w in k.words}
    assert not unseen & set(detector.default_vocabulary.concepts)
