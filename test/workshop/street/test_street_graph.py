# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The exported street graph says what PyTorch says, at full size (needs torch, onnx; no GPU)."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')
pytest.importorskip('onnx_ir')
pytest.importorskip('onnxruntime')

from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import (  # noqa: E402
    excess, load_reference, Maps, measure, OUTPUTS, TEXT_INPUTS)
from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_ros.inference.backend import BackendOptions, open_backend  # noqa: E402
from vl4ad_workshop.network.bundle_network import open_network  # noqa: E402

# Where no known class has more than the floor of the ensemble, rounding decides which is best.
TOLERANCE, OTHER_CELLS = 5e-5, 3e-3
# Slow, wrong or unknown in some TensorRT, as in test_engine_graphs.py.
DENIED = {'GridSample', 'NonZero', 'If', 'Loop', 'Scan', 'ScatterND', 'ScatterElements', 'Einsum',
          'GatherElements', 'GatherND', 'TopK', 'Range', 'Dropout', 'BatchNormalization', 'Pad'}


@pytest.fixture(scope='module')
def bundle(street_bundle):
    return Bundle.open(street_bundle)


@pytest.fixture(scope='module')
def frames(bundle):
    return load_reference(bundle)


@pytest.fixture(scope='module')
def graph(bundle):
    return open_network(bundle).graph()


def answer(graph, image, texts):
    with torch.inference_mode():
        return Maps(*(x.numpy() for x in graph(*(
            torch.from_numpy(np.array(a)) for a in (image, *(texts[n] for n in TEXT_INPUTS))))))


@pytest.fixture(scope='module')
def answers(graph, frames):
    """Return what PyTorch says of each frame."""
    return [answer(graph, image, frames.texts) for image in frames.images]


def changed(texts, **values):
    return {name: values.get(name, texts[name]) for name in TEXT_INPUTS}


@pytest.fixture(scope='module')
def stored(bundle, street_bundle, tmp_path_factory):
    """Return the bundle with weights stored as float16, and one with the same as float32."""
    wide = tmp_path_factory.mktemp('wide') / 'bundle'
    open_network(bundle).store(wide, (bundle.vision.height, bundle.vision.width), 'fp32')
    return {'fp16': bundle, 'fp32': Bundle.open(wide)}


@pytest.mark.parametrize('library', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('store', ['fp16', 'fp32'])
def test_backends_agree_with_torch(library, store, stored, frames, answers):
    pytest.importorskip(library)
    bundle = stored[store]
    assert bundle.network.store == store and bundle.vision.height == 352
    backend = open_backend(bundle, library, BackendOptions(threads=1))
    try:
        found = [backend.run(image, *(frames.texts[name] for name in TEXT_INPUTS))
                 for image in frames.images]
        assert not excess(measure(frames, backend.run), 'fp32')
    finally:
        backend.close()
    for seen, expected in zip(found, answers):
        for name in OUTPUTS:
            a, b = getattr(seen, name), getattr(expected, name)
            assert a.dtype == b.dtype and a.shape == (88, 160)
            if a.dtype == np.float32:
                np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE, err_msg=name)
            else:
                assert np.mean(a != b) <= OTHER_CELLS


def test_the_frames_show_something(frames):
    """Maps that are the same everywhere would prove nothing."""
    u = np.stack([maps.uncertainty for maps in frames.answers])
    assert u.std() > 0.005 and -1 <= u.min() and u.max() <= 0
    assert len(np.unique([maps.best_known for maps in frames.answers])) > 1
    for maps in frames.answers:
        assert (maps.anomaly_mass - maps.uncertainty <= 1 + 1e-5).all()


def test_what_is_in_unused_rows_does_not_matter(graph, frames, answers):
    rng = np.random.default_rng(0)
    concepts = np.array(frames.texts['concepts'])
    unused = frames.texts['concept_class'] < 0
    concepts[unused] = rng.standard_normal((unused.sum(), concepts.shape[1]))
    b = answer(graph, frames.images[0], changed(frames.texts, concepts=concepts))
    for x, y in zip(answers[0], b):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-6)


def test_the_order_of_concepts_does_not_matter(graph, frames, answers):
    order = np.random.default_rng(0).permutation(len(frames.texts['concepts']))
    mixed = changed(frames.texts, concepts=frames.texts['concepts'][order],
                    concept_class=frames.texts['concept_class'][order])
    for x, y in zip(answers[0], answer(graph, frames.images[0], mixed)):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-5)


def test_without_anomaly_classes(graph, frames):
    classes, known = frames.texts['concept_class'].copy(), int(frames.texts['num_known'][0])
    concepts = frames.texts['concepts'].copy()
    concepts[classes >= known], classes[classes >= known] = 0, -1
    maps = answer(graph, frames.images[0], changed(
        frames.texts, concept_class=classes, concepts=concepts))
    assert (maps.best_anomaly == -1).all() and not maps.anomaly_mass.any()
    assert maps.best_known.max() < known and np.isfinite(maps.uncertainty).all()


def test_a_word_taken_away_raises_the_uncertainty_where_it_was_best(graph, frames, answers):
    texts, image, before = frames.texts, frames.images[0], answers[0]
    gone = int(np.bincount(before.best_known.ravel()).argmax())
    keep = texts['concept_class'] != gone
    classes = np.full_like(texts['concept_class'], -1)
    concepts = np.zeros_like(texts['concepts'])
    left = texts['concept_class'][keep]
    classes[:keep.sum()] = left - (left > gone)
    concepts[:keep.sum()] = texts['concepts'][keep]
    weight = np.append(np.delete(texts['ensemble_weight'], gone), np.float32(0))
    after = answer(graph, image, changed(
        texts, concepts=concepts, concept_class=classes, ensemble_weight=weight,
        num_known=texts['num_known'] - 1))
    its = before.best_known == gone
    assert its.any()
    assert (after.uncertainty - before.uncertainty)[its].mean() > 0


def test_fp16_graphs_for_gpus(street_bundle, tmp_path, frames):
    assert main(['export', str(street_bundle), '--out', str(tmp_path / 'half'),
                 '--input-size', '96x160']) == 0
    bundle = Bundle.open(tmp_path / 'half')
    assert [(g.dtype, g.sampling, g.file) for g in bundle.vision.graphs] == [
        ('fp32', 'none', 'vision.onnx'), ('fp16', 'none', 'vision.fp16.onnx')]
    assert bundle.training_data and bundle.terms == Bundle.open(street_bundle).terms
    file = tmp_path / 'half' / 'vision.fp16.onnx'
    model = onnx.load(file, load_external_data=False)
    assert not {node.op_type for node in model.graph.node} & DENIED
    first = [node.op_type for node in model.graph.node if 'image' in node.input]
    assert first == ['Cast']  # TensorRT takes uint8 into nothing else
    halves = [i for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT16]
    assert len(halves) > 50
    onnx.checker.check_model(file, full_check=True)
    trt = pytest.importorskip('tensorrt_rtx', reason='pip install tensorrt-rtx: nothing else '
                              'reads a graph as TensorRT does without a GPU')
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(file)), [
        parser.get_error(i).desc() for i in range(parser.num_errors)]


def test_a_form_of_deformable_attention_is_refused(street_bundle, tmp_path, capsys):
    assert main(['export', str(street_bundle), '--out', str(tmp_path / 'new'),
                 '--sampling', 'gather']) == 1
    assert 'attention; leave out --sampling' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_licence_and_training_data_are_told(bundle):
    assert bundle.licence == ('Apache-2.0', 'MIT')
    assert bundle.terms == ('licence Apache-2.0 and MIT, '
                            'trained with Drawn streets (free)')
