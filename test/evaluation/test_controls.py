# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped weights' words against their controls, docs/tiny_model.md (needs torch, onnx)."""

from contextlib import closing

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('onnx')

from benchmarks.words.model import StudyModel  # noqa: E402, I100
from benchmarks.words.pictures import draw  # noqa: E402
from benchmarks.words.prompts import common_prompts, control_prompts, Encoder  # noqa: E402
from benchmarks.words.rows import TABLES  # noqa: E402
from benchmarks.words.scores import PixelFigures  # noqa: E402
from vl4ad_ros.runtime.detector import Detector  # noqa: E402

PICTURES, SIZE = 40, (192, 320)
# Of the default prompts, by group: kinds with training masks, and of the CLIP stage only. Each
# bound is what the shipped weights reach on these pictures, less a margin for other machines.
LEAST_AP = {'masks': 0.84, 'words': 0.82}
MOST_FPR95 = {'masks': 0.11, 'words': 0.16}
LEAST_AUROC_ON_THINGS = {'masks': 0.93, 'words': 0.91}
# By how much AP must exceed another row's.
DEFAULT_OVER_ID_ONLY = {'masks': 0.04, 'words': 0.01}
RIGHT_OVER_WRONG = {'masks': 0.04, 'words': 0.005}
RIGHT_OVER_RANDOM = {'masks': 0.04, 'words': 0.007}
BOTH = pytest.mark.parametrize('group', LEAST_AP)
SCORES = TABLES[0].rows
ID_ONLY, DEFAULT, RIGHT, WRONG, RANDOM = (
    next(name for name in SCORES if word in name)
    for word in ('VL4AD, ID-only', 'default', 'own', 'wrong', 'random'))


@pytest.fixture(scope='module')
def figures():
    """Return the figures of these rows by group and row."""
    with closing(Detector.open('tiny', 'onnxruntime')) as detector, torch.inference_mode():
        model, encode = StudyModel(detector.bundle), Encoder(detector)
        counter = PixelFigures(
            {row: SCORES[row] for row in (ID_ONLY, DEFAULT, RIGHT, WRONG, RANDOM)},
            common_prompts(encode), {g: control_prompts(encode, g) for g in LEAST_AP},
            model.options)
        for group in LEAST_AP:
            for i in range(PICTURES):
                frame = draw(i, group, size=SIZE)
                counter.add(model(frame.image), frame, group)
        return counter.result()


def ap(figures, group, row):
    return figures[group][row]['ap']


@BOTH
def test_anomalies_are_found(figures, group):
    found = figures[group][DEFAULT]
    assert found['ap'] > LEAST_AP[group]
    assert found['fpr95'] < MOST_FPR95[group]


@BOTH
def test_they_are_told_from_other_things(figures, group):
    """A detector of things would have 0.5."""
    assert figures[group][DEFAULT]['auroc_things'] > LEAST_AUROC_ON_THINGS[group]


@BOTH
def test_anomaly_prompts_help_at_the_same_temperature(figures, group):
    assert ap(figures, group, DEFAULT) > (
        ap(figures, group, ID_ONLY) + DEFAULT_OVER_ID_ONLY[group])


@BOTH
def test_right_words_win_over_wrong_ones(figures, group):
    assert ap(figures, group, RIGHT) > ap(figures, group, WRONG) + RIGHT_OVER_WRONG[group]


@BOTH
def test_right_words_win_over_random_vectors_like_them(figures, group):
    assert ap(figures, group, RIGHT) > ap(figures, group, RANDOM) + RIGHT_OVER_RANDOM[group]
