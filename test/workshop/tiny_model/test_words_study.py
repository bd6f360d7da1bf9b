# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What benchmarks/words counts and how it prints it (needs torch, onnx)."""

from contextlib import closing
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('open_clip')
pytest.importorskip('torchvision')

import benchmarks.words  # noqa: E402, I100
from benchmarks.words.__main__ import main, recorded  # noqa: E402, I100
from benchmarks.words.model import StudyModel, Words  # noqa: E402
from benchmarks.words.pictures import counted, draw, labels, on_things  # noqa: E402
from benchmarks.words.prompts import (  # noqa: E402
    merge, prepared, random_like, right_classes, without_anomalies, wrong_classes)
from benchmarks.words.segmentation import best_ious, class_map, coarse, confusion  # noqa: E402
from benchmarks.words.tables import spread  # noqa: E402
from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.inference.detector import Detector  # noqa: E402
from vl4ad_ros.inference.letterbox import Letterbox  # noqa: E402
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary  # noqa: E402
from vl4ad_workshop.network.uncertainty import uncertainty  # noqa: E402
from vl4ad_workshop.scenes.frame import Frame  # noqa: E402
from vl4ad_workshop.scenes.kinds import KINDS, NEAR  # noqa: E402
from vl4ad_workshop.training.real.validation import Agreement  # noqa: E402

FRAME = Frame(np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, 2], [3, -1, 0]], np.int32),
              ('road', 'cow', 'tractor', 'car'))


@pytest.fixture(scope='module')
def detector():
    with closing(Detector.open('tiny', 'onnxruntime')) as opened:
        yield opened


@pytest.mark.parametrize('values, text', [
    ([0.726], '72.6'), ([0.7, 0.8, 0.9], '80.0 ± 10.0'), ([0.5, 0.5], '50.0 ± 0.0'),
    ([0.5, None], '-'), ([], '-')])
def test_several_bundles_are_mean_and_sample_deviation(values, text):
    assert spread(values) == text
    assert spread([0.125, 0.375], 1, 2) == '0.25 ± 0.18'


def test_near_kinds_count_in_their_own_column_only():
    assert labels(FRAME).tolist() == [[0, 1, 1], [0, 255, 0]]
    assert labels(FRAME, counted('masks')).tolist() == [[0, 1, 255], [0, 255, 0]]
    assert labels(FRAME, counted('near')).tolist() == [[0, 255, 1], [0, 255, 0]]
    assert on_things(FRAME).tolist() == [[False, True, True], [True, False, False]]
    assert NEAR <= set(KINDS) and NEAR == counted('near')


def test_the_best_mask_of_an_object_counts():
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :2], masks[1, :, :2] = True, True  # the third is empty
    whole, corner = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    corner[0, :2] = True
    assert best_ious(masks, [masks[0], whole, corner]) == [1.0, 0.5, 0.25]


def test_miou_is_over_known_classes_that_occur():
    known = (PromptClass('ground', ('road',)), PromptClass('car', ('car', 'auto')),
             PromptClass('sky', ('sky',)))
    truth = class_map(FRAME, known)
    assert truth.tolist() == [[0, -1, -1], [1, -1, 0]]
    guess = np.array([[0, 1, 1], [1, 2, 1]])
    counts = confusion(truth, guess, 3) + confusion(truth, truth, 3)
    assert counts.tolist() == [[3, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert Agreement(counts).mean_iou == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_what_is_thinner_than_half_a_cell_is_lost_on_the_cells():
    truth = np.zeros((16, 32), int)
    truth[:, 8:16], truth[:, 19:22], truth[:4] = 1, 2, -1
    seen = coarse(truth, 3, Letterbox((16, 32), (16, 32), 8))
    assert (seen[:, :8] == 0).all() and (seen[:, 9:15] == 1).all() and not (seen == 2).any()
    assert (coarse(truth, 3, Letterbox((16, 32), (16, 32), 1)) == 2).sum() == 3 * 12


def test_recorded_studies_stand_for_their_bundles(tmp_path):
    file = tmp_path / 'seed.json'
    file.write_text(json.dumps({'pictures': 2, 'split': 'test', 'studies': [{'bundle': 'a'}]}))
    assert recorded(file, 2, 'test') == [{'bundle': 'a'}]
    with pytest.raises(SystemExit, match='2 test pictures a group, not 120 test ones'):
        recorded(file, 120, 'test')


def test_the_first_recorded_seed_is_the_shipped_bundle():
    """Or what it was exported from: an export leaves weights, prompts and calibration alone."""
    file = Path(benchmarks.words.__file__).parent / 'seeds' / '0.json'
    bundle = Bundle.open('tiny')
    digests = {bundle.digest, *(e.get('from_digest') for e in bundle.provenance['exports'])}
    assert {s['digest'] for s in recorded(file, 120, 'test')} <= digests


@pytest.mark.parametrize('column', ['masks', 'words', 'unseen', 'near'])
def test_wrong_words_are_as_many_and_of_other_kinds(column):
    right = right_classes(column)
    wrong, again = (wrong_classes(column, np.random.default_rng(i)) for i in range(2))
    assert len(wrong) == len({c.concepts for c in wrong}) == len(right) and wrong != again
    own = {w for k in counted(column) for w in KINDS[k].words}
    assert own.isdisjoint(w for c in wrong for w in c.concepts)
    assert {w for c in right for w in c.concepts} <= own


def test_random_vectors_lie_where_the_texts_lie():
    rng = np.random.default_rng(0)
    texts = rng.normal([0.9, 0.1, 0.0, -0.3], [0.05, 0.1, 0.2, 0.01], (4000, 4))
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    drawn = random_like(texts, rng)
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    assert np.allclose(drawn.mean(0), texts.mean(0), atol=0.02)
    assert np.allclose(drawn.std(0), texts.std(0), atol=0.03)


def test_merging_keeps_every_word():
    known = (PromptClass('car', ('car', 'auto')), PromptClass('truck', ('truck',)),
             PromptClass('gnome', ('gnome',)))
    assert [c.concepts for c in merge(known)] == [('car', 'auto', 'truck'), ('gnome',)]


def test_known_words_for_anomalies_of_the_pictures_are_left_out():
    vocabulary = Vocabulary.from_strings(['ground: road, rocks', 'boulder'], ['cow'])
    assert without_anomalies(vocabulary) == (
        Vocabulary.from_strings(['ground: road'], ['cow']), ('rocks', 'boulder'))
    assert without_anomalies(Vocabulary.from_strings(['road'], ['rock']))[1] == ()


def test_a_kind_is_taken_out_of_other_words_before_it_becomes_a_class():
    vocabulary = Vocabulary.from_strings(
        ['construction: building, edifice, wall'], ['horse: horse, donkey', 'box'])
    assert prepared(vocabulary, 'building') == Vocabulary.from_strings(
        ['construction: wall'], ['horse: horse, donkey', 'box'])
    assert prepared(vocabulary, 'horse') == Vocabulary.from_strings(
        ['construction: building, edifice, wall'], ['box'])


def test_products_with_words_are_what_the_runtime_computes(detector):
    """One run of the network for all prompts, and the same uncertainty as with these prompts."""
    frame = draw(0, 'words', size=(180, 300))
    prompts = detector.encode(detector.default_vocabulary)
    model = StudyModel(detector.bundle)
    answer = model(frame.image)
    u = answer.score(uncertainty, Words.of(prompts, detector.bundle.ensemble), model.options)
    expected = detector.detect(frame.image, prompts).uncertainty
    assert np.abs(answer.letterbox.crop(u.numpy()) - expected).max() < 1e-4
    assert answer.on_picture(u).shape == (180, 300)
    assert answer.on_picture(answer.mask_logits).shape == (180, 300, len(answer.void))


@pytest.mark.slow
def test_the_whole_study_of_two_bundles(tmp_path, capsys):
    main(['tiny', 'tiny', '--pictures', '2', '--json', str(tmp_path / 'study.json'),
          '--pictures-out', str(tmp_path / 'strips')])
    said = capsys.readouterr().out
    for title in ('## Stages', '## Scores, prompts', "## The paper's", '## Prompt changes'):
        assert title in said
    assert '± 0.0 ' in said
    studies = json.loads((tmp_path / 'study.json').read_text())['studies']
    assert studies[0]['pixels'] == studies[1]['pixels']
    assert list((tmp_path / 'strips').glob('*.png'))
    main([str(tmp_path / 'study.json'), '--pictures', '2'])
    assert capsys.readouterr().out.partition('## ')[2] == said.partition('## ')[2].partition(
        str(tmp_path))[0]


@pytest.mark.slow
def test_validation_chooses_without_what_was_never_seen(capsys):
    main(['--pictures', '2', '--validation'])
    said = capsys.readouterr().out
    assert 'never seen' not in said and 'as shipped' in said and 'AP - FPR95' in said
