# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `vl4ad train` prints and refuses before any training (needs torch)."""

import pytest

pytest.importorskip('torch')
pytest.importorskip('open_clip')
pytest.importorskip('tensorboard')

from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_workshop.training.real.config import TrainingConfig  # noqa: E402
import yaml  # noqa: E402


def test_a_shown_configuration_is_one_to_copy(capsys, tmp_path):
    assert main(['train', '--config', 'cityscapes', '--show']) == 0
    copy = tmp_path / 'mine.yaml'
    copy.write_text(capsys.readouterr().out)
    assert TrainingConfig.load(copy) == TrainingConfig.load('cityscapes')
    # Every key is there to be edited.
    sections = yaml.safe_load(copy.read_text())
    assert {f'{s}.{k}' for s, v in sections.items() if isinstance(v, dict) for k in v} >= {
        k for k in TrainingConfig().course() if '.' in k}


@pytest.mark.parametrize('arguments, said', [
    (['--config', 'tiny', '--set', 'seed=1'], '--set has no effect with --config tiny'),
    (['--config', 'tiny', '--show'], '--show has no effect'),
    (['--config', 'tiny', '--data', 'x'], '--data has no effect with --config tiny'),
    (['--config', 'cityscapes', '--without-animals'], '--without-animals has no effect'),
    (['--config', 'street'], '--config street needs data; give folders with --data'),
    (['--config', 'street', '--image-tower', 'tiny'], '--image-tower has no effect'),
    (['--config', 'street', '--data', '/nowhere'], "there is no folder '/nowhere'"),
    (['--config', 'street', '--data', '/nowhere', '--out', '.'], "'.' exists already"),
    (['--config', 'coco_panoptic', '--short', '5'], '--short has no effect'),
    (['--config', 'ade20k'], "no training configuration 'ade20k'"),
    (['--config', 'coco_panoptic', '--set', 'seed=x'], 'seed is'),
    (['--config', 'coco_panoptic', '--set', 'data.root=/nowhere'],
     "'/nowhere/annotations/panoptic_train2017.json' is missing"),
    (['--config', 'cityscapes', '--set', 'data.root=/nowhere'],
     "'/nowhere/leftImg8bit/train' is missing"),
    (['--config', 'coco_panoptic', '--set', 'data.vocabulary=cat'], "no vocabulary 'cat'")])
def test_what_is_refused_and_why(arguments, said, capsys, tmp_path):
    work = tmp_path / 'work'
    assert main(['train', '--work', str(work), *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not work.exists()
