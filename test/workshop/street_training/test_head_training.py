# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features on disk, and a head that learns two drawn pictures. Needs torch."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

from miniature import draw_street  # noqa: E402, I100
from vl4ad_workshop.street.classifier import CHANNELS, Classifier  # noqa: E402
from vl4ad_workshop.street.street_words import WORDS  # noqa: E402
from vl4ad_workshop.training.street.camvid import CLASSES  # noqa: E402
from vl4ad_workshop.training.street.features import features_of, FeatureSet  # noqa: E402
from vl4ad_workshop.training.street.head_training import (  # noqa: E402
    Batch, draw_batch, part_loss, small_object_weight, train_head, word_weights)
from vl4ad_workshop.training.street.label_words import word_index  # noqa: E402
from vl4ad_workshop.training.street.recipe import StreetRecipe  # noqa: E402
from vl4ad_workshop.training.street.road_picture import RoadPicture  # noqa: E402

RECIPE = StreetRecipe(height=96, width=160, head_width=32, steps=60, batch={'streets': 2},
                      part_weight={'streets': 1.0}, crop=(3, 5), learning_rate=1e-2)


@pytest.fixture(scope='module')
def classifier():
    torch.manual_seed(0)
    network = Classifier().requires_grad_(False).eval()
    return network


def pictures():
    words = np.array([*map(word_index, CLASSES), -1], np.int8)
    for number in range(2):
        rgb, classes = draw_street(number)
        yield RoadPicture(f'street {number}', rgb, words[classes])


@pytest.fixture(scope='module')
def streets(classifier, tmp_path_factory):
    return FeatureSet.compute(tmp_path_factory.mktemp('features'), 'a', pictures(), classifier,
                              RECIPE, count=2)


def test_features_are_computed_once(classifier, tmp_path):
    first = FeatureSet.compute(tmp_path, 'a', pictures(), classifier, RECIPE)
    assert len(first) == 2 and first.names == ['street 0', 'street 1']

    def refuse():
        raise AssertionError('the pictures are read again')
        yield

    again = FeatureSet.compute(tmp_path, 'a', refuse(), classifier, RECIPE)
    picture = next(pictures())
    for kept, computed, channels, stride in zip(
            again.maps(0), features_of(classifier, picture.rgb), CHANNELS, (4, 8, 16, 32)):
        assert kept.shape == (channels, 96 // stride, 160 // stride)
        assert np.array_equal(kept, computed)
    assert np.array_equal(again.labels(0), picture.labels[2::4, 2::4])
    assert not again.is_clean(1)
    with pytest.raises(AssertionError, match='read again'):
        FeatureSet.compute(tmp_path, 'b', refuse(), classifier, RECIPE)


def test_several_scales(classifier, tmp_path):
    features = FeatureSet.compute(tmp_path, 'a', pictures(), classifier, RECIPE, (1.0, 1.5))
    assert features.sizes == [(96, 160), (160, 256)] * 2
    # 144 x 240 pixels of picture; the rest of the second one has no label.
    assert (features.labels(1)[36:] == -1).all() and (features.labels(1)[:, 60:] == -1).all()
    assert np.array_equal(features.label_counts(len(WORDS)), sum(
        np.bincount(features.labels(i)[features.labels(i) >= 0], minlength=len(WORDS))
        for i in range(4)))


def test_a_head_learns_two_pictures(streets):
    head = train_head({'streets': streets, 'roads': []}, RECIPE, seed=0)
    right, labelled = 0, 0
    with torch.inference_mode():
        for i in range(2):
            maps = [torch.from_numpy(m.astype(np.float32))[None] for m in streets.maps(i)]
            guess, labels = head(maps)[0].argmax(0).numpy(), streets.labels(i)
            right += ((guess == labels) & (labels >= 0)).sum()
            labelled += (labels >= 0).sum()
    assert not head.training and right / labelled > 0.9


def test_training_depends_on_its_seed_only(streets):
    recipe = replace(RECIPE, steps=4)
    state = torch.get_rng_state()
    first, again, other = (train_head({'streets': streets}, recipe, seed).state_dict()
                           for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first['fine.weight'], other['fine.weight'])


def test_batches_are_crops_of_one_size(streets):
    rng = np.random.default_rng(0)
    batch = draw_batch(streets, 3, (2, 3), rng, RECIPE)
    maps, labels = batch.maps, batch.labels
    assert [m.shape for m in maps] == [
        (3, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, (4, 8, 16, 32))]
    assert labels.shape == batch.weight.shape == (3, 16, 24) and not batch.clean.any()
    # Maps and labels are of the same place: look for it in the pictures.
    found = 0
    for y in range(0, 9, 8):
        for x in range(0, 17, 8):
            for i in range(2):
                for flip in (1, -1):
                    there = streets.labels(i)[y:y + 16, x:x + 24][:, ::flip]
                    if np.array_equal(there, labels[0].numpy()):
                        ours = streets.maps(i)[0][:, y:y + 16, x:x + 24][..., ::flip]
                        found += np.array_equal(ours.astype(np.float32), maps[0][0].numpy())
    assert found


def test_losses():
    weight = word_weights(np.array([10000] + [100] * (len(WORDS) - 2) + [0]), 30.0)
    assert weight[0] < weight[1] < weight[-1] <= 30 * weight[0]
    logits = torch.zeros(1, len(WORDS), 2, 2)
    unlabelled = torch.full((1, 2, 2), -1)
    ones = torch.ones(1, 2, 2)
    dirty, clean = (Batch((), unlabelled, ones, torch.tensor([c])) for c in (False, True))
    assert part_loss(logits, dirty, weight, 1.0, RECIPE) == 0
    calm = part_loss(logits, clean, weight, 1.0, RECIPE)
    logits[:, -1] = 5
    assert part_loss(logits, clean, weight, 1.0, RECIPE) > 3 * calm > 0
    # Cells of labelled objects are no reason for the penalty.
    objects = torch.full_like(unlabelled, len(WORDS) - 1)
    labelled = [Batch((), objects, ones, torch.tensor([c])) for c in (False, True)]
    assert part_loss(logits, labelled[0], weight, 1.0, RECIPE) == part_loss(
        logits, labelled[1], weight, 1.0, RECIPE)
    # With equal weights of the cells, it is the weighted mean of PyTorch.
    labels = torch.tensor([[[0, 1], [-1, len(WORDS) - 1]]])
    even = Batch((), labels, 3 * ones, torch.tensor([False]))
    assert part_loss(logits, even, weight, 2.0, RECIPE) == (
        pytest.approx(2 * float(torch.nn.functional.cross_entropy(
            logits, labels, weight=weight, ignore_index=-1))))
    with pytest.raises(ValueError, match='no picture has a labelled pixel'):
        train_head({}, RECIPE, 0)


def test_small_things_weigh_more():
    labels = np.zeros((30, 40), np.int8)
    labels[:2, :4] = WORDS.index('object')
    labels[10:30, :20] = WORDS.index('object')
    labels[:2, 20:22] = WORDS.index('pole')
    weight = small_object_weight(labels, RECIPE)
    assert (weight[:2, :4] == 4).all()  # the largest weight; the root of 200 / 8 is 5
    assert (weight[10:30, :20] == 1).all() and (weight[:2, 20:22] == 1).all()


def test_small_pictures_are_left_out(classifier, tmp_path):
    small = FeatureSet.compute(tmp_path, 'a', pictures(), classifier, RECIPE, (0.4,))
    with pytest.raises(ValueError, match='no picture has a labelled pixel'):
        train_head({'streets': small}, RECIPE, seed=0)
