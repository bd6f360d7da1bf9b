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
])
def test_refusals_name_the_entry(known, anomaly, seen):
    with pytest.raises(VocabularyError, match=seen):
        Vocabulary.from_strings(known, anomaly)


@pytest.mark.parametrize('known, anomaly', [
    (['road', 'flat: pavement, grass'], ['cow: cow, cows']), (['road'], [''])])
def test_strings_round_trip(known, anomaly):
    vocabulary = Vocabulary.from_strings(known, anomaly)
    assert vocabulary.to_strings() == (known, anomaly)
    assert len(vocabulary.concepts) == sum(len(c.concepts) for c in vocabulary.classes)
