# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of words in benchmarks/words with a street bundle (needs torch, onnx)."""

from contextlib import closing

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnx_ir')
pytest.importorskip('onnxruntime')
pytest.importorskip('open_clip')
pytest.importorskip('torchvision')

from benchmarks.words.__main__ import main, Subject  # noqa: E402, I100
from benchmarks.words.model import Words  # noqa: E402
from benchmarks.words.pictures import draw  # noqa: E402
from benchmarks.words.rows import SKIPPED_FOR_STREET, TABLES  # noqa: E402
from benchmarks.words.tables import report  # noqa: E402
from vl4ad_workshop.network.uncertainty import uncertainty  # noqa: E402

ROWS = list(TABLES[0].rows)
COMPARED = [row for row in ROWS if 'VL4AD' in row or 'control' in row]


@pytest.fixture(scope='module')
def subject(street_bundle):
    opened = Subject(str(street_bundle), validation=False)
    with closing(opened.detector):
        yield opened


@pytest.fixture(scope='module')
def frame():
    return draw(0, 'masks', size=(176, 320))


@torch.inference_mode()
def test_products_with_words_are_what_the_runtime_computes(subject, frame):
    prompts = subject.detector.encode(subject.bundle.vocabulary)
    words = Words.of(prompts, subject.bundle.ensemble)
    answer = subject.model(frame.image)
    found = subject.detector.detect(frame.image, prompts)
    u = answer.score(uncertainty, words)
    # Random weights give known classes little, so the spread is the measure.
    spread = found.uncertainty.std()
    assert spread > 1e-4
    assert np.abs(u.numpy() - found.uncertainty).max() < spread / 20
    best = answer.naming(words).argmax(0).numpy()
    assert (best == found.best_known).mean() > 0.999
    assert answer.on_picture(u).shape == (176, 320)


@torch.inference_mode()
def test_words_are_compared_and_what_the_network_lacks_is_skipped_aloud(subject, frame):
    answer = subject.model(frame.image)
    for part in subject.parts:
        part.add(answer, frame, 'masks')
    study = subject.result(1)
    figures = study['pixels']['masks']
    assert len(COMPARED) == 5 and set(COMPARED) <= set(figures)
    assert set(figures).isdisjoint(set(ROWS) - set(COMPARED))
    assert len({figures[row]['ap'] for row in COMPARED}) == 5
    assert study['prompt_changes'] and study['segmentation']['miou'] > 0
    # One picture does not have figures for all columns.
    said = report([{**study, 'pixels': {'masks': figures}}], TABLES)
    for part, why in SKIPPED_FOR_STREET.items():
        assert f'Skipped: {part}, because {why}.' in said and f'## {part}' not in said
    assert 'decoder' not in said and '| ID mIoU | ' in said
    assert all(row in said for row in COMPARED)


def test_settings_of_another_classification_are_refused(street_bundle):
    with pytest.raises(SystemExit, match='street network, and --validation'):
        main([str(street_bundle), '--validation'])


def test_networks_of_two_kinds_are_not_averaged(tmp_path):
    recorded = tmp_path / 'tiny.json'
    recorded.write_text('{"pictures": 2, "split": "test", "studies": [{"bundle": "tiny"}]}')
    street = tmp_path / 'street.json'
    street.write_text('{"pictures": 2, "split": "test", "studies": [{"street": true}]}')
    with pytest.raises(SystemExit, match='one after the other'):
        main([str(recorded), str(street), '--pictures', '2'])
