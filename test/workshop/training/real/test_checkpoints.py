# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files: whole or absent, the last few, and of the same training. Needs torch."""

import pytest

torch = pytest.importorskip('torch')

from vl4ad_workshop.training.real.checkpoints import (  # noqa: E402
    Checkpoints, ResumeError, write_whole)

COURSE = {'seed': 0, 'optimiser.steps': [4, 5]}


class Unwritable:
    """What torch.save fails on halfway."""

    def __reduce__(self):
        raise OSError('No space left on device')


def state(**changes):
    return {'course': COURSE, 'frozen': 5, 'learner': {'w': torch.ones(3)}, **changes}


def test_the_newest_is_read_and_the_last_few_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / 'c', keep=2)
    assert checkpoints.newest(COURSE, 5) is None
    for iteration in (8, 9, 10, 100):
        checkpoints.save(iteration, state())
    assert sorted(p.name for p in (tmp_path / 'c').iterdir()) == ['00000010.pt', '00000100.pt']
    newest = checkpoints.newest(COURSE, 5)
    assert newest['iteration'] == 100 and newest['learner']['w'].tolist() == [1, 1, 1]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state())
    with pytest.raises(OSError):
        checkpoints.save(2, state(learner=Unwritable()))
    with pytest.raises(OSError):
        write_whole(tmp_path / '00000001.pt', Unwritable())
    assert checkpoints.newest(COURSE, 5)['iteration'] == 1


def test_another_training_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state())
    with pytest.raises(ResumeError, match='seed was 0 and is now 1'):
        checkpoints.newest({**COURSE, 'seed': 1}, 5)
    with pytest.raises(ResumeError, match='another frozen CLIP'):
        checkpoints.newest(COURSE, 6)
