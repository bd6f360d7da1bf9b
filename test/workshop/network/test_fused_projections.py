# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Projections of the same input are one product in exported graphs (needs torch, onnx)."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')
onnx_ir = pytest.importorskip('onnx_ir')

from onnx import helper, numpy_helper, TensorProto  # noqa: E402, I100
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_ir import serde  # noqa: E402

from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import load_reference, Maps, measure, Reference  # noqa: E402
from vl4ad_workshop.network import export  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.config import TINY  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import set_sampling  # noqa: E402
from vl4ad_workshop.network.export import export_vision, VisionGraph  # noqa: E402
from vl4ad_workshop.network.fused_projections import fuse_projections  # noqa: E402
from vl4ad_workshop.network.precision import set_precision  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402

TYPES = {'fp32': TensorProto.FLOAT, 'fp16': TensorProto.FLOAT16, 'bf16': TensorProto.BFLOAT16}


def model_of(nodes, outputs, dtype='fp32', weights=((4, 3), (4, 2), (4, 5))):
    """Return a graph with input x (1, 6, 4), and weights w0, b0, w1, ... of the given shapes."""
    rng, kind, constants = np.random.default_rng(0), TYPES[dtype], []
    for i, whole in enumerate(weights):
        for name, shape in ((f'w{i}', whole), (f'b{i}', whole[-1:])):
            constants.append(helper.make_tensor(
                name, kind, shape, rng.standard_normal(shape).astype(np.float32).flatten()))
    model = helper.make_model(helper.make_graph(
        [helper.make_node(op, inputs, [output], **attributes)
         for op, inputs, output, attributes in nodes], 'g',
        [helper.make_tensor_value_info('x', kind, [1, 6, 4])],
        [helper.make_tensor_value_info(o, kind, None) for o in outputs], constants),
        opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    return serde.deserialize_model(onnx.shape_inference.infer_shapes(model))


def linear(i, source='x', weight=None):
    return [('MatMul', [source, weight or f'w{i}'], f'm{i}', {}),
            ('Add', [f'm{i}', f'b{i}'], f'y{i}', {})]


def answers(model, x):
    """Return the results of a graph, float32, in onnx's own evaluator, after checking it."""
    proto = serde.serialize_model(model)
    onnx.checker.check_model(proto, full_check=True)
    return [np.asarray(y, np.float32) for y in ReferenceEvaluator(proto).run(None, {'x': x})]


def products(model):
    return sum(node.op_type == 'MatMul' for node in model.graph)


@pytest.mark.parametrize('dtype', TYPES)
def test_projections_of_an_input_become_one(dtype):
    """Also the one of a later layer, whose weights are made after the first one's product."""
    nodes = [*linear(0), *linear(1), ('Identity', ['w2'], 'late', {}), *linear(2, weight='late')]
    outputs = ['y0', 'y1', 'y2']
    x = np.random.default_rng(1).standard_normal((1, 6, 4)).astype(np.float32)
    x = numpy_helper.to_array(helper.make_tensor('x', TYPES[dtype], x.shape, x.flatten()))
    expected = answers(model_of(nodes, outputs, dtype), x)
    model = model_of(nodes, outputs, dtype)
    assert fuse_projections(model) == 2
    assert products(model) == 1 and [o.name for o in model.graph.outputs] == outputs
    for ours, theirs in zip(answers(model, x), expected):
        # Each number is the same sum; half precision may round it at other places.
        np.testing.assert_allclose(
            ours, theirs, atol={'fp32': 1e-6, 'fp16': 4e-3, 'bf16': 4e-2}[dtype])
    assert fuse_projections(model) == 0


@pytest.mark.parametrize('nodes, outputs, weights', [
    ([*linear(0), *linear(1, 'y0')], ['y1'], ((4, 4), (4, 2))),
    ([*linear(0), ('Transpose', ['y0'], 't', {'perm': [0, 2, 1]}),
      ('MatMul', ['x', 't'], 'm1', {}), ('Add', ['m1', 'b1'], 'y1', {})], ['y1'],
     ((4, 4), (4, 6))),
    ([*linear(0), ('MatMul', ['x', 'w1'], 'y1', {})], ['y0', 'y1'], ((4, 3), (4, 2))),
    ([*linear(0), *linear(1), ('Neg', ['m1'], 'z', {})], ['y0', 'y1', 'z'], ((4, 3), (4, 2))),
    ([*linear(0), *linear(1)], ['y0', 'y1', 'm1'], ((4, 3), (4, 2))),
    ([*linear(0), *linear(1)], ['y0', 'y1'], ((4, 3), (1, 4, 2))),
    ([*linear(0), ('MatMul', ['x', 'w1'], 'm1', {}), ('Add', ['m1', 'b2'], 'y1', {})],
     ['y0', 'y1'], ((4, 3), (4, 2), (4, 1)))],
    ids=['another input', 'no constant', 'no bias', 'used twice', 'an output', 'a stack',
         'a broadcast bias'])
def test_other_products_stay(nodes, outputs, weights):
    model = model_of(nodes, outputs, weights=weights)
    before = [node.op_type for node in model.graph]
    assert fuse_projections(model) == 0
    assert [node.op_type for node in model.graph] == before


def session_of(path):
    onnxruntime = pytest.importorskip('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(str(path), options,
                                           providers=['CPUExecutionProvider'])
    names = [i.name for i in session.get_inputs()]
    return lambda *inputs: Maps(*session.run(None, dict(zip(names, inputs))))


@pytest.mark.parametrize('dtype', ['fp32', 'fp16'])
def test_the_shipped_network_gives_the_same(dtype, tmp_path, monkeypatch):
    """Fused, not fused, and in PyTorch; ONNX Runtime has no bfloat16 on CPUs."""
    bundle, counts = Bundle.open('tiny'), []
    reference = load_reference(bundle)
    graphs = [tmp_path / 'separate.onnx', tmp_path / 'fused.onnx']

    def fuse(model):
        onnx_ir.save(model, graphs[0])
        counts.append(fuse_projections(model))

    monkeypatch.setattr(export, 'fuse_projections', fuse)
    network, _ = load_network(bundle)
    set_precision(network, dtype)
    set_sampling(network, 'gather')
    export_vision(network, graphs[1], (bundle.vision.height, bundle.vision.width),
                  bundle.capacity.concepts, bundle.capacity.classes, Classification(), [])
    # Queries and keys of each layer of one decoder, offsets and weights of the other.
    assert counts == [TINY.mask_decoder_layers + TINY.pixel_decoder_layers]
    before, after = map(session_of, graphs)
    answer = tuple(before(image, *reference.texts.values()) for image in reference.images)
    same = measure(Reference(reference.images, reference.texts, answer), after)
    assert same.uncertainty < (1e-4 if dtype == 'fp32' else 0.02), same
    assert same.mass < (1e-4 if dtype == 'fp32' else 0.005), same
    deviation = measure(reference, after)
    assert deviation.uncertainty < (1e-4 if dtype == 'fp32' else 0.03), deviation
    assert deviation.mass < (1e-4 if dtype == 'fp32' else 0.01), deviation


@torch.no_grad()
@pytest.mark.parametrize('trunk, layers', [('ConvNeXt', 4), ('ResNet', 9)])
def test_layers_share_keys_and_values_of_a_level(trunk, layers, trunks, tmp_path, monkeypatch):
    """Three of nine layers attend to each level, as in official networks; two of four to one."""
    torch.manual_seed(0)
    config = replace(trunks[trunk], mask_decoder_layers=layers)
    network, counts = Vl4ad(config).eval().requires_grad_(False), []
    monkeypatch.setattr(
        export, 'fuse_projections', lambda model: counts.append(fuse_projections(model)))
    export_vision(network, tmp_path / 'vision.onnx', (64, 96), 16, 8, Classification(), [])
    assert counts == [
        layers + config.pixel_decoder_layers  # queries and keys, offsets and weights
        + 2 * (layers - 3)  # keys and values of three levels
        + (trunk == 'ResNet')]  # keys and values of the attention pooling
    concepts = torch.nn.functional.normalize(torch.randn(16, config.embed_dim), dim=-1)
    inputs = (torch.randint(0, 255, (64, 96, 3), dtype=torch.uint8), concepts,
              torch.arange(16) // 2, torch.tensor([5]), torch.full((8,), 0.4))
    expected = VisionGraph(network, 8)(*inputs)
    seen = session_of(tmp_path / 'vision.onnx')(*(x.numpy() for x in inputs))
    np.testing.assert_allclose(seen.uncertainty, expected[0], atol=1e-4)
    np.testing.assert_allclose(seen.anomaly_mass, expected[3], atol=1e-4)


def test_onnx_runtime_runs_one_product_and_concatenates_nothing(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / 'vision.onnx')
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(Bundle.open('tiny').directory / 'vision.onnx'), options,
                                 providers=['CPUExecutionProvider'])
    graph = onnx.load(tmp_path / 'vision.onnx', load_external_data=False).graph
    constants = {i.name: tuple(i.dims) for i in graph.initializer}
    assert not [n for n in graph.node if n.op_type == 'Concat' and set(n.input) <= set(constants)]
    shapes = Counter(constants.get(n.input[1]) for n in graph.node
                     if n.op_type in ('Gemm', 'MatMul'))
    assert {shape: shapes[shape] for shape in fused_shapes()} == fused_shapes()


def test_openvino_runs_one_product_and_concatenates_nothing():
    openvino = pytest.importorskip('openvino')
    core = openvino.Core()
    model = core.read_model(Bundle.open('tiny').directory / 'vision.onnx')
    compiled = core.compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    operations = compiled.get_runtime_model().get_ops()

    def kind(operation):
        return operation.get_rt_info()['layerType'].astype(str)

    assert not [o for o in operations if kind(o) == 'Concatenation' and all(
        kind(i.get_node()) == 'Const' for i in o.input_values())]
    widths = Counter(o.get_output_shape(0)[-1] for o in operations if kind(o) == 'FullyConnected')
    expected = {width: count for (_, width), count in fused_shapes().items()}
    assert {width: widths[width] for width in expected} == expected


def fused_shapes():
    """Return how many products of each shape of weights come from fusion, in the tiny network."""
    dim, samples = TINY.hidden_dim, TINY.attention_heads * 3 * TINY.sampling_points
    return {(dim, 2 * dim): TINY.mask_decoder_layers,
            (dim, 3 * samples): TINY.pixel_decoder_layers}
