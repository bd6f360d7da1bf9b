# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which words are the same word, and which only look it (needs PyYAML)."""

from pathlib import Path

import pytest

from vl4ad_ros.prompts import synonyms
from vl4ad_ros.prompts.synonyms import meaning
import yaml

TABLES = yaml.safe_load(Path(synonyms.__file__).with_name('synonyms.yaml').read_text())


@pytest.mark.parametrize('one, other', [
    ('bus', 'buses'), ('glass', 'glasses'), ('sheep', 'sheep'), ('person', 'people'),
    ('person', 'pedestrians'), ('woman', 'women'), ('goose', 'geese'), ('wolf', 'wolves'),
    ('box', 'boxes'), ('bench', 'benches'), ('lorry', 'lorries'), ('house', 'houses'),
    ('horse', 'horses'), ('shoe', 'shoes'), ('tie', 'ties'), ('potato', 'potatoes'),
    ('mattress', 'mattresses'), ('bookshelf', 'bookshelves'), ('policeman', 'policemen'),
    ('leaf', 'leaves'), ('stove', 'stoves'), ('skis', 'ski'), ('lens', 'lenses'),
    ('tyre', 'tire'), ('Tyres', 'tire'), ('car tyres', 'tire'), ('grey wall', 'gray walls'),
    ('snow plough', 'snowplow'), ('kerb', 'curbs'), ('wheelbarrow', 'wheel barrow'),
    ('tuk-tuk', 'Tuk Tuks'), ('bird', "bird's"), ('car', 'automobile'), ('lorry', 'trucks'),
    ('aeroplane', 'airplanes'), ('plane', 'airplane'), ('motorbikes', 'motorcycle'),
    ('bikes', 'bicycle'), ('cattle', 'cows'), ('sidewalk', 'pavement'),
    ('trash cans', 'dustbin'), ('garbage bin', 'wheelie bins'), ('zebra crossing', 'crosswalk'),
    ('owl', 'An owl'), ('cars', 'the  car'), ('bus stop', 'a bus-stop!'), ('car', 'the "car"'),
    ('boat on a trailer', 'boat on trailer'), ('owls', 'the owl?'), ('cow', 'A (cow)...'),
])
def test_the_same(one, other):
    assert meaning(one) == meaning(other)


@pytest.mark.parametrize('car', [
    'CAR', 'Car!', 'car.', 'car?', 'car;', '-car', '– car', 'car—', '(car)', '[car]', '{cars}',
    '"car"', "'car'", '“car”', '‘cars’', '«car»', '„car“', '`car`', '´car´', '【car】', '｢car｣',
    '*car*', '_car_', '#car', 'car…', '¿car?', '¡the car!', 'a car', 'The cars', '(an) "car"',
    'car\u200b', '\ufeffcar', 'c\u00adar', 'c\u200dar', '\u202ecar\u202c', 'c\u2060ar',
    'car\ufe0f', 'ca\u034fr', 'car\u3164', '\xa0car\u3000', 'ｃａｒ', '𝐜𝐚𝐫', 'Ⓒⓐⓡ', 'car™', "car's",
    'c.a.r.', '🚗 car'])
def test_what_cannot_be_seen_or_said_makes_no_difference(car):
    assert meaning(car) == meaning('car') == meaning('automobiles')


@pytest.mark.parametrize('one, other', [
    ('bike rack', 'bike'), ('toy car', 'car'), ('quad bike', 'bike'), ('police car', 'car'),
    ('glass', 'grass'), ('grass', 'gras'), ('bus', 'bush'), ('bus', 'bu'), ('tub', 'tube'),
    ('can', 'cane'), ('kit', 'kite'), ('plan', 'plane'), ('zebra', 'zebra crossing'),
    ('hatchback', 'car'), ('child', 'person'), ('rider', 'person'), ('van', 'truck'),
    ('car', 'cart'), ('train', 'trainer'), ('boat', 'boat trailer'), ('trash can', 'trash'),
    ('trash bag', 'trash can'), ('snowboard', 'snow'), ('seahorse', 'horse'),
    ('hot dog', 'dog'), ('fire truck', 'truck'), ('street light', 'street'), ('gas', 'ga'),
    ('tennis', 'tenni'), ('log', 'logo'), ('A-frame sign', 'frame sign'), ('plan a', 'plan'),
    ('an', 'a'), ('jersey barrier (concrete)', 'jersey barrier'), ('道路', '道'), ('कि', 'क'),
    ('caravan', 'van'), ('rock', 'rocket'),
])
def test_not_the_same(one, other):
    assert meaning(one) != meaning(other)


def test_no_word_is_in_two_groups():
    heads = {}
    for group in TABLES['same']:
        for word in group:
            # The head of a group is its own key, so a word of two groups has two heads.
            assert meaning(word) == meaning(group[0])
            assert heads.setdefault(synonyms._key(word), group[0]) == group[0]


@pytest.mark.parametrize('table', ['plurals', 'spellings'])
def test_tables_hold_words_only(table):
    assert all(isinstance(word, str) for pair in TABLES[table].items() for word in pair)
