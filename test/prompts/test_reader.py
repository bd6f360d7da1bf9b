# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped vocabularies, those of files, and references in both (needs PyYAML)."""

import hashlib
import itertools
import os
from pathlib import Path
import random
import time

import pytest

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.prompts import reader as vocabularies
from vl4ad_ros.prompts.reader import (
    check_entries, concepts_of, expand, LARGEST_FILE, load, names_file, open_list, read)
from vl4ad_ros.prompts.synonyms import meaning
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError

KNOWN = ('cityscapes', 'cityscapes_merged', 'mapillary')
ANOMALY = ('road_obstacles', 'animals', 'unusual_vehicles', 'everything')
YAML = 'known: [],{}-\n"\'&*!|>%@`?#\\ \t\0~<>.\x85\ufeff道'
FOLDER = Path(vocabularies.__file__).parent / 'lists'
SHIPPED = Bundle.open(DEFAULT)


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
                  else read(['<bundle>'], [f'<{anomaly}>'], SHIPPED.vocabulary))
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
    read(['<bundle>'], ['<everything>', 'hay bale'], SHIPPED.vocabulary)])
def test_defaults_fit_the_shipped_bundle(vocabulary):
    assert len(vocabulary.classes) <= SHIPPED.capacity.classes
    assert len(vocabulary.concepts) <= SHIPPED.capacity.concepts


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
    ('known: ["road', 'f.yaml, line 1: expected YAML'),
    ('known: [\a]', 'f.yaml: expected YAML ('),
    ('known: ["\\UFFFFFFFF"]', 'f.yaml: expected YAML ('),  # an OverflowError of PyYAML
    ('known: ["\\U00110000"]', 'f.yaml: expected YAML ('),  # a ValueError
    ('%YAML 1.' + '9' * 5000 + '\n---\nknown: [a]', 'f.yaml: expected YAML ('),
    ('known: ["\\ud800"]', r"f.yaml, line 1 '\ud800': the character U+D800"),
    ('known: ["ro\\0ad"]', r"f.yaml, line 1 'ro\x00ad': the character U+0000"),
    ('known: ["road; sky"]', "f.yaml, line 1 'road; sky': a list in an entry without a name"),
    ('known:\n- |\n  road\n  sky', "line 2 'road\\nsky': a list in an entry without a name"),
    ('known: [<~nouser/x.yaml>]', "'~nouser/x.yaml' is not the path of a file (Could not"),
    ('known: ["<a\\0.yaml>"]', r"'a\x00.yaml' is not the path of a file (embedded null byte)"),
    ('known: ["<a\\ud800.yaml>"]', r"'a\ud800.yaml' is not the path of a file"),
    ('known: [<site.yaml>]', "'site.yaml' is a directory; expected a regular file"),
    ('known: [<nothing>]', "line 1 '<nothing>': no vocabulary 'nothing'; expected one of animals"),
    ('known: [<bundle>]', "no vocabulary 'bundle'"),
    ('known: [<animals>]', "line 1 '<animals>': 'animals' has no known: list; of the shipped"),
    ('known: [<none.yaml>]', "line 1 '<none.yaml>': vocabulary file 'none.yaml' cannot be read"),
    ('known: [<f.yaml>]', "'f.yaml' includes itself"),
    ("known: ['a: <animals>']", '< and > mark a reference'),
])
def test_refusals_name_file_line_and_cure(folder, text, reason):
    (folder / 'f.yaml').write_text(text)
    (folder / 'site.yaml').mkdir()
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


def test_block_styles_of_yaml_and_aliases_are_read(folder):
    (folder / 'f.yaml').write_text(
        '\ufeffknown:\n- |\n  road\n- >\n  vehicle: car,\n  truck\nanomaly: [&a cow, <g.yaml>]\n')
    (folder / 'g.yaml').write_text('anomaly: &a [box]\nknown: *a\n')
    assert load('f.yaml').to_strings() == (['road', 'vehicle: car, truck'], ['cow', 'box'])


def refusals(path):
    """Yield what each function says that takes the path of a list."""
    for opens in (load, open_list, lambda p: load('cityscapes', p),
                  lambda p: read([f'<{p}>']), lambda p: read(['road'], [f'<{p}>'])):
        with pytest.raises(VocabularyError) as refused:
            opens(path)
        said = str(refused.value)
        assert '\n' not in said and len(said) < 900
        said.encode()
        yield said


@pytest.mark.parametrize('path, reason', [
    ('pipe.yaml', "'pipe.yaml' is a named pipe; expected a regular file"),
    ('zero.yaml', "'zero.yaml' is a device; expected a regular file"),
    ('folder.yaml', "'folder.yaml' is a directory; expected a regular file"),
    ('large.yaml', "'large.yaml' has 262145 bytes; expected at most 262144"),
    ('loop.yaml', "'loop.yaml' cannot be read (Too many levels of symbolic links)"),
    ('loop.yaml/f.yaml', "'loop.yaml/f.yaml' cannot be read (Too many levels of symbolic links)"),
    ('~nouser/f.yaml', "'~nouser/f.yaml' is not the path of a file (Could not determine home"),
    ('a\0.yaml', r"'a\x00.yaml' is not the path of a file"),
    ('a\ud800.yaml', r"'a\ud800.yaml' is not the path of a file"),
    ('a\udcff.yaml', r"'a\udcff.yaml' cannot be read (No such file"),
    ('x' * 4000 + '.yaml', "xxx...' cannot be read (File name too long)"),
    ('\n.yaml', r"'\n.yaml' cannot be read (No such file"),
    ('n' * 4000, "no vocabulary 'nnn"),
], ids=itertools.count())
def test_odd_files_and_paths_are_refused(folder, path, reason):
    os.mkfifo(folder / 'pipe.yaml')
    (folder / 'zero.yaml').symlink_to('/dev/zero')
    (folder / 'loop.yaml').symlink_to('loop.yaml')
    (folder / 'folder.yaml').mkdir()
    (folder / 'large.yaml').write_bytes(b'#' * (LARGEST_FILE + 1))
    assert all(reason in said for said in refusals(path))


@pytest.mark.parametrize('text, reason', [
    (f'anomaly: [{"a," * 100_000}]', 'expected YAML with lists of words (more than 4000'),
    ('known: ' + '[' * 200_000, 'f.yaml, line 1: expected YAML with lists of words (more than'),
    (f'anomaly: []\nknown: ["{"a" * 100_001}"]', 'line 2: known has 100001 characters, at most'),
    (f'known: [&a "x: {"y," * 40}y"{", *a" * 99}]', 'line 1: known has 4100 concepts, at most'),
    ('known: [&a0 [x, x]' + ''.join(
        f', &a{i} [{", ".join(9 * [f"*a{i - 1}"])}]' for i in range(1, 50)) + ']',
     'line 1: expected one entry in quotes'),
    ('known: &a [x, *a]', 'line 1: expected one entry in quotes'),
    ('known: [<0.yaml>]', 'files refer to each other more than 8 levels deep; put their entries'),
    ('known: [' + ', '.join(f'<one{i}.yaml>' for i in range(40)) + ']',
     "line 1 '<one31.yaml>': more than 32 files; put their entries into fewer files"),
    ('known: [' + '<word.yaml>, ' * 3000 + ']',
     "line 1 '<word.yaml>': with this entry the list has more than 4000 concepts; remove some"),
], ids=itertools.count())
def test_files_beyond_a_limit_are_refused_soon(folder, text, reason):
    (folder / 'f.yaml').write_text(text)
    (folder / 'word.yaml').write_text('known: [a, b]')
    for i in range(40):
        (folder / f'one{i}.yaml').write_text(f'known: [word {i}]')
    for i in range(400):
        (folder / f'{i}.yaml').write_text(f'known: [<{i + 1}.yaml>, <{i + 1}.yaml>]')
    started = time.process_time()
    with pytest.raises(VocabularyError) as refused:
        load('f.yaml')
    assert time.process_time() - started < 1 and len(str(refused.value)) < 500
    assert reason in str(refused.value)


def test_home_of_nobody_is_refused(folder, monkeypatch):
    monkeypatch.delenv('HOME')
    monkeypatch.setattr('pwd.getpwuid', lambda uid: {}[uid])
    assert all('is not the path of a file (Could not' in said for said in refusals('~/f.yaml'))


def test_each_file_is_opened_once_in_a_reading(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(vocabularies, 'read_regular',
                        lambda path, limit: opened.append(path) or Path(path).read_bytes())
    for i in range(5):
        (folder / f'{i}.yaml').write_text(
            f'known: [road {i}]\nanomaly: [' + f'<{i + 1}.yaml>, ' * 500 + ']')
    (folder / '5.yaml').write_text('anomaly: []')
    started = time.process_time()
    read(['<0.yaml>', '<1.yaml>'], ['<0.yaml>', f'<{folder}/1.yaml>'])
    assert len(opened) == 6 and time.process_time() - started < 2


def test_entries_are_checked_without_opening_files(folder, monkeypatch):
    def read_regular(path, limit):
        raise AssertionError(f'{path} was opened')

    assert open_list('everything') and open_list('cityscapes')  # in memory from now on
    monkeypatch.setattr(vocabularies, 'read_regular', read_regular)
    entries = ['<none.yaml>', '<~nouser/x.yml>', 'road', 'vehicle: car', '<bundle>']
    check_entries(entries, 'known')
    check_entries([*entries, '<everything>'], 'anomaly')
    check_entries([''], 'anomaly')
    for entry, reason in (('cow, sheep', 'a list in an entry'), ('<none>', "no vocabulary 'none'"),
                          ('<cityscapes>', 'has no anomaly: list'), ('x' * 300, 'at most 200'),
                          ('', 'empty name')):
        with pytest.raises(VocabularyError, match=rf'prompts.anomaly\[1\].*{reason}'):
            check_entries(['box', entry], 'anomaly')
    with pytest.raises(VocabularyError, match='5000 entries'):
        check_entries(['<x.yaml>'] * 5000, 'known')


@pytest.mark.parametrize('entries, named', [
    (['road', ' <site/mine.yaml> '], True), (['<x.yml>'], True),
    (['<bundle>', '<animals>'], False),
    (['road', '<nothing>', 'x.yaml', 'a: <x.yaml>', ''], False), ([], False)])
def test_whether_entries_name_a_file(entries, named):
    assert names_file(entries) is named


def test_odd_files_are_read_or_refused_and_nothing_else(folder):
    rng = random.Random(0)
    read_ones = 0
    for _ in range(600):
        text = rng.choice(['known: [', 'known:\n- ', 'known: ["', 'anomaly: [<f.yaml>, ', '%']) + (
            ''.join(rng.choices(YAML, k=rng.randint(0, 12)))
            + rng.choice(['', ']', '"]']))
        (folder / 'f.yaml').write_text(text)
        try:
            read(['<f.yaml>'], ['<f.yaml>', ''.join(rng.choices('<>~/.yaml\0\ud800', k=8))])
            open_list('f.yaml')
        except VocabularyError as error:
            assert '\n' not in str(error)
            str(error).encode()
        try:
            open_list('f.yaml')
            read_ones += 1
        except VocabularyError:
            pass
    assert read_ones > 10


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
