# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tiny network's blocks and its export (needs torch, open_clip, onnx and onnxruntime)."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')
onnx_ir = pytest.importorskip('onnx_ir')

from onnx import numpy_helper  # noqa: E402, I100
import torch.nn.functional as F  # noqa: E402

from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import load_reference  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.config import TINY  # noqa: E402
from vl4ad_workshop.network.deformable_attention import DeformableAttention  # noqa: E402
from vl4ad_workshop.network.export import (  # noqa: E402
    export_bundle, make_gelu_fusible, STUDY_OUTPUTS, VisionGraph)
from vl4ad_workshop.network.position import cell_centres  # noqa: E402
from vl4ad_workshop.network.uncertainty import semantic_map  # noqa: E402
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad  # noqa: E402
from vl4ad_workshop.training.drawn.tokens import special_ids, train_tokenizer  # noqa: E402

CONCEPTS, CLASSES = 12, 8


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    network = Vl4ad(TINY).eval()
    # Biases that begin as zeros are one tensor in an exported graph; this one must be by itself.
    torch.nn.init.normal_(network.sem_seg_head.pixel_decoder.mask_features.bias, std=0.1)
    return network


def some_texts():
    concepts = F.normalize(torch.randn(CONCEPTS, TINY.embed_dim,
                                       generator=torch.Generator().manual_seed(1)), dim=-1)
    concept_class = torch.tensor([0, 0, 1, 2, 3, 3, 4] + [-1] * 5)
    return Texts(concepts, concept_class, CLASSES, torch.full((CLASSES,), 0.3))


def test_normalisation_pads_with_zeros_right_and_below(network):
    image = torch.full((1, 33, 31, 3), 255, dtype=torch.uint8)
    x = network.normalise(image)
    assert x.shape == (1, 3, 64, 32)
    white = (255 - torch.tensor(TINY.mean)) / torch.tensor(TINY.std)
    assert torch.allclose(x[0, :, :33, :31], white[:, None, None].expand(3, 33, 31))
    assert not x[..., 33:, :].any() and not x[..., 31:].any()


def test_clip_stays_frozen_in_training_mode(network):
    network.train()
    assert not network.backbone.training
    assert not any(p.requires_grad for p in network.backbone.parameters())
    network.eval()


def test_deformable_attention_reads_where_it_points():
    """One head, one level, one point: the sample is the value at reference + offset."""
    attention = DeformableAttention(4, 1, 1, 1)
    with torch.no_grad():
        for projection in (attention.value_proj, attention.output_proj):
            projection.weight.copy_(torch.eye(4))
        attention.sampling_offsets.bias.copy_(torch.tensor([1.0, 0.0]))  # one cell to the right
        value = torch.randn(1, 6, 4)
        shapes = ((2, 3),)
        out = attention(torch.zeros(1, 6, 4), cell_centres(shapes), value, shapes)
    grid, moved = value.view(2, 3, 4), out.view(2, 3, 4)
    assert torch.allclose(moved[:, :2], grid[:, 1:], atol=1e-6)
    assert not moved[:, 2].any()  # outside is zero


@torch.no_grad()
def test_resizing_features_equals_resizing_masks(network):
    features, embedding = torch.randn(1, 96, 48, 80), torch.randn(1, 40, 96)
    masks = torch.matmul(embedding, features.flatten(2)).unflatten(2, (48, 80))
    theirs = F.interpolate(masks, size=(6, 10), mode='bilinear', align_corners=False)
    small = F.interpolate(features, size=(6, 10), mode='bilinear', align_corners=False)
    ours = torch.matmul(embedding, small.flatten(2)).unflatten(2, (6, 10))
    assert torch.allclose(ours, theirs, atol=1e-3)


@torch.no_grad()
def test_last_of_all_proposals_is_the_proposal(network):
    features = network.backbone.features(torch.randn(1, 3, 64, 96))
    decoded = network.decode(features)
    predictor = network.sem_seg_head.predictor
    proposals = predictor.all_proposals(*decoded)
    last = predictor(*decoded)
    assert len(proposals) == TINY.mask_decoder_layers + 1
    assert torch.equal(proposals[-1].mask_logits, last.mask_logits)
    assert torch.equal(proposals[-1].class_embedding, last.class_embedding)


@torch.no_grad()
def test_padding_of_the_prompts_changes_nothing(network):
    texts = some_texts()
    longer = Texts(torch.cat([texts.concepts, torch.zeros(5, TINY.embed_dim)]),
                   torch.cat([texts.concept_class, torch.full((5,), -1)]), CLASSES + 3,
                   torch.full((CLASSES + 3,), 0.3))
    image = torch.randint(0, 255, (1, 64, 96, 3), dtype=torch.uint8)
    a, b = network(image, texts).probability, network(image, longer).probability
    assert torch.allclose(a, b[..., :CLASSES], atol=1e-6)
    assert not b[..., CLASSES:].any() and not a[..., 5:].any()


def test_gelu_is_one_operation_at_run_time(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    for file, count in (('vision.onnx', 1), ('text.onnx', 3)):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / file)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(Bundle.open('tiny').directory / file), options,
                                     providers=['CPUExecutionProvider'])
        kinds = [node.op_type for node in
                 onnx.load(tmp_path / file, load_external_data=False).graph.node]
        assert 'Erf' not in kinds
        assert sum(kind in ('Gelu', 'BiasGelu') for kind in kinds) == count


@pytest.fixture(scope='module')
def exported(network, tmp_path_factory):
    """Return the image network's graph, as a bundle has it."""
    folder = tmp_path_factory.mktemp('exported')
    train_tokenizer(['a photo of a cow'], 1024, folder / 'words.json')
    sot, eot = special_ids(folder / 'words.json')
    export_bundle(network, folder, (64, 96), CONCEPTS, CLASSES, folder / 'words.json', {
        'name': 'test', 'notice': 'test', 'text': {'sot': sot, 'eot': eot, 'pad': 0},
        'ensemble': {'alpha': 0.0, 'beta': 0.0, 'seen': ['road']},
        'calibration': {'u': [-1.0, 0.0], 'score': [0.0, 1.0]},
        'vocabulary': {'known': ['road'], 'anomaly': ['cow']}, 'provenance': {}})
    return folder / 'vision.onnx'


@pytest.mark.parametrize('empty_masks', [False, True])
def test_export_agrees_with_torch(network, exported, empty_masks):
    """Also with every mask empty, where exporters were seen to drop the guard of a division."""
    onnxruntime = pytest.importorskip('onnxruntime')
    net, model = Vl4ad(TINY).eval(), onnx.load(exported)
    net.load_state_dict(network.state_dict())
    if empty_masks:
        for name, value in (('pixel_decoder.mask_features.bias', 10),
                            ('predictor.mask_embed.layers.2.bias', -10)):
            with torch.no_grad():
                net.get_parameter(f'sem_seg_head.{name}').fill_(value)
            stored, = (i for i in model.graph.initializer if i.name.endswith(name))
            stored.CopyFrom(numpy_helper.from_array(
                np.full(tuple(stored.dims), value, np.float32), stored.name))
    texts = some_texts()
    image = torch.randint(0, 255, (64, 96, 3), dtype=torch.uint8)
    inputs = (image, texts.concepts, texts.concept_class, torch.tensor([3]),
              texts.ensemble_weight)
    with torch.no_grad():
        ours = VisionGraph(net, CLASSES)(*inputs)
        if empty_masks:
            assert not (net(image[None], texts).mask_logits > 0).any()
    assert make_gelu_fusible(onnx_ir.load(exported)) == 0  # done already
    assert [o.name for o in model.graph.output] == [
        'uncertainty', 'best_known', 'best_anomaly', 'anomaly_mass']
    values = {v.name: v for v in model.graph.value_info}
    model.graph.output.extend(values[name] for name in STUDY_OUTPUTS)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    theirs = session.run(None, {
        i.name: x.numpy() for i, x in zip(session.get_inputs(), inputs)})
    for mine, other in zip(ours, theirs):
        assert np.isfinite(other).all()
        np.testing.assert_allclose(other, mine.numpy(), rtol=1e-4, atol=1e-4)
    assert set(np.unique(theirs[1])) <= {0, 1, 2}
    assert set(np.unique(theirs[2])) <= {0, 1}  # classes 3 and 4, counted from the first anomaly


@torch.no_grad()
def test_the_mass_is_that_of_the_best_anomaly_in_the_semantic_map():
    """As minus the uncertainty is a known class's; 0 without anomaly prompts."""
    bundle = Bundle.open('tiny')
    network, _ = load_network(bundle)
    reference, classes = load_reference(bundle), bundle.capacity.classes
    image = torch.from_numpy(reference.images[0])
    concepts, concept_class, num_known, weight = map(torch.from_numpy, reference.texts.values())
    queries = network(image[None], Texts(concepts, concept_class, classes, weight))
    semantic = semantic_map(queries.mask_logits[0].sigmoid(), queries.probability[0])
    known, used = int(num_known), int(concept_class.max()) + 1
    graph = VisionGraph(network, classes)
    u, _, best, mass, *_ = graph(image, concepts, concept_class, num_known, weight)
    assert mass.dtype == torch.float32 and mass.shape == u.shape
    assert torch.allclose(-u, semantic[:known].amax(0), atol=1e-5)
    assert torch.allclose(mass, semantic[known:used].amax(0), atol=1e-5) and mass.max() > 0.5
    assert torch.allclose(mass, semantic[known:used].gather(0, best[None].long())[0], atol=1e-5)
    _, _, best, mass, *_ = graph(image, concepts, concept_class, torch.tensor([used]), weight)
    assert (best == -1).all() and not mass.any()
