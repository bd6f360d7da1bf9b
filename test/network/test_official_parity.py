# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network against outputs of the official FC-CLIP code (needs torch and the oracle files)."""

import json
from pathlib import Path
import zlib

import numpy as np
import pytest

torch = pytest.importorskip('torch')
open_clip = pytest.importorskip('open_clip')

from vl4ad_ros.network.clip import concept_embeddings  # noqa: E402
from vl4ad_ros.network.config import CONVNEXT_LARGE_D_320  # noqa: E402
from vl4ad_ros.network.scoring import semantic_map  # noqa: E402
from vl4ad_ros.network.vl4ad import Texts, Vl4ad  # noqa: E402

ORACLE = Path(__file__).resolve().parents[3] / 'shared/oracles/fcclip'
NAME = 'fcclip_convnext_large_d_320'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ORACLE / f'{NAME}.npz').exists(),
                       reason='the oracle of official FC-CLIP outputs is not on this machine')]


def drawn_weight(key, shape):
    """Draw a weight from its state-dict key by the oracle's rules (its README)."""
    n = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(
        shape).astype(np.float32)
    last = key.rsplit('.', 1)[-1]
    if key.endswith('logit_scale'):
        return np.float32(np.log(100) if 'clip_model' in key else np.log(1 / 0.07))
    if last == 'gamma':
        return 0.1 + 0.02 * n
    if last == 'running_mean':
        return 0.1 * n
    if last in ('bias', 'in_proj_bias'):
        return n if 'sampling_offsets' in key else 0.02 * n
    if len(shape) == 1:
        return 1 + 0.1 * n
    if 'positional_embedding' in key or 'token_embedding' in key:
        return 0.02 * n
    if any(k in key for k in ('query_feat', 'query_embed', 'level_embed', 'void_embedding')):
        return n
    return n / np.sqrt(np.prod(shape[1:])).astype(np.float32)


@pytest.fixture(scope='module')
def oracle():
    return np.load(ORACLE / f'{NAME}.npz'), json.loads((ORACLE / f'{NAME}.json').read_text())


@pytest.fixture(scope='module')
def network(oracle):
    torch.manual_seed(0)
    net = Vl4ad(CONVNEXT_LARGE_D_320).eval()
    keys = set(oracle[1]['state_dict']) - {'criterion.empty_weight'}
    state = net.state_dict()
    assert keys == set(state)
    for key, tensor in state.items():
        assert list(tensor.shape) == oracle[1]['state_dict'][key]
        tensor.copy_(torch.from_numpy(np.asarray(drawn_weight(key, tuple(tensor.shape)))))
    return net


@pytest.fixture(scope='module')
def texts(network, oracle):
    arrays, meta = oracle
    names = [n for c in meta['classes'] for n in c.split(',')]
    tokenizer = open_clip.get_tokenizer('convnext_large_d_320')
    tokens = torch.stack([tokenizer([t.format(n) for t in CONVNEXT_LARGE_D_320.templates])
                          for n in names])
    trained = {n for c in meta['train_classes'] for n in c.split(',')}
    weight = [0.4 if trained & set(c.split(',')) else 0.8 for c in meta['classes']]
    with torch.no_grad():
        return Texts(
            concept_embeddings(network.backbone, tokens),
            torch.repeat_interleave(torch.arange(len(weight)),
                                    torch.from_numpy(arrays['num_templates'].astype(int))),
            len(weight), torch.tensor(weight))


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def test_text_classifier(texts, oracle):
    assert np.abs(texts.concepts.numpy() - oracle[0]['text_classifier']).max() < 1e-5


@torch.no_grad()
def test_outputs(network, texts, oracle):
    arrays = oracle[0]
    image = torch.from_numpy(arrays['image'])[None]
    features = network.backbone.features(network.normalise(image))
    assert relative_error(features[-1][0].numpy(),
                          arrays['clip_vis_dense'].astype(np.float32)) < 1e-3
    assert relative_error(features[0][0].mean((1, 2)).numpy(), arrays['res2_mean']) < 1e-3
    queries = network(image, texts)
    logits = torch.cat([queries.in_vocabulary, queries.void], -1)[0].numpy()
    assert relative_error(logits, arrays['pred_logits']) < 1e-3
    masks = queries.mask_logits[0]
    assert relative_error(masks[::5].numpy(), arrays['pred_masks'].astype(np.float32)) < 1e-3
    # The official order: logits to full size, then sigmoid and the sum over queries.
    full = torch.nn.functional.interpolate(
        masks[None], size=image.shape[1:3], mode='bilinear', align_corners=False)[0].sigmoid()
    semantic = semantic_map(full, queries.probability[0])[:, ::4, ::4].numpy()
    assert relative_error(semantic, arrays['sem_seg']) < 1e-3
