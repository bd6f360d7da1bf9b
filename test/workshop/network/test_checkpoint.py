# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Official checkpoints: recognition, refusal, loading (needs torch and open_clip)."""

import math

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

import safetensors.torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from vl4ad_workshop.network import checkpoint  # noqa: E402
from vl4ad_workshop.network.checkpoint import CheckpointError  # noqa: E402
from vl4ad_workshop.network.config import OFFICIAL  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402

# Millions of parameters of each CLIP, from open_clip's docs/model_profile.csv.
SIZES = {'convnext_large_d_320': 351.77, 'rn50': 102.01, 'rn101': 119.69, 'rn50x4': 178.3,
         'rn50x16': 290.98, 'rn50x64': 623.26, 'convnext_base': 151.52, 'convnext_base_w': 179.39,
         'convnext_large': 321.06, 'convnext_xxlarge': 1200.58}


@pytest.fixture
def network(small):
    torch.manual_seed(0)
    return Vl4ad(small).eval()


def shapes_of(state):
    return {k: tuple(v.shape) for k, v in state.items()}


@pytest.mark.parametrize('name', OFFICIAL)
def test_each_architecture_is_recognised_by_its_shapes(name):
    shapes = checkpoint.expected_shapes(name)
    assert checkpoint.recognise(shapes, 'x').name == name
    parameters = sum(math.prod(s) for k, s in shapes.items() if k.startswith('backbone.')
                     and 'running_' not in k and 'num_batches' not in k)
    assert parameters / 1e6 == pytest.approx(SIZES[name], abs=0.01)
    openai = name.startswith('rn')
    assert OFFICIAL[name].clip['quick_gelu'] == OFFICIAL[name].ensemble_on_valid_mask == openai


def test_every_difference_is_in_the_table(small):
    shapes = dict(checkpoint.expected_shapes('small_resnet'))
    del shapes['void_embedding.weight']
    shapes['backbone.clip_model.extra'] = (1, 2)
    shapes['sem_seg_head.predictor.query_feat.weight'] = (7, 32)
    with pytest.raises(CheckpointError) as error:
        checkpoint.recognise(shapes, 'x.pth')
    rows = [line.split() for line in str(error.value).splitlines()]
    assert ['missing', 'void_embedding.weight', '[1,', '16]', '-'] in rows
    assert ['unexpected', 'backbone.clip_model.extra', '-', '[1,', '2]'] in rows
    assert ['mismatched', 'sem_seg_head.predictor.query_feat.weight', '[5,', '32]', '[7,', '32]'
            ] in rows
    assert 'Nearest is small_resnet' in str(error.value)


@pytest.mark.parametrize('form', ['bare', 'detectron2', 'lightning', 'wrapped', 'safetensors',
                                  'legacy', 'half'])
def test_loads_every_form_of_a_state_dict(network, tmp_path, form):
    state = network.state_dict()
    file = tmp_path / ('x.safetensors' if form == 'safetensors' else 'x.pth')
    extra = {'criterion.empty_weight': torch.ones(134)}
    content = {
        'bare': state, 'detectron2': {'model': {**state, **extra}, 'iteration': 368749},
        'lightning': {'state_dict': state, 'epoch': 1}, 'safetensors': state,
        'wrapped': {'model': {f'module.{k}': v for k, v in state.items()}},
        'legacy': {'model': state},
        'half': {k: v.half() if v.is_floating_point() else v for k, v in state.items()}}[form]
    if form == 'safetensors':
        safetensors.torch.save_file(content, file)
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form != 'legacy')
    loaded = checkpoint.load_checkpoint(file)
    assert loaded.config.name == 'small_resnet' and not loaded.training
    image = torch.randint(0, 255, (1, 40, 70, 3), dtype=torch.uint8)
    tokens = torch.randint(1, 49408, (2, 77))
    for a, b in zip(loaded.state_dict().values(), network.state_dict().values()):
        assert torch.equal(a, b) or (form == 'half' and torch.allclose(a, b, atol=2e-3))
    with torch.no_grad():
        # Constants that no state dict has: normalisation and the text tower's causal mask.
        assert torch.equal(loaded.normalise(image), network.normalise(image))
        if form != 'half':
            assert torch.equal(loaded.backbone.encode_text(tokens),
                               network.backbone.encode_text(tokens))


@pytest.mark.parametrize('content, says', [
    (b'', 'cannot be read'), (b'PK\x03\x04 cut short', 'cannot be read'),
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:7551\nsize 9\n', 'git lfs pull'),
    (b'<!DOCTYPE html><html><head><title>Virus scan warning</title>', 'HTML'),
    ({'model': {'a': 'text'}}, 'no state dict'), ([1, 2], 'no state dict'),
    ({'model': {}}, 'no state dict')])
def test_rubbish_is_refused_with_a_cure(small, tmp_path, content, says):
    for name in ('x.pth', 'x.safetensors')[:2 if isinstance(content, bytes) else 1]:
        file = tmp_path / name
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            torch.save(content, file)
        with pytest.raises(CheckpointError, match=says):
            checkpoint.load_checkpoint(file)


def test_a_file_that_could_run_code_is_refused(small, tmp_path):
    marker = tmp_path / 'ran'
    torch.save({'model': _Runs(marker)}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='could execute code'):
        checkpoint.load_checkpoint(tmp_path / 'x.pth')
    assert not marker.exists()
    with pytest.raises(CheckpointError, match='no checkpoint at'):
        checkpoint.load_checkpoint(tmp_path / 'absent.pth')


class _Runs:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), 'w'))


def test_masked_attention_pooling_is_multi_head_attention(network):
    """Against PyTorch's own, one mask at a time; an empty mask gives finite numbers."""
    torch.manual_seed(1)
    backbone, pool = network.backbone, network.backbone.clip_model.visual.attnpool
    dense, masks = torch.randn(1, 256, 3, 5), torch.randn(1, 4, 3, 5)
    masks[0, 1] = 1
    masks[0, 3] = -1
    with torch.no_grad():
        ours, count = backbone.embed_masks(dense, masks)
        assert torch.isfinite(ours).all()
        assert count[0, :, 0].tolist() == [(m > 0).sum().item() for m in masks[0]]
        cells = pool.positional_embedding[1:].reshape(1, 3, 3, 256).permute(0, 3, 1, 2)
        cells = F.interpolate(cells, (3, 5), mode='bilinear', align_corners=False)
        keys = (dense + cells).flatten(2).permute(2, 0, 1)
        query = dense.mean((2, 3))[None] + pool.positional_embedding[0]
        for i in range(3):
            inside = keys[(masks[0, i] > 0).flatten()]
            theirs, _ = F.multi_head_attention_forward(
                query, inside, inside, 256, pool.num_heads, None, torch.cat(
                    [pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]), None, None, False, 0,
                pool.c_proj.weight, pool.c_proj.bias, use_separate_proj_weight=True,
                q_proj_weight=pool.q_proj.weight, k_proj_weight=pool.k_proj.weight,
                v_proj_weight=pool.v_proj.weight, need_weights=False)
            assert torch.allclose(ours[0, i], theirs[0, 0], atol=1e-5)


def test_resnet_features_have_the_strides_and_channels_of_its_config(network, small):
    features = network.backbone.features(torch.randn(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (c, 64 // s, 96 // s) for c, s in zip(small.feature_channels, (4, 8, 16, 32))]
