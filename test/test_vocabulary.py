# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary and its refusals (needs nothing)."""

import pytest

from vl4ad_ros.vocabulary import PromptClass, Vocabulary, VocabularyError


@pytest.mark.parametrize('entry, name, concepts', [
    ('road', 'road', ('road',)),
    ('  Vegetation:  Tree ,trees ', 'Vegetation', ('tree', 'trees')),
    ('traffic  light', 'traffic  light', ('traffic light',)),
])
def test_entries(entry, name, concepts):
    assert PromptClass.parse(entry, 'here') == PromptClass(name, concepts)


@pytest.mark.parametrize('known, anomaly, seen', [
    ([], [], 'prompts.known is empty'),
    ([''], [], r"prompts.known\[0\] ''"),  # only anomaly prompts may be left out like this
    (['road', ' : a'], [], r'prompts.known\[1\]'),
    (['road: a,,b'], [], 'empty name or concept'),
    (['road: a, a'], [], "'a' stands twice"),
    (['road', 'road'], [], "class 'road' is also"),
    (['road: tar', 'street: Tar'], [], "concept 'tar' is also in prompts.known"),
    (['road'], ['cow', 'road'], r"prompts.anomaly\[1\] 'road'"),
    (['road'], ['', 'cow'], r'prompts.anomaly\[0\]'),
    (['road'], ['<everything>'], 'stand around the name or path of a whole list'),
    (['road', 'vehicle: car, truck'], ['cow', 'auto: automobile'],
     r"prompts.anomaly\[1\] 'auto: automobile': 'automobile' means the same as 'car' in "
     r"prompts.known\[1\] 'vehicle: car, truck'; remove one of them"),
    (['grey: wall'], ['Gray: Walls'], "'walls' means the same as 'wall'"),
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
