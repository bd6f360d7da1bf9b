# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects on roads: sizes, masks and labels. Needs torch."""

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('open_clip')

from miniature import COLOURS, draw_street  # noqa: E402, I100
from vl4ad_ros.composing.pasting import CutOut  # noqa: E402
from vl4ad_workshop.street.street_words import WORDS  # noqa: E402
from vl4ad_workshop.training.street.camvid import CLASSES  # noqa: E402
from vl4ad_workshop.training.street.composites import (  # noqa: E402
    ANIMALS, compose, composites, Ground, KNOWN_METRES, METRES, Objects)
from vl4ad_workshop.training.street.label_words import word_index  # noqa: E402
from vl4ad_workshop.training.street.recipe import CompositeRecipe, StreetRecipe  # noqa: E402
from vl4ad_workshop.training.street.road_picture import (  # noqa: E402
    content_size, exposed, padded, RoadPicture, scaled)


def street(size=(192, 320)):
    rgb, classes = draw_street(1, size)
    words = np.array([*map(word_index, CLASSES), -1], np.int8)
    return RoadPicture('street', rgb, words[classes])


def thing(name, colour='cow'):
    return CutOut(name, np.full((60, 40, 3), COLOURS[colour], np.uint8),
                  np.ones((60, 40), np.float32))


COWS, PEOPLE, NONE = Objects([thing('cow')]), Objects([thing('person', 'person')]), Objects(())


def test_the_ground_of_labels():
    picture = street()
    ground = Ground.of_labels(picture.labels)
    assert 60 <= ground.horizon <= 76 and ground.road[-1, 200]
    assert Ground.of_labels(np.full((8, 8), -1, np.int8)) is None


def test_what_is_pasted_is_labelled_exactly():
    picture = street()
    made = compose(picture, Ground.of_labels(picture.labels), COWS, PEOPLE,
                   np.random.default_rng(3), CompositeRecipe(most=6, blur=(-9, -9), noise_share=0))
    assert {p.known for p in made.placed} == {True, False}
    for number, placed in enumerate(made.placed, 1):
        there = made.instances == number
        expected = 'person' if placed.known else 'object'
        assert {WORDS[i] for i in made.picture.labels[there]} == {expected}
        # Light follows the scene, so colours move towards the road's; red stays the largest.
        colour = made.picture.rgb[there].mean(axis=0)
        assert (colour.argmax() == 0 and colour[0] > 2 * colour[1]) != placed.known
    untouched = made.instances == 0
    assert np.array_equal(made.picture.labels[untouched], picture.labels[untouched])
    assert np.array_equal(picture.rgb, street().rgb)


def test_sizes_follow_the_distance():
    picture = street()
    ground = Ground.of_labels(picture.labels)
    recipe = CompositeRecipe(least=1, most=1)
    seen = []
    for made in composites([(picture, ground)], COWS, NONE, 5, each=30, recipe=recipe):
        rows = np.flatnonzero((made.instances == 1).any(axis=1))
        foot, placed = rows[-1] + 1, made.placed[0]
        expected = METRES['cow'] * (foot - ground.horizon) / recipe.camera_height
        assert placed.height == pytest.approx(expected, abs=3)
        assert len(rows) == pytest.approx(placed.height, abs=3) or rows[0] == 0
        assert recipe.lowest <= placed.height <= recipe.highest * 192
        seen.append(placed.height)
    assert min(seen) < 30 < 60 < max(seen)


def test_composites_depend_on_their_seed_only():
    picture = street()
    places = [(picture, Ground.of_labels(picture.labels))] * 2
    first, again, other = (list(composites(places, COWS, PEOPLE, seed)) for seed in (1, 1, 2))
    assert [c.placed for c in first] == [c.placed for c in again] != [c.placed for c in other]
    assert all(np.array_equal(a.picture.rgb, b.picture.rgb) for a, b in zip(first, again))
    assert first[0].placed != first[1].placed


def test_known_things_only_and_nothing_at_all():
    picture = street()
    ground = Ground.of_labels(picture.labels)
    made = list(composites([(picture, ground)], NONE, PEOPLE, 1, each=5))
    assert made and all(p.known for c in made for p in c.placed)
    assert not list(composites([(picture, ground)], NONE, NONE, 1, each=5))
    nowhere = Ground(np.zeros(picture.labels.shape, bool), 60.0)
    assert not list(composites([(picture, nowhere)], COWS, NONE, 1))


def test_rare_names_are_drawn_as_often_as_frequent_ones():
    objects = Objects([thing('cow')] * 9 + [thing('dog')])
    rng = np.random.default_rng(0)
    drawn = [objects.draw(rng).name for _ in range(200)]
    assert 70 < drawn.count('dog') < 130
    mixed = Objects([thing('car'), thing('person')])
    drawn = [mixed.draw(rng, 0.8).name for _ in range(200)]
    assert 160 < drawn.count('person') < 198
    assert objects.draw(rng, 1.0).name in ('cow', 'dog')
    assert objects.among(['dog']).names == ('dog',) and len(objects.among(['cow'])) == 9
    assert len(objects.joined(COWS)) == 11


def test_the_tables_of_heights_do_not_overlap():
    assert not set(METRES) & set(KNOWN_METRES) and ANIMALS < set(METRES)
    assert all(WORDS[word_index(name)] != 'object' for name in KNOWN_METRES)


def test_pictures_in_the_size_of_the_network():
    assert content_size((360, 480), (352, 640)) == (352, 469)
    assert content_size((360, 640), (352, 640), 1.25) == (440, 782)
    fitted = scaled(street((180, 240)), (96, 160))
    assert fitted.rgb.shape == (96, 128, 3) and fitted.labels.shape == (96, 128)
    wide = padded(RoadPicture('a', fitted.rgb[:90, :100], fitted.labels[:90, :100]), (1, 2, 3))
    assert wide.rgb.shape == (96, 128, 3) and wide.rgb[95, 0].tolist() == [1, 2, 3]
    assert (wide.labels[90:] == -1).all() and (wide.labels[:, 100:] == -1).all()
    assert StreetRecipe().height % 32 == StreetRecipe().width % 32 == 0


def test_another_exposure_changes_only_the_light():
    picture = street()
    same = exposed(picture, (1.0, 1.0), np.random.default_rng(0))
    assert np.array_equal(same.rgb, picture.rgb)
    made = [exposed(picture, (0.5, 2.0), np.random.default_rng(n)) for n in (1, 1, 2)]
    assert np.array_equal(made[0].rgb, made[1].rgb) and made[0].labels is picture.labels
    means = [float(m.rgb.mean()) for m in made]
    assert abs(means[0] - means[2]) > 1 and not np.array_equal(made[0].rgb, picture.rgb)
    grey = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    ramp = exposed(RoadPicture('ramp', grey, np.zeros((1, 256), np.int8)), (0.5, 2.0),
                   np.random.default_rng(3)).rgb.astype(int)
    assert (np.diff(ramp, axis=1) >= 0).all()  # brighter stays brighter
