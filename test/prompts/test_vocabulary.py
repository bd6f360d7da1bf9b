# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary and its refusals (needs nothing)."""

import itertools
import random
import time

import pytest

from vl4ad_ros.prompts.vocabulary import (
    MOST_CHARACTERS, MOST_CONCEPTS, PromptClass, script_warnings, Vocabulary, VocabularyError)

# Of odd prompts: separators, quotes, controls, invisible, lone, wide and foreign characters.
ODD = ("aAbZ9 ,;:.!?<>/|\\'\"()[]{}_-+*&#`=\0\t\n\r\x1b\x7f\x85\xa0\xad\u0301\u034f\u1680"
       '\u200b\u200d\u200f\u2028\u2029\u202e\u2066\u2800\u3000\u3164\ud800\udfff\ue000\ufe0f\ufeff'
       '\uffff\U000e0001\U0010ffff道路ありдقक१½²™ﬁﷺßİ，；：。、·•–—…’“«🚗')


@pytest.mark.parametrize('entry, name, concepts', [
    ('road', 'road', ('road',)),
    ('  Vegetation:  Tree ,trees ', 'Vegetation', ('tree', 'trees')),
    ('traffic  light', 'traffic light', ('traffic light',)),
    ('st. bernard', 'st. bernard', ('st. bernard',)),
    ('No. 5 sign', 'No. 5 sign', ('no. 5 sign',)),
    ('jersey barrier (concrete)', 'jersey barrier (concrete)', ('jersey barrier (concrete)',)),
    ("driver's licence", "driver's licence", ("driver's licence",)),
    ('T-shirt', 'T-shirt', ('t-shirt',)),
    ('a/c unit', 'a/c unit', ('a/c unit',)),
    ('U.S. mail truck', 'U.S. mail truck', ('u.s. mail truck',)),
    ('2.5 t truck', '2.5 t truck', ('2.5 t truck',)),
    ('24/7 sign', '24/7 sign', ('24/7 sign',)),
    ('barrier - concrete', 'barrier - concrete', ('barrier - concrete',)),
    ('parking: P, no. 5 sign, 16:9 sign', 'parking', ('p', 'no. 5 sign', '16:9 sign')),
    ('道路', '道路', ('道路',)),
    # What cannot be seen is no part of it, and full-width characters are the usual ones.
    ('c\u00ado\u200bw\ufeff', 'cow', ('cow',)),
    ('ａｎｉｍａｌ：ｃｏｗ，sheep', 'animal', ('cow', 'sheep')),
])
def test_entries(entry, name, concepts):
    assert PromptClass.parse(entry, 'here') == PromptClass(name, concepts)


@pytest.mark.parametrize('entry', [
    'cow, sheep, box', 'cow,sheep,box', 'cow; sheep; box', 'cow;sheep;box', 'cow. sheep. box.',
    'cow . sheep . box .', 'cow.sheep.box', 'cow... sheep... box', 'cow。sheep。box',
    'cow! sheep! box!', 'cow? sheep? box?', 'cow\nsheep\nbox', 'cow\r\nsheep\r\nbox\r\n',
    'cow\tsheep\tbox', 'cow\u2028sheep\u2028box', 'cow|sheep|box', 'cow / sheep / box',
    'cow/sheep/box', 'cow\\sheep\\box', 'cow，sheep，box', 'cow、sheep、box', 'cow；sheep；box',
    'cow｜sheep｜box', 'cow،sheep؛box', '• cow • sheep • box', '- cow - sheep - box',
    'cow – sheep — box', 'cow · sheep · box', 'cow…sheep…box'])
def test_a_list_in_a_bare_entry_is_refused_with_the_forms_that_are_meant(entry):
    for known, anomaly in (([entry], []), (['road'], [entry])):
        with pytest.raises(VocabularyError) as refused:
            Vocabulary.from_strings(known, anomaly)
        assert str(refused.value).endswith(
            "write 'cow', 'sheep', 'box' as 3 entries, or 'cow: cow, sheep, box' for one class")


@pytest.mark.parametrize('entry, seen', [
    ('cow,', "a list separator in an entry without a name; write 'cow'"),
    ('cow\n', "a list separator in an entry without a name; write 'cow'"),
    ('animals: cow; sheep, box', "'cow; sheep' is a list; put a comma .* 'name: cow, sheep'"),
    ('animals: cow. sheep. box', "'cow. sheep. box' is a list"),
    ('animals: cow\nsheep', 'is a list'),
    ('cow: cow; sheep: sheep', 'more than one colon; each class is an entry of its own'),
    ('ani\nmals: cow', r'the character U\+000A is not allowed in a word'),
    ('cow\0x', r"'cow\\x00x': the character U\+0000 is not allowed in a word"),
    ('animals: cow, bo\x1bx', r'U\+001B'), ('cow\x7f', r'U\+007F'), ('cow\ud800', r'U\+D800'),
    ('c\udcffow: cow', r'U\+DCFF'), ('cow\ue000', r'U\+E000'), ('cow\uffff', r'U\+FFFF'),
    ('...', "'...' has no letter or digit"), ('?!', 'no letter or digit'),
    (', ;', 'no letter or digit'), ('🚗', 'no letter or digit'), ('--: cow', 'no letter or digit'),
    ('cow: cow, ...', 'no letter or digit'), ('\u200b', 'empty name or concept'),
    ('cow: cow, \ufe0f', 'empty name or concept'), ('：', 'empty name or concept'),
    ('＜everything＞', 'mark a reference'),
    ('car: car, Car!', "concept 'car!' is there twice"),
    ('car: car, c\u00adar', "concept 'car' is there twice"),
    ('car: the cars, cars', "concept 'cars' is there twice"),
])
def test_what_is_no_word_is_refused_in_any_entry(entry, seen):
    for known, anomaly in (([entry], []), (['road'], [entry])):
        with pytest.raises(VocabularyError, match=seen) as refused:
            Vocabulary.from_strings(known, anomaly)
        str(refused.value).encode()  # an answer of the node has to be UTF-8


def test_a_long_list_is_shown_in_part():
    with pytest.raises(VocabularyError, match=r"'a', 'b', 'c', 'd' and 2 more as 6 entries, or "
                       r"'a: a, b, c, d, ...' for one class$"):
        PromptClass.parse('a; b; c; d; e; f', 'here')


def test_odd_strings_are_taken_or_refused_and_nothing_else():
    rng = random.Random(0)
    taken = 0
    for _ in range(3000):
        entry = ''.join(rng.choices(ODD, k=rng.randint(0, 9)))
        try:
            vocabulary = Vocabulary.from_strings([entry])
        except VocabularyError as error:
            str(error).encode()
            assert '\n' not in str(error) and len(str(error)) < 800
        else:
            taken += 1
            assert Vocabulary.from_strings(*vocabulary.to_strings()) == vocabulary
            assert not any(c in '\0\n\u200b' for c in str(vocabulary.classes[0]))
            script_warnings(vocabulary)
        try:
            Vocabulary.from_strings(['car'], [entry])
        except VocabularyError:
            pass
    assert taken > 100


@pytest.mark.parametrize('known, anomaly, seen', [
    (['x: ' + ', '.join(f'c{i}' for i in range(20_000))], [''],
     'prompts.known has .* characters, at most 100000 .* entry is .x: c0, c1'),
    (['road', 'x: ' + ','.join('y' * (MOST_CONCEPTS + 1))], [''],
     'prompts.known has 4002 concepts, at most 4000'),
    ([f'x{i}: {"y" * 1000}' for i in range(5000)], [''], 'has 5000 entries, at most 4000'),
    (['road'], ['x' * 5_000_000], 'prompts.anomaly has 5000000 characters'),
    (['road', 'x' * 201], [''],
     r"prompts.known\[1\] 'x+...': 201 characters in one name or concept, at most 200"),
    (['road: ' + 'x' * 201], [''], '202 characters in one name or concept'),
    (['ﷺ' * 190], [''], '3420 characters in one name or concept'),
], ids=itertools.count())
def test_what_is_too_long_is_refused_at_once(known, anomaly, seen):
    started = time.process_time()
    with pytest.raises(VocabularyError, match=seen) as refused:
        Vocabulary.from_strings(known, anomaly)
    assert time.process_time() - started < 0.5 and len(str(refused.value)) < 400


def test_as_many_concepts_as_are_allowed_are_read_soon():
    width = MOST_CHARACTERS // MOST_CONCEPTS - 2
    words = [f'{i:0{width}}' for i in range(MOST_CONCEPTS // 2)]
    started = time.process_time()
    vocabulary = Vocabulary.from_strings([f'x: {", ".join(words)}'], [w + 'a' for w in words])
    assert time.process_time() - started < 4 and len(vocabulary.concepts) == MOST_CONCEPTS
    with pytest.raises(VocabularyError, match='have 4001 concepts together; at most 4000'):
        Vocabulary(vocabulary.known, (*vocabulary.anomaly, PromptClass('one', ('more',))))


@pytest.mark.parametrize('known, anomaly, seen', [
    ([], [], 'prompts.known is empty'),
    ([''], [], r"prompts.known\[0\] ''"),  # only anomaly prompts may be left out like this
    (['road', ' : a'], [], r'prompts.known\[1\]'),
    (['road: a,,b'], [], 'empty name or concept'),
    (['road: a, a'], [], "'a' is there twice"),
    (['road', 'road'], [], "class 'road' is also"),
    (['road: tar', 'street: Tar'], [], "concept 'tar' is also in prompts.known"),
    (['road'], ['cow', 'road'], r"prompts.anomaly\[1\] 'road'"),
    (['road'], ['', 'cow'], r'prompts.anomaly\[0\]'),
    (['road'], ['<everything>'], 'mark a reference to a whole list'),
    (['road', 'vehicle: car, truck'], ['cow', 'auto: automobile'],
     r"prompts.anomaly\[1\] 'auto: automobile': 'automobile' means the same as 'car' in "
     r"prompts.known\[1\] 'vehicle: car, truck'; remove one of them"),
    (['grey: wall'], ['Gray: Walls'], "'walls' means the same as 'wall'"),
    (['car'], ['vehicle: a car'], r"'a car' is also in prompts.known\[0\] 'car'; keep it in one"),
    (['the cars'], ['Car!'], "'car!' means the same as 'the cars'"),
    (['auto: car', 'vehicle: bus, (car)'], [''], r"concept '\(car\)' is also in prompts.known"),
])
def test_refusals_name_the_entry(known, anomaly, seen):
    with pytest.raises(VocabularyError, match=seen):
        Vocabulary.from_strings(known, anomaly)


def test_synonyms_on_one_side_are_alternatives():
    vocabulary = Vocabulary.from_strings(['car: car, cars, automobile'], ['cow', 'cattle'])
    assert len(vocabulary.concepts) == 5


@pytest.mark.parametrize('known, anomaly', [
    ('bike', 'bike rack'), ('car', 'toy car'), ('grass', 'glass'), ('truck', 'boat trailer')])
def test_a_word_within_another_is_not_refused(known, anomaly):
    assert Vocabulary.from_strings([known], [anomaly]).concepts == (known, anomaly)


@pytest.mark.parametrize('known, anomaly, seen', [
    ((), (), 'prompts.known is empty'),
    ((PromptClass('a', ('car',)),), (PromptClass('b', ('cars',)),),
     r"prompts.anomaly\[0\] 'b: cars': 'cars' means the same as 'car' in prompts.known\[0\]"),
])
def test_what_python_builds_is_checked_too(known, anomaly, seen):
    with pytest.raises(VocabularyError, match=seen):
        Vocabulary(known, anomaly)


@pytest.mark.parametrize('known, anomaly', [
    (['road', 'flat: pavement, grass'], ['cow: cow, cows']), (['road'], [''])])
def test_strings_round_trip(known, anomaly):
    vocabulary = Vocabulary.from_strings(known, anomaly)
    assert vocabulary.to_strings() == (known, anomaly)
    assert len(vocabulary.concepts) == sum(len(c.concepts) for c in vocabulary.classes)


def test_words_in_scripts_that_the_text_model_does_not_know_are_named():
    vocabulary = Vocabulary.from_strings(
        ['road', 'Straße: straße, café', '道路: road surface', 'дорога'],
        ['牛', 'fruit: 林檎, りんごの木', '\u0441ow', 'ox: ｏｘ, 4x4'])
    assert script_warnings(vocabulary) == [
        'the text model knows Latin script only, not Cyrillic, and so does not know '
        "'дорога', '\u0441ow'; write them in English",
        'the text model knows Latin script only, not Han, and so does not know '
        "'牛', '林檎'; write them in English",
        'the text model knows Latin script only, not Han and Hiragana, and so does not know '
        "'りんごの木'; write them in English"]
    assert script_warnings(vocabulary, ('Latin', 'Han', 'Cyrillic')) == [
        'the text model knows Latin, Han and Cyrillic script only, not Hiragana, and so does not '
        "know 'りんごの木'; use words that it knows"]
    many = script_warnings(Vocabulary.from_strings([f'τ{i}' for i in range(100)]))
    assert len(many) == 1 and "know 'τ0', 'τ1', 'τ2', 'τ3' and 96 more; write" in many[0]
