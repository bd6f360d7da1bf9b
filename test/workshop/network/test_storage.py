# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights that are stored as float16 and computed with as float32 (needs torch, onnx)."""

from collections import Counter
import json
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')

import safetensors.torch  # noqa: E402

from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import load_reference, measure  # noqa: E402
from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_ros.inference.backend import BackendOptions, open_backend  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.export import store_bundle  # noqa: E402
from vl4ad_workshop.network.weight_file import LARGE, round_to_half, WeightFile  # noqa: E402

WEIGHTS = 'weights.safetensors'


@pytest.fixture(scope='module')
def wide(tmp_path_factory):
    """Return the shipped bundle at a small size, with its weights stored as float32."""
    out = tmp_path_factory.mktemp('wide') / 'bundle'
    assert main(['export', 'tiny', '--out', str(out), '--input-size', '96x160', '--dtype', 'fp32',
                 '--sampling', 'grid-sample', '--store-dtype', 'fp32']) == 0
    assert [p.name for p in out.parent.iterdir()] == ['bundle']
    return Bundle.open(out)


def test_the_shipped_bundle_stores_large_weights_as_float16():
    tiny = Bundle.open('tiny')
    assert tiny.network.store == 'fp16'
    tensors = safetensors.torch.load_file(tiny.directory / WEIGHTS)
    for name, tensor in tensors.items():
        large = tensor.ndim > 1 and tensor.numel() >= LARGE
        assert tensor.dtype == (torch.float16 if large else torch.float32) or (
            tensor.dtype == torch.int64), name
    network, _ = load_network(tiny)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize('file, least', [('vision.onnx', 40), ('text.onnx', 10)])
def test_graphs_cast_what_is_stored_as_float16_and_nothing_else(file, least):
    graph = onnx.load(Bundle.open('tiny').directory / file, load_external_data=False).graph
    stored = {i.name for i in graph.initializer if i.data_type == onnx.TensorProto.FLOAT16}
    assert len(stored) >= least
    assert all(i.external_data for i in graph.initializer if i.name in stored)
    takers = Counter(name for node in graph.node for name in node.input if name in stored)
    casts = [node for node in graph.node if node.op_type == 'Cast' and node.input[0] in stored]
    assert set(takers) == stored == {cast.input[0] for cast in casts}
    assert set(takers.values()) == {1}
    assert all(cast.attribute[0].i == onnx.TensorProto.FLOAT for cast in casts)


def test_onnx_runtime_computes_the_casts_once(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    for file in ('vision.onnx', 'text.onnx'):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / file)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(Bundle.open('tiny').directory / file), options,
                                     providers=['CPUExecutionProvider'])
        kinds = {i.data_type for i in
                 onnx.load(tmp_path / file, load_external_data=False).graph.initializer}
        assert onnx.TensorProto.FLOAT16 not in kinds


def test_openvino_computes_the_casts_of_the_image_network_once():
    openvino = pytest.importorskip('openvino')
    core = openvino.Core()
    model = core.read_model(Bundle.open('tiny').directory / 'vision.onnx')
    compiled = core.compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    kinds = Counter(str(operation.get_rt_info()['outputPrecisions'].astype(str))
                    for operation in compiled.get_runtime_model().get_ops())
    assert kinds['f32'] > 100 and 'f16' not in kinds


def test_tensorrt_rtx_compiles_a_graph_with_casts():
    trt = pytest.importorskip('tensorrt_rtx')
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(Bundle.open('tiny').directory / 'vision.onnx'))
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    assert engine is not None and engine.nbytes > 2 ** 20


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_the_shipped_bundle_gives_its_reference(backend):
    pytest.importorskip(backend)
    bundle = Bundle.open('tiny')
    opened = open_backend(bundle, backend, BackendOptions(threads=1))
    deviation = measure(load_reference(bundle), opened.run)
    opened.close()
    assert deviation.uncertainty < 1e-4 and deviation.mass < 1e-4


def test_the_network_is_the_same_in_either_format(wide):
    tiny = Bundle.open('tiny')
    assert wide.network.store == 'fp32'
    narrow, _ = load_network(tiny)
    other, _ = load_network(wide)
    for name, value in narrow.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    sizes = [(b.directory / WEIGHTS).stat().st_size for b in (tiny, wide)]
    assert 1.9 < sizes[1] / sizes[0] < 2
    assert wide.provenance['stored'][-1]['store'] == 'fp32'
    assert {made['from_digest'] for made in (
        wide.provenance['stored'][-1], wide.provenance['exports'][-1])} == {tiny.digest}
    backend = open_backend(wide, 'onnxruntime', BackendOptions(threads=1))
    assert measure(load_reference(wide), backend.run).uncertainty < 1e-4
    backend.close()


def test_storing_as_float16_again_gives_the_same_file(wide, tmp_path):
    again = store_bundle(load_network(wide)[0], wide, tmp_path / 'again', (96, 160), 'fp16')
    assert again.files[WEIGHTS] == Bundle.open('tiny').files[WEIGHTS]
    # Its frames would have to be computed again.
    assert again.network.store == 'fp16' and again.reference is None
    assert {g.dtype for g in again.vision.graphs} == {'fp32'}
    old, new = (json.loads((b.directory / 'manifest.json').read_text()) for b in (wide, again))
    for key in ('notice', 'templates', 'ensemble', 'calibration', 'vocabulary', 'capacity',
                'padding_rgb', 'text', 'tokenizer'):
        assert old[key] == new[key], key


def test_only_large_weights_that_float16_can_hold_are_rounded():
    module = torch.nn.Module()
    kept = {'vector': torch.full((LARGE,), 0.1), 'small': torch.full((2, LARGE // 2 - 1), 0.1),
            'beyond': torch.full((2, LARGE), 1e5), 'narrow': torch.full((2, LARGE), 0.1).half()}
    for name, value in {**kept, 'large': torch.full((2, LARGE // 2), 0.1)}.items():
        setattr(module, name, torch.nn.Parameter(value, requires_grad=False))
    assert round_to_half(module) == ['large']
    assert module.large.dtype == torch.float32
    assert torch.equal(module.large, torch.full((2, LARGE // 2), 0.1).half().float())
    assert all(torch.equal(getattr(module, name), value) for name, value in kept.items())


def test_a_weight_file_returns_what_it_stored_as_float16(tmp_path):
    tensors = {'a': torch.randn(3, 5).half().float(), 'b': torch.randn(7),
               'count': torch.arange(3)}
    written = WeightFile.write(tmp_path / 'x.safetensors', tensors, halves=['a'])
    library = safetensors.torch.load_file(tmp_path / 'x.safetensors')
    assert library['a'].dtype == torch.float16 and library['b'].dtype == torch.float32
    read, loaded = WeightFile.read(tmp_path / 'x.safetensors', widen=True)
    assert {n: t.dtype for n, t in loaded.items()} == {n: t.dtype for n, t in tensors.items()}
    for file, values in ((written, tensors), (read, loaded)):
        assert all(torch.equal(values[n], tensors[n]) for n in tensors)
        assert {n for n, t in values.items() if t.data_ptr() in file.halves} == {'a'}
    assert {n: read.places[t.data_ptr()] for n, t in loaded.items()} == {
        n: written.places[t.data_ptr()] for n, t in tensors.items()}


def test_no_other_tensor_gets_the_address_of_one_that_was_read(tmp_path):
    """A network that is turned into half precision frees its weights and makes new ones."""
    WeightFile.write(tmp_path / 'x.safetensors', {'a': torch.zeros(64, 64)}, halves=['a'])
    read, loaded = WeightFile.read(tmp_path / 'x.safetensors', widen=True)
    address = loaded.pop('a').data_ptr()
    others = [torch.zeros(64, 64) for _ in range(50)]
    assert address in read.places and address not in {t.data_ptr() for t in others}


def test_lending_keeps_what_a_graph_computes(tmp_path):
    """A graph whose weights were moved into a file gives the same, each in its own format."""
    from onnx_ir import serde
    onnxruntime = pytest.importorskip('onnxruntime')
    import onnx_ir
    tensors = {'a': torch.randn(4, 3).half().float(), 'b': torch.randn(3)}
    written = WeightFile.write(tmp_path / 'x.safetensors', tensors, halves=['a'])
    model = onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node('MatMul', ['x', 'a'], ['y']),
         onnx.helper.make_node('Add', ['y', 'b'], ['z'])], 'g',
        [onnx.helper.make_tensor_value_info('x', 1, [2, 4])],
        [onnx.helper.make_tensor_value_info('z', 1, [2, 3])],
        [onnx.numpy_helper.from_array(t.numpy(), n) for n, t in tensors.items()]),
        ir_version=8, opset_imports=[onnx.helper.make_opsetid('', 18)])
    lent = serde.deserialize_model(model)
    for name, value in lent.graph.initializers.items():
        # As the exporter leaves it: the tensor in memory itself.
        value.const_value = SimpleNamespace(
            raw=tensors[name], dtype=value.const_value.dtype, shape=value.const_value.shape)
    written.lend(lent)
    onnx_ir.save(lent, tmp_path / 'lent.onnx')
    onnx.checker.check_model(tmp_path / 'lent.onnx', full_check=True)
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    sessions = (onnxruntime.InferenceSession(m, providers=['CPUExecutionProvider'])
                for m in (model.SerializeToString(), str(tmp_path / 'lent.onnx')))
    before, after = (session.run(None, {'x': x})[0] for session in sessions)
    np.testing.assert_array_equal(before, after)
