# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The forms of deformable sampling agree (needs torch, open_clip, onnx)."""

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')

from onnx.reference import ReferenceEvaluator  # noqa: E402, I100
from onnx.reference.op_run import OpRun  # noqa: E402

from vl4ad_ros.bundle.manifest import SAMPLING  # noqa: E402
from vl4ad_workshop.network.config import NETWORKS, TINY  # noqa: E402
from vl4ad_workshop.network.deformable_attention import DeformableAttention  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import FORMS, PLUGIN, set_sampling  # noqa: E402
from vl4ad_workshop.network.position import cell_centres  # noqa: E402
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad  # noqa: E402

# Heads and width of a head of every network.
HEADS = sorted({(c.attention_heads, c.hidden_dim // c.attention_heads, c.sampling_points)
                for c in NETWORKS.values()})
SHAPES = [((2, 4), (4, 8), (8, 16)), ((1, 7), (1, 13)), ((7, 1), (5, 1), (3, 1)), ((1, 1),),
          ((3, 5), (6, 9), (11, 18), (2, 2))]


def some_samples(shapes, batch=1, heads=2, channels=3, points=4, reach=0.7, seed=0):
    """Return arguments of a form; locations reach beyond the map on every side."""
    rng = torch.Generator().manual_seed(seed)
    cells = sum(h * w for h, w in shapes)
    value = torch.randn(batch, cells, heads, channels, generator=rng)
    where = (batch, cells, heads, len(shapes), points)
    locations = 0.5 + reach * (2 * torch.rand(*where, 2, generator=rng) - 1)
    weights = torch.rand(where, generator=rng).flatten(3).softmax(-1).view(where)
    return value, shapes, locations, weights


def plugin_in_numpy(value, shapes, starts, locations, weights):
    """
    Return what TensorRT's plugin computes, point by point (its README and CUDA kernel).

    A point is left out unless it is less than a cell outside; then each of its four cells
    that is on the map counts by its bilinear share.
    """
    batch, queries, heads, levels, points, _ = locations.shape
    out = np.zeros((batch, queries, heads, value.shape[-1]))
    for b, q, h, level, p in np.ndindex(batch, queries, heads, levels, points):
        (height, width), start = shapes[level], starts[level]
        x = locations[b, q, h, level, p, 0] * width - 0.5
        y = locations[b, q, h, level, p, 1] * height - 0.5
        if not (-1 < x < width and -1 < y < height):
            continue
        left, top = math.floor(x), math.floor(y)
        for row, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
            for column, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                if 0 <= row < height and 0 <= column < width:
                    out[b, q, h] += (weights[b, q, h, level, p] * share_x * share_y
                                     * value[b, start + row * width + column, h])
    return out.astype(np.float32)


class Plugin(OpRun):
    """The plugin for onnx's reference evaluator."""

    op_domain = 'trt'

    def _run(self, *inputs, plugin_version=None, plugin_namespace=None):
        assert (plugin_version, plugin_namespace) == ('1', '')
        return (plugin_in_numpy(*inputs),)


Plugin.__name__ = PLUGIN


def test_every_form_of_a_bundle_is_there():
    """Besides 'none', which is for networks without deformable attention."""
    assert {*FORMS, 'none'} == set(SAMPLING)


@pytest.mark.parametrize('shapes', SHAPES, ids=str)
@pytest.mark.parametrize('batch', [1, 2])
def test_forms_agree(shapes, batch):
    arguments = some_samples(shapes, batch)
    value, _, locations, weights = arguments
    starts = np.cumsum([0] + [h * w for h, w in shapes])
    expected = plugin_in_numpy(value.numpy(), shapes, starts, locations.numpy(), weights.numpy())
    assert np.abs(expected).max() > 0.1
    for form, sample in FORMS.items():
        out = sample(*arguments)
        np.testing.assert_allclose(
            out.numpy(), expected.reshape(out.shape), atol=2e-6, err_msg=form)


@pytest.mark.parametrize('heads, channels, points', HEADS)
def test_forms_agree_at_the_networks_sizes(heads, channels, points):
    arguments = some_samples(((3, 6), (6, 12), (12, 24)), 1, heads, channels, points)
    expected = FORMS['grid-sample'](*arguments)
    assert torch.allclose(FORMS['gather'](*arguments), expected, atol=2e-6)


@pytest.mark.parametrize('form', FORMS)
def test_points_far_outside_are_zero(form):
    value, shapes, locations, weights = some_samples(((2, 3), (4, 6)))
    for far in (-1e6, -1.0, 2.0, 1e6):
        moved = locations.clone()
        moved[..., 0] = far
        assert not FORMS[form](value, shapes, moved, weights).any()


def test_gather_reads_borders_between_levels_and_frames_from_its_own_cells():
    """A clamped or shifted index would bring in another level's or frame's value."""
    value, shapes, locations, weights = some_samples(((2, 3), (4, 6)), batch=2, reach=1.2)
    expected = FORMS['grid-sample'](value, shapes, locations, weights)
    poisoned = value.clone()
    poisoned[0] = 1e6
    assert torch.allclose(FORMS['gather'](poisoned, shapes, locations, weights)[1], expected[1],
                          atol=2e-6)
    poisoned = value.clone()
    poisoned[:, :6] = 1e6
    weights = weights * torch.tensor([0.0, 1.0])[:, None]
    expected = FORMS['grid-sample'](value, shapes, locations, weights)
    assert torch.allclose(FORMS['gather'](poisoned, shapes, locations, weights), expected,
                          atol=2e-6)


@pytest.mark.parametrize('half', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('form', FORMS)
def test_half_precision_moves_no_point(form, half):
    """Points stay where they are: the error is that of rounding values and their weights."""
    value, shapes, locations, weights = some_samples(((64, 128),), channels=8, points=2, reach=.5)
    value = value.to(half)
    expected = FORMS['grid-sample'](value.float(), shapes, locations, weights)
    out = FORMS[form](value, shapes, locations, weights)
    assert out.dtype == half
    assert (out - expected).abs().max() < 4 * torch.finfo(half).eps


@torch.no_grad()
def test_forms_agree_through_a_whole_network():
    torch.manual_seed(0)
    network = Vl4ad(TINY).eval()
    for module in network.modules():
        if isinstance(module, DeformableAttention):
            torch.nn.init.normal_(module.sampling_offsets.weight, std=0.5)
    texts = Texts(torch.nn.functional.normalize(torch.randn(6, TINY.embed_dim), dim=-1),
                  torch.tensor([0, 0, 1, 2, 3, -1]), 4, torch.full((4,), 0.4))
    image = torch.randint(0, 255, (2, 64, 96, 3), dtype=torch.uint8)
    expected = network(image, texts)
    for form in FORMS:
        other = copy.deepcopy(network)
        set_sampling(other, form)
        seen = other(image, texts)
        assert torch.allclose(seen.mask_logits, expected.mask_logits, atol=1e-4)
        assert torch.allclose(seen.probability, expected.probability, atol=1e-4)
    forms = {m.form for m in other.modules() if hasattr(m, 'form')}
    assert forms == {form}


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'gather'.*'plugin'"):
        set_sampling(DeformableAttention(8, 2, 1, 1), 'bilinear')


@pytest.mark.parametrize('form', ['gather', 'plugin'])
def test_exported_attention_agrees(form, tmp_path):
    """
    In onnx's own evaluator, with the plugin written out from its documentation.

    It cannot read an opset 18 GridSample; test_network.py runs that form in ONNX Runtime.
    """
    torch.manual_seed(0)
    shapes = ((1, 2), (2, 3), (4, 6))
    attention = DeformableAttention(12, 2, 3, 2).eval()
    torch.nn.init.normal_(attention.sampling_offsets.weight, std=0.5)
    torch.nn.init.normal_(attention.attention_weights.weight)
    query, value = torch.randn(2, 1, 32, 12)
    set_sampling(attention, form)

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, query, value):
            return self.attention(query, cell_centres(shapes), value, shapes)

    with torch.no_grad():
        expected = Graph()(query, value)
        program = torch.onnx.export(Graph().eval(), (query, value), dynamo=True, opset_version=18,
                                    verbose=False)
    program.save(tmp_path / 'attention.onnx')
    model = onnx.load(tmp_path / 'attention.onnx')
    onnx.checker.check_model(model, full_check=True)
    seen, = ReferenceEvaluator(model, new_ops=[Plugin]).run(None, dict(zip(
        (i.name for i in model.graph.input), (query.numpy(), value.numpy()))))
    np.testing.assert_allclose(seen, expected.numpy(), atol=1e-5)
    kinds = [node.op_type for node in model.graph.node]
    assert 'GridSample' not in kinds
    assert kinds.count('Gather') == (form == 'gather')
    assert kinds.count(PLUGIN) == (form == 'plugin')
