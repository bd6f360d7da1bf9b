# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Still pictures are deterministic, exactly labelled, and hold only the groups asked for."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from vl4ad_workshop.scenes.canvas import SMALLEST_SEGMENT
from vl4ad_workshop.scenes.kinds import KINDS
from vl4ad_workshop.scenes.made_up import MADE_UP
from vl4ad_workshop.scenes.still import draw_still

DIGEST = ('import hashlib, numpy as np; from vl4ad_workshop.scenes.still import draw_still; '
          'f = draw_still(np.random.default_rng(5), (96, 160)); '
          'print(hashlib.sha256(f.image.tobytes() + f.segments.tobytes()).hexdigest())')


def draw(seed, size=(96, 160), **options):
    return draw_still(np.random.default_rng(seed), size, **options)


def test_same_seed_same_bytes_even_in_another_process():
    first, again, other = draw(5), draw(5), draw(6)
    assert first.image.tobytes() == again.image.tobytes() and first.kinds == again.kinds
    assert first.image.tobytes() != other.image.tobytes()
    digest = hashlib.sha256(first.image.tobytes() + first.segments.tobytes()).hexdigest()
    seen = subprocess.run([sys.executable, '-c', DIGEST], capture_output=True, text=True)
    assert seen.stdout.strip() == digest, seen.stderr


@pytest.mark.parametrize('size', [(33, 57), (97, 131), (200, 120)])
def test_any_size(size):
    frame = draw(1, size)
    assert frame.image.shape == (*size, 3) and frame.image.dtype == np.uint8
    assert frame.segments.shape == size and frame.segments.dtype == np.int32


@pytest.mark.parametrize('seed', range(12))
def test_every_segment_has_a_kind_and_pixels(seed):
    frame = draw(seed)
    count = np.bincount(frame.segments[frame.segments >= 0], minlength=len(frame.kinds))
    assert len(count) == len(frame.kinds) and (count >= SMALLEST_SEGMENT).all()
    surfaces = [kind for kind in frame.kinds if KINDS[kind].role == 'surface']
    assert len(surfaces) == len(set(surfaces))
    assert frame.segments.min() >= -1 and (frame.segments == -1).mean() < 0.02
    assert all(type(kind) is str for kind in frame.kinds)


@pytest.mark.parametrize('groups', [('known',), ('known', 'masks'), ('words',), ('unseen',)])
def test_objects_are_of_the_groups_asked_for(groups):
    objects = {KINDS[kind].group for seed in range(14) for kind in draw(seed, groups=groups).kinds
               if KINDS[kind].role == 'object'}
    assert objects == set(groups) - {'known'}


def test_some_things_are_of_no_kind():
    kinds = [k for seed in range(40) for k in draw(seed, made_up=0.5).kinds]
    things = [k for k in kinds if k == MADE_UP or KINDS[k].role == 'object']
    assert 0.35 < things.count(MADE_UP) / len(things) < 0.65
    assert draw(5, made_up=0.0).image.tobytes() == draw(5).image.tobytes()


def test_pictures_show_roads_other_places_and_a_choice_of_things():
    frames = [draw(seed, (64, 112)) for seed in range(60)]
    roads = np.mean(['road' in frame.kinds for frame in frames])
    assert 0.6 < roads < 0.98
    assert len({kind for frame in frames for kind in frame.kinds}) > 40
    light = [frame.image.mean() for frame in frames]
    assert max(light) - min(light) > 60


def test_unknown_group_is_refused():
    with pytest.raises(ValueError, match='everything'):
        draw(0, groups=('everything',))
