# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One iteration's losses: what learns, and what half precision survives. Needs torch."""

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

from small import SMALL  # noqa: E402
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad  # noqa: E402
from vl4ad_workshop.training.losses import Targets, Weights  # noqa: E402
from vl4ad_workshop.training.point_sampling import RandomPoints  # noqa: E402
from vl4ad_workshop.training.real.supervision import Supervision  # noqa: E402

IMAGES = torch.randint(0, 256, (1, 64, 64, 3), generator=torch.Generator().manual_seed(0),
                       dtype=torch.uint8)
TARGETS = Targets(torch.tensor([0, 0]), torch.tensor([2, 1]),
                  torch.stack([torch.arange(64) < 32, torch.arange(64) >= 32])[:, None].expand(
                      2, 64, 64))


def supervision(half=None):
    torch.manual_seed(0)
    concepts = torch.nn.functional.normalize(torch.randn(3, SMALL.embed_dim), dim=1)
    texts = Texts(concepts, torch.arange(3), 3, torch.zeros(3))
    return Supervision(Vl4ad(SMALL), texts, Weights(2, 5, 5, 0.1), RandomPoints(64, 3, 0.75), half)


def test_all_of_the_decoder_learns_and_nothing_of_clip():
    step = supervision()
    assert set(step.train()(IMAGES, TARGETS)) == {'class', 'mask', 'dice'}
    sum(step(IMAGES, TARGETS).values()).backward()
    for name, parameter in step.network.named_parameters():
        if 'clip_model' in name:
            assert parameter.grad is None, name
        else:
            # Several processes wait for the gradient of each.
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_every_head_counts():
    step = supervision()
    seen = []
    classify = step.network.classify
    step.network.classify = lambda *a: seen.append(a) or classify(*a)
    step(IMAGES, TARGETS)
    assert len(seen) == SMALL.mask_decoder_layers + 1


def test_a_batch_without_targets_still_has_gradients_for_all():
    step = supervision()
    nothing = Targets(TARGETS.picture[:0], TARGETS.kind[:0], TARGETS.masks[:0])
    sum(step(IMAGES, nothing).values()).backward()
    learning = [p for p in step.network.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning)


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
def test_half_precision_survives_large_features(half):
    step = supervision(half)
    # Features whose sum over the picture is beyond float16, as those of large pictures are.
    torch.nn.init.constant_(step.network.sem_seg_head.pixel_decoder.mask_features.bias, 1000.0)
    assert all(v.isfinite() for v in step(IMAGES, TARGETS).values())
