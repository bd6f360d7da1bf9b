# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters decay, and the learning rate's course. Needs torch and open_clip."""

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

from small import SMALL  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402
from vl4ad_workshop.training.real.config import OptimiserConfig  # noqa: E402
from vl4ad_workshop.training.real.optimisation import (  # noqa: E402
    learning_rate_factor, parameter_groups)


def test_norms_and_embeddings_do_not_decay_and_clip_does_not_learn():
    network = Vl4ad(SMALL)
    names = {p: n for n, p in network.named_parameters()}
    decaying, exempt = parameter_groups(network, 0.05)
    assert (decaying['weight_decay'], exempt['weight_decay']) == (0.05, 0.0)
    decaying, exempt = ([names[p] for p in g['params']] for g in (decaying, exempt))
    learning = {n for n, p in network.named_parameters() if p.requires_grad}
    assert set(decaying) | set(exempt) == learning and len(decaying + exempt) == len(learning)
    assert not any('clip_model' in n for n in learning)
    head = 'sem_seg_head.'
    for name in ('void_embedding.weight', head + 'predictor.query_feat.weight',
                 head + 'predictor.level_embed.weight', head + 'predictor.decoder_norm.bias',
                 head + 'pixel_decoder.input_proj.0.1.weight',
                 head + 'pixel_decoder.adapter_1.norm.bias',
                 head + 'predictor._mask_pooling_proj.0.weight'):
        assert name in exempt, name
    # Decided by the module's type, as FC-CLIP's code does: biases and learned scalars decay.
    for name in (head + 'predictor.logit_scale', head + 'predictor.mask_embed.layers.0.bias',
                 head + 'pixel_decoder.transformer.level_embed',
                 head + 'pixel_decoder.adapter_1.weight'):
        assert name in decaying, name


@pytest.mark.parametrize('iteration, factor', [
    (0, 1), (9, 1), (327777, 1), (327778, 0.1), (355091, 0.1), (355092, 0.01), (368749, 0.01)])
def test_the_published_course(iteration, factor):
    assert learning_rate_factor(OptimiserConfig(), iteration) == pytest.approx(factor)


def test_warming_up_rises_linearly():
    config = OptimiserConfig(warmup_iterations=4, warmup_factor=0.2)
    assert [learning_rate_factor(config, i) for i in range(6)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1, 1])
