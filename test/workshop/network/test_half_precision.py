# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Half precision in PyTorch: what is rounded, what is not (needs torch and open_clip)."""

import copy

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

import torch.nn.functional as F  # noqa: E402

from vl4ad_ros.bundle import manifest  # noqa: E402
from vl4ad_workshop.network.config import TINY  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import set_sampling  # noqa: E402
from vl4ad_workshop.network.pooling import mask_pool  # noqa: E402
from vl4ad_workshop.network.precision import DTYPES, set_precision  # noqa: E402
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad  # noqa: E402

HALF = {'fp16': torch.float16, 'bf16': torch.bfloat16}


def seeded(config):
    """Return a network with random weights and with batch norms that do something."""
    torch.manual_seed(0)
    network = Vl4ad(config).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                # Beyond half precision, as statistics may be.
                module.running_var.uniform_(0.5, 2).mul_(1e5)
                module.weight.normal_(std=300.0)
                module.bias.normal_(std=0.1)
    return network


def texts_of(config):
    concepts = torch.randn(6, config.embed_dim, generator=torch.Generator().manual_seed(1))
    return Texts(F.normalize(concepts, dim=-1), torch.tensor([0, 0, 1, 2, 3, -1]), 4,
                 torch.full((4,), 0.4))


def image(height=64, width=96, batch=1):
    return torch.randint(0, 255, (batch, height, width, 3), dtype=torch.uint8,
                         generator=torch.Generator().manual_seed(2))


def test_every_dtype_of_a_bundle_is_there():
    assert set(DTYPES) == set(manifest.DTYPES)


@torch.no_grad()
@pytest.mark.parametrize('form', ['grid-sample', 'gather'])
@pytest.mark.parametrize('dtype', HALF)
@pytest.mark.parametrize('trunk', ['tiny', 'ConvNeXt', 'ResNet'])
def test_half_is_near_single(trunk, dtype, form, trunks):
    config = trunks[trunk]
    network, texts = seeded(config), texts_of(config)
    expected = network(image(batch=2), texts)
    set_precision(network, dtype)
    set_sampling(network, form)
    dense = network.backbone.features(network.normalise(image()))
    assert {x.dtype for x in dense} == {HALF[dtype]}
    seen = network(image(batch=2), texts)
    for name in ('mask_logits', 'in_vocabulary', 'out_vocabulary', 'void', 'probability'):
        ours, theirs = getattr(seen, name), getattr(expected, name)
        assert ours.dtype == torch.float32 and ours.isfinite().all(), name
        # The median: where rounding moves a pixel into a mask, that query's answer may jump.
        limit = (0.01 if dtype == 'fp16' else 0.08) * theirs.abs().max()
        assert (ours - theirs).abs().median() < limit, name


@torch.no_grad()
@pytest.mark.parametrize('dtype', HALF)
def test_masks_that_are_all_empty(dtype):
    network, texts = seeded(TINY), texts_of(TINY)
    network.sem_seg_head.pixel_decoder.mask_features.bias.fill_(10)
    network.sem_seg_head.predictor.mask_embed.layers[-1].bias.fill_(-10)
    expected = network(image(), texts).probability
    set_precision(network, dtype)
    seen = network(image(), texts)
    assert not (seen.mask_logits > 0).any()
    assert torch.allclose(seen.probability, expected, atol=0.01 if dtype == 'fp16' else 0.08)


@pytest.mark.parametrize('dtype', HALF)
def test_pooling_over_a_large_map_neither_overflows_nor_loses_pixels(dtype):
    """131072 pixels at stride 4 of 1024x2048; their count and their sum are beyond float16."""
    features = torch.full((1, 2, 256, 512), 3.0, dtype=HALF[dtype])
    masks = torch.ones(1, 2, 256, 512)
    masks[:, 1, 1:] = -1
    pooled, count = mask_pool(features, masks)
    assert count.dtype == torch.float32 and count.flatten().tolist() == [131072, 512]
    assert torch.allclose(pooled.float(), torch.tensor(3.0), rtol=2e-2)


def test_what_is_rounded_and_what_is_not(trunks):
    for config in trunks.values():
        network = seeded(config)
        before = {k: v.data_ptr() for k, v in network.named_parameters()}
        single = copy.deepcopy(network)
        set_precision(network, 'fp16')
        parameters = dict(network.named_parameters())
        kept = {k for k, v in parameters.items() if v.dtype == torch.float32}
        assert {v.dtype for v in parameters.values()} == {torch.float16, torch.float32}
        for name in kept & before.keys():
            # The same memory: an exported graph shares them with the float32 one.
            assert parameters[name].data_ptr() == before[name], name
        for part, whole in (('clip_model.transformer.', True), ('logit_scale', True),
                            ('class_embed.', True), ('void_embedding', True),
                            ('sampling_offsets', False), ('mask_embed', False),
                            ('decoder.adapter_1.weight', False), ('adapter_1.norm', True)):
            assert {k in kept for k in parameters if part in k} == {whole}, part
        text = torch.randint(1, 400, (2, 9))
        with torch.no_grad():
            assert torch.equal(network.backbone.encode_text(text),
                               single.backbone.encode_text(text))
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_single_precision_stays_as_it_is():
    network = seeded(TINY)
    before = {k: (v.data_ptr(), v.dtype) for k, v in network.state_dict().items()}
    set_precision(network, 'fp32')
    assert {k: (v.data_ptr(), v.dtype) for k, v in network.state_dict().items()} == before


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'int8'; choose one of 'fp16', 'bf16', 'fp32'"):
        set_precision(seeded(TINY), 'int8')


@torch.no_grad()
@pytest.mark.parametrize('form', ['grid-sample', 'gather'])
def test_nothing_waits_for_the_device(form):
    """A host's look at a value would break the graph that `fullgraph` demands."""
    network, texts = seeded(TINY), texts_of(TINY)
    set_precision(network, 'bf16')
    set_sampling(network, form)
    compiled = torch.compile(network, fullgraph=True, backend='eager')
    assert torch.equal(compiled(image(), texts).probability, network(image(), texts).probability)
