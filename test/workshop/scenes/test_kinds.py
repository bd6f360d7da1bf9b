# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kinds have words of their own, sensible sizes, and drawings that differ between splits."""

import numpy as np
import pytest

from vl4ad_workshop.scenes.bank import model
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in
from vl4ad_workshop.scenes.made_up import MADE_UP

DRAWN = [kind for kind in KINDS.values() if kind.role != 'surface']
CITYSCAPES = {'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light',
              'traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck',
              'bus', 'train', 'motorcycle', 'bicycle'}


def test_known_kinds_are_the_cityscapes_classes():
    assert {kind.name for kind in kinds_in('known')} == CITYSCAPES


def test_groups_are_apart_and_large_enough():
    sizes = [len(kinds_in(group)) for group in ('masks', 'words', 'unseen')]
    assert sizes >= [40, 12, 10]
    assert len(kinds_in('known', 'masks', 'words', 'unseen')) == len(KINDS) == 19 + sum(sizes)


def test_unknown_group_is_refused():
    with pytest.raises(ValueError, match='mask'):
        kinds_in('mask')


def test_no_word_names_two_kinds():
    words = [word for kind in KINDS.values() for word in kind.words]
    assert len(words) == len(set(words))
    assert all(len(kind.words) >= 3 and kind.words[0] == kind.name for kind in KINDS.values())


@pytest.mark.parametrize('kind', DRAWN, ids=lambda kind: kind.name)
def test_drawing_has_the_size_and_differs_between_examples_and_splits(kind):
    seen = []
    for split, index in (('train', 0), ('train', 1), ('validation', 0), ('test', 0)):
        views = model(kind.name, index, split, 32)
        assert set(views) in ({'any'}, {'side', 'rear', 'front'})
        for sprite in views.values():
            assert sprite.rgba.dtype == np.uint8 and sprite.rgba[..., 3].max() == 255
            assert (sprite.rgba[..., :3] <= sprite.rgba[..., 3:]).all()  # premultiplied
            assert 0.1 * kind.size_m[1] < sprite.height < 1.8 * kind.size_m[1]
            assert sprite.width < 2.2 * max(kind.size_m)
        seen.append(next(iter(views.values())).rgba.tobytes())
    assert len(set(seen)) == 4


def test_made_up_things_differ_in_form_and_size():
    sprites = [model(MADE_UP, index, 'train', 32)['any'] for index in range(40)]
    assert len({sprite.rgba.tobytes() for sprite in sprites}) == 40
    heights = [sprite.height for sprite in sprites]
    assert 0.1 < min(heights) < 0.7 and 1.5 < max(heights) < 3.0
    shapes = [sprite.width / sprite.height for sprite in sprites]
    assert min(shapes) < 0.6 and max(shapes) > 1.6
