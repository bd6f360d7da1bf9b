# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped vocabularies, those of files, and references in both (needs PyYAML)."""

import hashlib
from pathlib import Path

import pytest

from vl4ad_ros import vocabularies
from vl4ad_ros.runtime.bundle import Bundle
from vl4ad_ros.synonyms import meaning
from vl4ad_ros.vocabularies import concepts_of, expand, load, open_list, read
from vl4ad_ros.vocabulary import Vocabulary, VocabularyError

KNOWN = ('cityscapes', 'cityscapes_merged', 'mapillary')
ANOMALY = ('road_obstacles', 'animals', 'unusual_vehicles', 'everything')
FOLDER = Path(vocabularies.__file__).parent
TINY = Bundle.open('tiny')


def strings(classes):
    return [str(c) for c in classes]


def all_concepts(classes):
    return [concept for c in classes for concept in c.concepts]


def test_shipped_names():
    assert set(vocabularies.names()) == {*KNOWN, *ANOMALY, 'coco_panoptic'}


@pytest.mark.parametrize('known', [*KNOWN, None])
@pytest.mark.parametrize('anomaly', ANOMALY)
def test_every_known_list_goes_with_every_anomaly_list(known, anomaly):
    vocabulary = (load(known, anomaly) if known
                  else read(['<bundle>'], [f'<{anomaly}>'], TINY.vocabulary))
    assert vocabulary.known and vocabulary.anomaly


@pytest.mark.parametrize('name', vocabularies.names())
def test_each_file_says_where_its_words_are_from_and_fits_one_line(name):
    text = (FOLDER / f'{name}.yaml').read_text()
    assert text.startswith('# ') and ('# Where from: ' in text or name == 'everything')
    assert 10 < len(open_list(name).about) < 65
    assert max(map(len, text.splitlines())) <= 99


def test_cityscapes_is_fc_clip_s_list():
    known = load('cityscapes').known
    assert len(known) == 19 and len(concepts_of('cityscapes')) == 60
    assert strings(known)[8] == 'vegetation: vegetation, tree, trees, palm tree, bushes'
    assert [c.name for c in known[11:13]] == ['person', 'rider']
    # Facts of FC-CLIP's ensemble: only these two classes have no concept of the COCO list.
    seen = concepts_of('coco_panoptic')
    assert [c.name for c in known if seen.isdisjoint(c.concepts)] == ['pole', 'rider']


@pytest.mark.parametrize('name, sha256', [
    ('cityscapes', '8324a5fa73ee469c'), ('coco_panoptic', '1982b2a1de45f194')])
def test_concepts_are_fc_clip_s_to_the_letter(name, sha256):
    # Of the official files' lines without number, names joined by commas.
    lines = [','.join(c.concepts) for c in load(name).known]
    assert hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:16] == sha256


def test_merging_moves_every_concept_and_changes_none():
    merged = load('cityscapes_merged').known
    assert sorted(all_concepts(merged)) == sorted(all_concepts(load('cityscapes').known))
    assert len(merged) == 8
    owner = {concept: c.name for c in merged for concept in c.concepts}
    for c in load('cityscapes').known:
        assert len({owner[concept] for concept in c.concepts}) == 1, c


def test_coco_panoptic_counts_and_is_not_for_driving():
    coco = load('coco_panoptic')
    assert len(coco.known) == 133 and coco.anomaly == ()
    assert len(concepts_of('coco_panoptic')) == 254
    assert [c.name for c in coco.known[:2]] == ['person', 'bicycle']
    assert str(coco.known[-1]) == 'rug-merged: rug'
    with pytest.raises(VocabularyError, match='everything'):
        load('coco_panoptic', 'everything')


def test_mapillary_leaves_out_what_is_to_be_found():
    assert {meaning(c) for c in all_concepts(load('mapillary').known)}.isdisjoint(map(meaning, (
        'animal', 'bird', 'caravan', 'trailer', 'boat', 'vehicle', 'trash', 'garbage can',
        'traffic cone', 'stroller')))


def test_everything_is_the_other_three_and_the_default():
    three = [c for name in ANOMALY[:3] for c in load('cityscapes', name).anomaly]
    assert load('cityscapes', 'everything').anomaly == tuple(three)
    assert load('cityscapes') == load('cityscapes', 'everything')
    assert (vocabularies.DEFAULT_KNOWN, vocabularies.DEFAULT_ANOMALY) == (
        'cityscapes_merged', 'everything')


@pytest.mark.parametrize('vocabulary', [
    load('cityscapes'), load('cityscapes_merged'),
    read(['<bundle>'], ['<everything>', 'hay bale'], TINY.vocabulary)])
def test_defaults_fit_the_shipped_bundle(vocabulary):
    assert len(vocabulary.classes) <= TINY.capacity.classes
    assert len(vocabulary.concepts) <= TINY.capacity.concepts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'site').mkdir()
    return tmp_path


def test_files_refer_to_names_and_to_files_beside_them(folder):
    (folder / 'site' / 'mine.yaml').write_text(
        'about: a quarry\n'
        "known: [road, 'vehicle: car, truck', <more.yaml>]\n"
        'anomaly: [<animals>, hay bale]\n')
    (folder / 'site' / 'more.yaml').write_text('known: [dump truck]\nanomaly: []\n')
    mine = load('site/mine.yaml')
    assert strings(mine.known) == ['road', 'vehicle: car, truck', 'dump truck']
    assert strings(mine.anomaly) == [*strings(open_list('animals').anomaly), 'hay bale']
    assert load('site/mine.yaml', 'site/more.yaml') == Vocabulary(mine.known)
    assert load('cityscapes', 'site/mine.yaml').anomaly == mine.anomaly
    assert read(['<site/mine.yaml>'], ['<site/mine.yaml>']) == mine
    assert concepts_of('site/mine.yaml') == set(mine.concepts)
    (folder / 'known.yaml').write_text('known: [road]')
    assert load('known.yaml').anomaly == load('cityscapes').anomaly


@pytest.mark.parametrize('text, reason', [
    ('', 'expected the keys known: or anomaly:'),
    ('- road', 'expected the keys known: or anomaly:'),
    ('about: x', 'expected a list known: or anomaly:'),
    ('known:', 'f.yaml, line 1: known must be a list'),
    ('known: road', 'f.yaml, line 1: known must be a list'),
    ('known: []', "'f.yaml' has no known: list"),
    ('anomaly: [cow]', "'f.yaml' has no known: list; of the shipped vocabularies cityscapes,"),
    ('known: [road]\nanomoly: [cow]', "line 2: unknown key 'anomoly'; expected each of about,"),
    ('? [known]\n: [road]', 'line 1: unknown key'),
    ('known: [< animals >]', "no vocabulary ' animals '"),
    ('known: [road]\nknown: [sky]', "line 2: a second 'known'"),
    ('about: [x]\nknown: [road]', 'line 1: about must be one line'),
    ('known:\n- road\n- vehicle: car', 'f.yaml, line 3: expected one entry in quotes'),
    ("known:\n- road\n- 'a: b,'", "f.yaml, line 3 'a: b,': empty name or concept"),
    ('known: [road,\n\n  ""]', "f.yaml, line 3 '': empty name"),
    ('known: [road, street, road]', "f.yaml, line 1 'road': class 'road' is also f.yaml, line 1"),
    ("known: ['road']\nanomaly: ['way: roads']",
     "line 2 'way: roads': 'roads' means the same as 'road' in f.yaml, line 1 'road'; remove"),
    ('known: ["road', 'f.yaml, line 1: not YAML'),
    ('known: [\a]', 'f.yaml: not YAML'),
    ('known: [<nothing>]', "line 1 '<nothing>': no vocabulary 'nothing'; expected one of animals"),
    ('known: [<bundle>]', "no vocabulary 'bundle'"),
    ('known: [<animals>]', "line 1 '<animals>': 'animals' has no known: list; of the shipped"),
    ('known: [<none.yaml>]', "line 1 '<none.yaml>': vocabulary file 'none.yaml' cannot be read"),
    ('known: [<f.yaml>]', "'f.yaml' includes itself"),
    ("known: ['a: <animals>']", '< and > stand around'),
])
def test_refusals_name_file_line_and_cure(folder, text, reason):
    (folder / 'f.yaml').write_text(text)
    with pytest.raises(VocabularyError) as refused:
        load('f.yaml')
    assert reason in str(refused.value) and '\n' not in str(refused.value)


def test_files_in_a_circle_and_in_no_encoding_are_refused(folder):
    (folder / 'a.yaml').write_text('known: [<b.yaml>]')
    (folder / 'b.yaml').write_text('known: [<a.yaml>]')
    with pytest.raises(VocabularyError, match='b.yaml, line 1.*includes itself'):
        load('a.yaml')
    (folder / 'c.yaml').write_bytes(b'known: [\xff]')
    with pytest.raises(VocabularyError, match='c.yaml: expected text in UTF-8'):
        load('c.yaml')


@pytest.mark.parametrize('name, reason', [
    ('nothing', "no vocabulary 'nothing'; expected one of animals, cityscapes,"),
    ('none.yaml', "'none.yaml' cannot be read .No such file.*one of animals, cityscapes,"),
])
def test_unknown_names_are_refused_with_the_known_ones(folder, name, reason):
    with pytest.raises(VocabularyError, match=reason):
        load(name)


def test_references_expand_in_place():
    bundled = Vocabulary.from_strings(['road', 'sky'], ['cow'])
    vocabulary = read(['<bundle>', 'car'], ['box', ' <bundle> ', 'hay bale'], bundled)
    assert vocabulary.to_strings() == (['road', 'sky', 'car'], ['box', 'cow', 'hay bale'])
    assert read(['<bundle>'], [''], bundled).anomaly == ()
    assert read(['<bundle>'], ['<bundle>', 'box'], Vocabulary.from_strings(['road'])).anomaly == (
        *expand(['box'], 'anomaly'),)


@pytest.mark.parametrize('known, anomaly, reason', [
    (['road'], ['<animals>', '<everything>'],
     r"prompts.anomaly\[1\] '<everything>' 'animal: .*is also prompts.anomaly\[0\] '<animals>'"),
    (['road'], ['box', '<everythin>'],
     r"prompts.anomaly\[1\] '<everythin>': no vocabulary 'everythin'; expected one of animals"),
    (['<cityscapes>'], ['<animals>', 'auto: automobile'],
     r"prompts.anomaly\[1\] 'auto: automobile': 'automobile' means the same as 'car' in "
     r"prompts.known\[0\] '<cityscapes>' 'car: car, cars'; remove one of them"),
    (['road', 'hound: dogs'], ['<everything>'],
     r"prompts.anomaly\[0\] '<everything>' 'dog: .*in prompts.known\[1\] 'hound: dogs'"),
])
def test_refusals_name_the_entry_that_was_written(known, anomaly, reason):
    with pytest.raises(VocabularyError, match=reason):
        read(known, anomaly)
