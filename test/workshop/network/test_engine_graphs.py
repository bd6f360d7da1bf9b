# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Graphs for engines, as far as a machine without a GPU can prove them.

Needs torch, open_clip, onnx and onnxruntime; what is compiled needs tensorrt_rtx, not a GPU.
"""

from collections import Counter
import functools

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')
pytest.importorskip('onnx_ir')

from onnx import TensorProto  # noqa: E402, I100

from benchmarks.parity import drawn_network  # noqa: E402, I100
from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import Maps, measure, Reference, TEXT_INPUTS  # noqa: E402
from vl4ad_ros.inference.detector import Detector  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.config import CONVNEXT_LARGE_D_320, TINY  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import PLUGIN, set_sampling  # noqa: E402
from vl4ad_workshop.network.export import export_vision, VisionGraph  # noqa: E402
from vl4ad_workshop.network.precision import set_precision  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402
from vl4ad_workshop.scenes.still import draw_still  # noqa: E402

GRAPHS = [('fp16', 'gather'), ('fp16', 'plugin'), ('bf16', 'gather')]
HALF = {'fp16': TensorProto.FLOAT16, 'bf16': TensorProto.BFLOAT16}
# Slow, wrong or unknown in some TensorRT of 10.3 to 11, or of a shape that depends on values.
DENIED = {
    'GridSample', 'NonZero', 'If', 'Loop', 'Scan', 'ScatterND', 'ScatterElements', 'Scatter',
    'Einsum', 'GatherElements', 'GatherND', 'TopK', 'Unique', 'Compress', 'NonMaxSuppression',
    'OneHot', 'Range', 'RandomNormal', 'RandomUniform', 'Dropout', 'BatchNormalization',
    'SequenceConstruct', 'SequenceAt', 'SequenceEmpty', 'SequenceInsert', 'SplitToSequence',
    'ConcatFromSequence', 'Pad'}
# Parameters between a pooled vector and a class logit.
SCORING = ('network.backbone.clip_model.logit_scale', 'network.backbone.clip_model.visual.head.',
           'network.backbone.clip_model.visual.trunk.head.',
           'network.backbone.clip_model.visual.trunk.norm.', 'network.void_embedding.',
           'network.sem_seg_head.predictor.logit_scale',
           'network.sem_seg_head.predictor.class_embed.',
           'network.sem_seg_head.predictor._mask_pooling_proj.')
CONCEPTS, CLASSES = 64, 32


@pytest.fixture(scope='module')
def shipped():
    """Return the shipped bundle's network and prompts."""
    bundle = Bundle.open('tiny')
    network, _ = load_network(bundle)
    detector = Detector.open('tiny', 'onnxruntime')
    return bundle, network, detector.encode(detector.default_vocabulary)


@pytest.fixture(scope='module')
def graph_of(tmp_path_factory):
    """Export the shipped network, once for each precision and form; return the file."""
    folder = tmp_path_factory.mktemp('graphs')

    @functools.cache
    def export(dtype, form):
        bundle = Bundle.open('tiny')
        network, _ = load_network(bundle)
        return write(network, dtype, form, folder / f'{dtype}.{form}.onnx',
                     (bundle.vision.height, bundle.vision.width), bundle.capacity.concepts,
                     bundle.capacity.classes)

    return export


def write(network, dtype, form, path, size, concepts=CONCEPTS, classes=CLASSES):
    set_precision(network, dtype)
    set_sampling(network, form)
    export_vision(network, path, size, concepts, classes, Classification(), [])
    return path


def types_of(model):
    """Return the type of every value that a node takes or gives, by name."""
    graph = model.graph
    types = {i.name: i.data_type for i in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def constants_of(model):
    """Return every value that no input reaches, with the parameters that it is made from."""
    made = {i.name: {i.name} if i.name.startswith('network.') else set()
            for i in model.graph.initializer}
    for node in model.graph.node:
        if all(v in made or not v for v in node.input):
            parameters = set().union(*(made[v] for v in node.input if v))
            made.update(dict.fromkeys(node.output, parameters))
    return made


def islands(model, constants):
    """Return the nodes of each connected part in which activations are float32."""
    types, group = types_of(model), {}

    def find(name):
        while group.setdefault(name, name) != name:
            name = group[name]
        return name

    def floats(node):
        return [v for v in (*node.input, *node.output)
                if v not in constants and types.get(v) == TensorProto.FLOAT]

    for node in model.graph.node:
        values = floats(node)
        for value in values[1:]:
            group[find(value)] = find(values[0])
    parts = {}
    for node in model.graph.node:
        if floats(node):
            parts.setdefault(find(floats(node)[0]), []).append(node)
    return list(parts.values())


def kind_of(island, constants):
    """Name an island by what it is for; fail if it holds what it should not."""
    kinds = {node.op_type for node in island}
    parameters = set().union(*(constants.get(v, ()) for node in island for v in node.input))

    def within(*allowed):
        assert kinds <= {'Cast', 'Reshape', 'Unsqueeze', *allowed}, kinds

    if any('image' in node.input for node in island):
        within('Sub', 'Div', 'Transpose')
        return 'pixels'
    if any(node.output[0] == 'uncertainty' for node in island):
        assert not kinds & {'Conv', 'InstanceNormalization', 'Floor', PLUGIN}
        assert all(p.startswith(SCORING) for p in parameters), parameters
        # Beside those with parameters: of two embeddings with the prompts, and of masks with
        # probabilities.
        assert 3 == sum(n.op_type == 'MatMul' and n.input[1] not in constants for n in island)
        return 'scores'
    if 'InstanceNormalization' in kinds:
        within('InstanceNormalization', 'Mul', 'Add')
        assert all('.norm.' in p or '.input_proj.' in p for p in parameters), parameters
        return 'group norm'
    if kinds & {'Floor', PLUGIN}:
        within('Floor', PLUGIN, 'Softmax', 'Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Equal',
               'Abs', 'Where', 'Slice')
        assert not parameters
        return 'sampling'
    if 'Softmax' in kinds:
        within('Softmax', 'Where')
        return 'attention'
    if 'ReduceSum' in kinds:
        within('ReduceSum', 'Clip', 'Div', 'Greater')
        return 'mask pooling'
    within('Less')
    return 'comparison'


def frames_of(size):
    """Return drawn scenes, and frames that leave queries empty."""
    scenes = [draw_still(np.random.default_rng(seed), size, split='test').image
              for seed in range(6)]
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    return np.stack([*scenes, *(np.full((*size, 3), v, np.uint8) for v in (128, 0)), noise])


def reference_of(network, images, texts, classes):
    """Return what the float32 network says, and whether each frame leaves a mask empty."""
    graph, empty = VisionGraph(network, classes), []
    tensors = [torch.from_numpy(np.array(texts[name])) for name in TEXT_INPUTS]
    answers = []
    with torch.no_grad():
        for image in images:
            *maps, masks, _, _, _ = graph(torch.from_numpy(image), *tensors)
            answers.append(Maps(*(x.numpy() for x in maps)))
            empty.append(bool((masks <= 0).flatten(2).all(-1).any()))
    return Reference(images, texts, tuple(answers)), empty


def runner(path):
    """Return `Backend.run` of ONNX Runtime on the CPU."""
    onnxruntime = pytest.importorskip('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options,
                                           providers=['CPUExecutionProvider'])
    names = [i.name for i in session.get_inputs()]
    return lambda *inputs: Maps(*session.run(None, dict(zip(names, inputs))))


def assert_within(deviation, uncertainty, known, anomaly, mass):
    assert deviation.uncertainty <= uncertainty and deviation.mass <= mass, deviation
    assert deviation.known <= known and deviation.anomaly <= anomaly, deviation


def check_operators(model, form):
    kinds = Counter((node.domain, node.op_type) for node in model.graph.node)
    assert not {kind for _, kind in kinds} & DENIED
    plugins = kinds.pop(('trt', PLUGIN), 0)
    assert {domain for domain, _ in kinds} == {''}
    assert bool(plugins) == (form == 'plugin')
    return plugins


def check_products(model):
    """
    No input has two projections, which TensorRT 10.13.3.9 was reported to merge wrongly.

    There are two exceptions, and neither could be one product with constant weights: the features
    of a level multiply the masks' embeddings of successive layers, each of which depends on the
    one before; and the prompts, which are an input of the graph, multiply the embeddings of both
    classifiers, one of which is compared with the embedding of void too.
    """
    constants = constants_of(model)
    made = {v: node for node in model.graph.node for v in node.output}
    takers = {}
    for node in model.graph.node:
        if node.op_type in ('MatMul', 'Gemm'):
            for value in set(node.input[:2]) - constants.keys():
                takers.setdefault(value, []).append(node)
    shared = {value: nodes for value, nodes in takers.items() if len(nodes) > 1}
    assert shared  # the exceptions, without which this would look at nothing
    for value, nodes in shared.items():
        prompts = [v for node in nodes for v in node.input
                   if v in made and made[v].op_type == 'Transpose' and 'concepts' in made[v].input]
        factors = [v for node in nodes for v in node.input[:2] if v != value]
        features = all(node.input[1] == value for node in nodes)
        assert prompts or features, [(node.name, list(node.input)) for node in nodes]
        # Of the products with an exception, one may have a constant factor: the embedding of void,
        # or those of the masks before the first layer, which no image has changed yet.
        assert len(constants.keys() & factors) <= 1


def check_types_and_shapes(path, half):
    model = onnx.load(path)
    # An older opset has no bfloat16 convolutions; all else in these graphs is the same in 22.
    if half == TensorProto.BFLOAT16:
        model.opset_import[0].version = 22
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(
        model, check_type=True, strict_mode=True, data_prop=True)
    values = {v.name: v.type.tensor_type for v in (
        *inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)}
    given = [v for node in inferred.graph.node for v in node.output]
    assert all(d.HasField('dim_value') and d.dim_value > 0
               for v in (*given, *(i.name for i in inferred.graph.input))
               for d in values[v].shape.dim)
    assert {values[v].elem_type for v in given} <= {
        half, TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
    first = [n for n in model.graph.node if 'image' in n.input]
    assert [n.op_type for n in first] == ['Cast']  # TensorRT takes uint8 into nothing else
    for node in model.graph.node:
        if node.op_type == 'LayerNormalization':
            stash = [a.i for a in node.attribute if a.name == 'stash_type']
            assert stash in ([], [1])  # sums in float32


def check_islands(path, config):
    model = onnx.load(path)
    constants, decoder = constants_of(model), config.mask_decoder_layers
    counted = Counter(kind_of(island, constants) for island in islands(model, constants))
    assert counted == {
        'pixels': 1, 'group norm': 5, 'sampling': config.pixel_decoder_layers,
        'attention': 2 * decoder, 'comparison': decoder, 'mask pooling': 2, 'scores': 1}


@pytest.mark.parametrize('dtype, form', GRAPHS)
def test_operators(dtype, form, graph_of):
    model = onnx.load(graph_of(dtype, form))
    check_products(model)
    plugins = check_operators(model, form)
    assert plugins == (TINY.pixel_decoder_layers if form == 'plugin' else 0)
    assert {(o.domain, o.version) for o in model.opset_import} == (
        {('', 18), ('trt', 1)} if plugins else {('', 18)})


def test_products_of_the_shipped_graph():
    check_products(onnx.load(Bundle.open('tiny').directory / 'vision.onnx'))


@pytest.mark.parametrize('dtype, form', GRAPHS)
def test_types_and_shapes(dtype, form, graph_of):
    check_types_and_shapes(graph_of(dtype, form), HALF[dtype])


@pytest.mark.parametrize('dtype, form', GRAPHS)
def test_float32_lies_on_islands_only(dtype, form, graph_of):
    check_islands(graph_of(dtype, form), TINY)


def test_a_gathers_indices_are_int32(graph_of):
    """Half of the memory of int64, and no cast of them."""
    model = onnx.load(graph_of('fp16', 'gather'))
    types = types_of(model)
    large = [n for n in model.graph.node if n.op_type == 'Gather'
             and n.input[1] not in {i.name for i in model.graph.initializer}]
    assert len(large) == TINY.pixel_decoder_layers
    assert {types[n.input[1]] for n in large} == {TensorProto.INT32}
    assert {types[n.input[0]] for n in large} == {TensorProto.FLOAT16}


def test_the_plugin_gets_what_it_takes(graph_of):
    """Its value, places and weights are of one type, float32; level sizes are int32 constants."""
    model = onnx.load(graph_of('fp16', 'plugin'))
    types, constants = types_of(model), {i.name for i in model.graph.initializer}
    for node in (n for n in model.graph.node if n.op_type == PLUGIN):
        assert [types[v] for v in node.input] == [
            TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT32, TensorProto.FLOAT,
            TensorProto.FLOAT]
        assert [v in constants for v in node.input] == [False, True, True, False, False]
        assert {a.name: a.s for a in node.attribute} == {
            'plugin_version': b'1', 'plugin_namespace': b''}


def test_single_precision_has_no_needless_cast():
    model = onnx.load(Bundle.open('tiny').directory / 'vision.onnx', load_external_data=False)
    types = types_of(model)
    # The shipped bundle stores large weights in half precision, each of which is cast once.
    stored = {i.name for i in model.graph.initializer if i.data_type == TensorProto.FLOAT16}
    assert stored == {name for name, kind in types.items() if kind == TensorProto.FLOAT16}
    casts = [n for n in model.graph.node if n.op_type == 'Cast']
    assert all(types[n.input[0]] != types[n.output[0]] for n in casts)
    assert stored == {n.input[0] for n in casts} & stored
    assert all(set(n.input).isdisjoint(stored) for n in model.graph.node if n not in casts)


def test_half_precision_agrees_on_trained_weights(shipped, graph_of):
    """Also where frames leave queries empty."""
    bundle, network, prompts = shipped
    images = frames_of((bundle.vision.height, bundle.vision.width))
    texts = {name: getattr(prompts, name) for name in TEXT_INPUTS}
    reference, empty = reference_of(network, images, texts, bundle.capacity.classes)
    assert any(empty[6:])
    run = runner(graph_of('fp16', 'gather'))
    assert_within(measure(reference, run), 0.03, 0.01, 0.02, 0.01)
    for i in range(len(images)):
        assert all(np.isfinite(x).all() for x in run(images[i], *texts.values()))


@pytest.mark.parametrize('trunk', ['ConvNeXt', 'ResNet'])
def test_the_trunks_of_official_models(trunk, trunks, tmp_path):
    """Layer norms; attention pooling and folded batch norms."""
    torch.manual_seed(0)
    network = Vl4ad(trunks[trunk]).eval()
    images = frames_of((64, 96))
    concepts = np.random.default_rng(0).standard_normal(
        (CONCEPTS, network.config.embed_dim)).astype(np.float32)
    texts = dict(zip(TEXT_INPUTS, (
        concepts / np.linalg.norm(concepts, axis=1, keepdims=True),
        np.where(np.arange(CONCEPTS) < 20, np.arange(CONCEPTS) // 2, -1), np.array([6]),
        np.full(CLASSES, 0.4, np.float32))))
    reference, _ = reference_of(network, images, texts, CLASSES)
    path = write(network, 'fp16', 'gather', tmp_path / 'vision.onnx', (64, 96))
    check_operators(onnx.load(path), 'gather')
    check_products(onnx.load(path))
    check_types_and_shapes(path, TensorProto.FLOAT16)
    assert_within(measure(reference, runner(path)), 0.1, 0.05, 0.05, 0.02)
    Rtx().build(path)


class Rtx:
    """TensorRT-RTX's parser and its ahead-of-time compiler, neither of which needs a GPU."""

    logger = None

    def __init__(self):
        self.trt = trt = pytest.importorskip(
            'tensorrt_rtx', reason='pip install tensorrt-rtx: nothing else compiles without a GPU')
        Rtx.logger = Rtx.logger or trt.Logger(trt.Logger.ERROR)
        self.builder = trt.Builder(self.logger)
        self.network = self.builder.create_network(
            1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))

    def parse(self, path):
        """Return the operators of the nodes that it refuses, with its words."""
        parser = self.trt.OnnxParser(self.network, self.logger)
        parser.parse_from_file(str(path))
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        return [(e.node_operator(), e.desc()) for e in errors]

    def build(self, path):
        """Compile a graph; return the engine's size in bytes."""
        assert self.parse(path) == []
        engine = self.builder.build_serialized_network(
            self.network, self.builder.create_builder_config())
        assert engine is not None
        return engine.nbytes


@pytest.mark.parametrize('dtype', HALF)
def test_tensorrt_rtx_compiles_it_ahead_of_time(dtype, graph_of):
    assert Rtx().build(graph_of(dtype, 'gather')) > 2 ** 20


def test_tensorrt_rtx_refuses_nothing_but_the_plugin(graph_of):
    """It ships no plugins; that it reads all else says that TensorRT does."""
    refused = Rtx().parse(graph_of('fp16', 'plugin'))
    assert {operator for operator, _ in refused} == {PLUGIN}
    assert all('Plugin not found' in words for _, words in refused)


@pytest.mark.slow
def test_full_network(tmp_path):
    """convnext_large_d_320 at 512x1024 with weights drawn from their names."""
    network = drawn_network(CONVNEXT_LARGE_D_320).requires_grad_(False)
    size, classes = (512, 1024), 16
    images = draw_still(np.random.default_rng(0), size, split='test').image[None]
    concepts = np.random.default_rng(0).standard_normal(
        (CONCEPTS, network.config.embed_dim)).astype(np.float32)
    texts = dict(zip(TEXT_INPUTS, (
        concepts / np.linalg.norm(concepts, axis=1, keepdims=True),
        np.where(np.arange(CONCEPTS) < 24, np.arange(CONCEPTS) // 2, -1), np.array([8]),
        np.full(classes, 0.4, np.float32))))
    reference, _ = reference_of(network, images, texts, classes)
    path = write(network, 'fp16', 'gather', tmp_path / 'vision.onnx', size, classes=classes)
    config = network.config
    del network
    check_operators(onnx.load(path), 'gather')
    check_products(onnx.load(path))
    check_products(onnx.load(path))
    check_types_and_shapes(path, TensorProto.FLOAT16)
    check_islands(path, config)
    assert_within(measure(reference, runner(path)), 0.03, 0.01, 0.02, 0.01)
    assert Rtx().build(path) > 2 ** 28
