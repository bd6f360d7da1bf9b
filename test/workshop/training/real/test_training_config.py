# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training configurations: the published recipe, and what is refused. Needs PyYAML."""

from dataclasses import replace

import pytest
from vl4ad_workshop.training.real.config import ConfigError, shipped, TrainingConfig


def test_the_shipped_recipe_is_the_default_and_fc_clips():
    config = TrainingConfig.load('coco_panoptic')
    assert replace(config, weights='') == TrainingConfig()
    # FC-CLIP's public configuration, number by number.
    o, a, loss = config.optimiser, config.augmentation, config.loss
    assert (o.iterations, o.batch, o.learning_rate, o.weight_decay) == (368750, 16, 1e-4, 0.05)
    assert (o.steps, o.decay, o.warmup_iterations) == ((327778, 355092), 0.1, 10)
    assert (o.clip_norm, o.precision, o.ema) == (0.01, 'fp16', 0)
    assert (a.size, a.scale, a.flip) == ((1024, 1024), (0.1, 2.0), 0.5)
    assert (loss.classes, loss.mask, loss.dice, loss.void) == (2, 5, 5, 0.1)
    assert (loss.points, loss.oversample, loss.importance) == (12544, 3, 0.75)


@pytest.mark.parametrize('name', shipped())
def test_every_shipped_configuration_is_valid(name):
    assert TrainingConfig.load(name).network == 'convnext_large_d_320'


def test_a_file_and_overrides(tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('optimiser: {learning_rate: 1e-5}\nseed: 3\n')
    config = TrainingConfig.load(file, ['optimiser.steps=[10, 20]', 'data.root=/data'])
    assert config.optimiser.learning_rate == 1e-5  # which YAML reads as text
    assert (config.seed, config.optimiser.steps, config.data.root) == (3, (10, 20), '/data')
    assert TrainingConfig.load('cityscapes', ['weights=x']).weights == 'x'


@pytest.mark.parametrize('override, said', [
    ('optimiser.lerning_rate=1', "did you mean 'optimiser.learning_rate'"),
    ('colour=1', 'known here: network, weights'),
    ('optimiser.batch=1.5', 'optimiser.batch is 1.5; expected a whole number of at least 1'),
    ('optimiser.batch=true', 'expected a whole number'),
    ('optimiser.batch=0', 'of at least 1'),
    ('optimiser.clip_norm=.nan', 'expected a number of at least 0'),
    ('optimiser.precision=fp8', 'expected one of fp16, bf16, fp32'),
    ('optimiser.steps=[20, 10]', 'increasing iterations'),
    ('loss.importance=2', 'expected a number in 0..1'),
    ('data.format=ade20k', 'expected one of coco_panoptic, cityscapes'),
    ('data.root=5', 'expected a text'),
    ('augmentation.size=[64]', 'a list of 2 values'),
    ('augmentation.size=[64, 100]', 'multiples of 32'),
    ('augmentation.scale=[2, 1]', 'smaller end first'),
    ('optimiser=5', 'expected keys and values'),
    ('network.depth=5', 'is not a key'),
    ('seed', 'expected KEY=VALUE')])
def test_what_is_refused_and_why(override, said):
    with pytest.raises(ConfigError) as refusal:
        TrainingConfig.load('coco_panoptic', [override])
    assert said in str(refusal.value)


def test_an_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(ConfigError, match='tiny, cityscapes, coco_panoptic'):
        TrainingConfig.load('ade20k')
    (tmp_path / 'broken.yaml').write_text('a: [')
    with pytest.raises(ConfigError, match='not a YAML file'):
        TrainingConfig.load(tmp_path / 'broken.yaml')


def test_the_course_leaves_out_what_changes_no_result():
    course = TrainingConfig.load(
        'coco_panoptic', ['run.workers=1', 'data.root=elsewhere']).course()
    assert course == TrainingConfig().course()
    assert course['optimiser.batch'] == 16 and course['seed'] == 0
    assert course != TrainingConfig.load('coco_panoptic', ['loss.void=0.2']).course()
