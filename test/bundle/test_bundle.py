# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles whole and broken; needs onnx for the mock bundle, no rclpy or GPU."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import shutil

from mock_bundle import make_version_2_0
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import Calibration, parse_manifest
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.inference.backend import open_backend
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.vocabulary import Vocabulary


@pytest.fixture
def copy(mock_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle that a test may break."""
    return Path(shutil.copytree(mock_bundle, tmp_path / 'copy'))


@pytest.fixture
def weights_apart(copy: Path) -> Path:
    """Return a bundle whose image network has its weights in a file of their own."""
    onnx = pytest.importorskip('onnx')
    onnx.save(onnx.load(copy / 'vision.onnx'), copy / 'vision.onnx', save_as_external_data=True,
              location='vision.weights', size_threshold=64)
    manifest = json.loads((copy / 'manifest.json').read_text())
    del manifest['files']
    manifest['weights'] = ['vision.weights']
    write_manifest(copy, manifest)
    return copy


def edit(directory: Path, change: Callable[[dict], object]) -> None:
    """Change the manifest behind the package's back."""
    file = directory / 'manifest.json'
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def test_bundle_has_what_the_manifest_says(mock_bundle):
    bundle = Bundle.open(mock_bundle)
    assert (bundle.name, bundle.notice) == ('mock', 'Sees colours only: not for driving.')
    assert (bundle.vision.height, bundle.vision.width, bundle.map_size) == (96, 160, (24, 40))
    assert (bundle.text.context_length, bundle.text.pad) == (24, 0)
    assert (bundle.capacity.concepts, bundle.capacity.classes) == (64, 32)
    assert bundle.padding_rgb == (123, 117, 104)
    assert bundle.ensemble.seen == {'road', 'sky', 'car'}
    assert [c.name for c in bundle.vocabulary.anomaly] == ['cow', 'dog']


def test_weights_may_lie_apart(weights_apart, mock_bundle):
    bundle = Bundle.open(weights_apart)
    assert bundle.weights == ('vision.weights',)
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), np.uint8)
    scores = []
    for directory in (weights_apart, mock_bundle):
        detector = Detector.open(directory)
        prompts = detector.encode(detector.default_vocabulary)
        scores.append(detector.detect(image, prompts).score)
        detector.close()
    assert np.array_equal(*scores)
    file = weights_apart / 'vision.weights'
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b'x')
    with pytest.raises(BundleError, match='vision.weights is altered'):
        Bundle.open(weights_apart)
    file.write_bytes(content)
    edit(weights_apart, lambda m: m['files'].pop('vision.weights'))
    with pytest.raises(BundleError, match='vision.weights must be'):
        Bundle.open(weights_apart)


def test_the_storage_of_weights_is_fp32_unless_the_manifest_says_otherwise(weights_apart):
    manifest = json.loads((weights_apart / 'manifest.json').read_text())
    record = {'config': {}, 'classification': {}, 'weights': 'vision.weights'}
    for given, expected in (({}, 'fp32'), ({'store': 'fp32'}, 'fp32'),
                            ({'store': 'fp16'}, 'fp16')):
        parsed = parse_manifest({**manifest, 'network': {**record, **given}}, weights_apart)
        assert parsed.network.store == expected
    with pytest.raises(BundleError, match='network: store must be one of fp32, fp16, found .int8'):
        parse_manifest({**manifest, 'network': {**record, 'store': 'int8'}}, weights_apart)


def embedded(directory: Path, **arrays: np.ndarray) -> Path:
    """Add a file of embedded concepts to a bundle."""
    np.savez(directory / 'concepts.npz', **arrays)
    manifest = json.loads((directory / 'manifest.json').read_text())
    del manifest['files']
    manifest['text']['embeddings'] = 'concepts.npz'
    write_manifest(directory, manifest)
    return directory


GRAPH = {'file': 'vision.onnx', 'dtype': 'fp32', 'sampling': 'grid-sample'}
ROWS = np.eye(2, 32, dtype=np.float32)
NAMES = np.array(['road', 'red cow'])


def test_stored_embeddings_are_used(copy):
    assert Bundle.open(copy).stored_embeddings() == {}
    detector = Detector.open(embedded(copy, concepts=NAMES, embeddings=ROWS[:, ::-1].copy()))
    prompts = detector.encode(Vocabulary.from_strings(['red cow', 'sky']))
    assert np.array_equal(prompts.concepts[0], ROWS[1, ::-1]) and prompts.concepts[1].any()
    detector.close()
    (copy / 'concepts.npz').write_bytes(b'')
    with pytest.raises(BundleError, match='concepts.npz is altered'):
        Bundle.open(copy)


@pytest.mark.parametrize('arrays', [
    {'concepts': NAMES}, {'concepts': NAMES, 'embeddings': 2 * ROWS},
    {'concepts': NAMES, 'embeddings': ROWS[:1]}, {'concepts': NAMES, 'embeddings': ROWS[:, :31]},
    {'concepts': NAMES, 'embeddings': ROWS * np.nan}, {'concepts': ROWS, 'embeddings': ROWS},
    {'concepts': np.array(['a', None]), 'embeddings': ROWS}])
def test_wrong_embeddings_are_refused(copy, arrays):
    with pytest.raises(BundleError, match='concepts.npz'):
        Detector.open(embedded(copy, **arrays))


def test_digest_changes_with_the_content(copy):
    before = Bundle.open(copy).digest
    edit(copy, lambda m: m.update(templates=['a {}.']))
    assert Bundle.open(copy).digest != before


@pytest.mark.parametrize('name', ['vision.onnx', 'text.onnx', 'tokenizer.json'])
@pytest.mark.parametrize('damage, message', [
    (lambda file: file.unlink(), 'cannot be read .No such file'),
    (lambda file: file.write_bytes(file.read_bytes()[:-20]), 'is altered .sha256 .*, expected'),
    (lambda file: file.write_bytes(file.read_bytes() + b' '), 'is altered .sha256 .*, expected'),
    (lambda file: file.write_text('version https://git-lfs.github.com/spec/v1\noid'),
     'git lfs pull'),
    (lambda file: file.write_bytes(b''), 'is altered .sha256 e3b0c44298fc, expected'),
], ids=['missing', 'truncated', 'longer', 'pointer', 'empty'])
def test_damaged_file_is_named_with_the_cure(copy, name, damage, message):
    damage(copy / name)
    with pytest.raises(BundleError, match=message) as error:
        Bundle.open(copy)
    assert str(copy / name) in str(error.value)
    assert 'reinstall the package or convert the bundle again' in str(error.value)


@pytest.mark.parametrize('content, message', [
    (None, "no bundle at .*manifest.json is missing; .*'street'"),
    (b'{"format": "vl4ad-bun', 'manifest.json cannot be read .Unterminated'),
    (b'\xff\xfe', 'manifest.json cannot be read'),
    (b'[]', 'expected an object, found'),
    (b'{}', "format must be 'vl4ad-bundle', found nothing"),
])
def test_unreadable_manifest_is_refused(copy, content, message):
    (copy / 'manifest.json').unlink()
    if content is not None:
        (copy / 'manifest.json').write_bytes(content)
    with pytest.raises(BundleError, match=message):
        Bundle.open(copy)


def test_absent_directory_is_refused(tmp_path):
    with pytest.raises(BundleError, match='no bundle at .*nowhere'):
        Bundle.open(tmp_path / 'nowhere')


@pytest.mark.parametrize('keys, value, message', [
    ('format', 'zip', "format must be 'vl4ad-bundle', found 'zip'"),
    ('version', '3.0', 'version 3.0, but this package reads 2.x; update vl4ad_ros'),
    ('version', '1.0', 'version 1.0, but this package reads 2.x; convert the bundle again'),
    ('version', 1.0, 'version must be a string, found 1.0'),
    ('version', '2', "version must be of the form '1.0'"),
    ('version', '2.' + 5000 * '1', "version must be of the form '1.0'"),
    ('name', None, 'name must be a string, found None'),
    ('vision', [], r'vision must be an object, found \[\]'),
    ('vision.height', 97, 'vision: height must be a multiple of the stride 4, found 97'),
    ('vision.width', '160', "vision: width must be an integer 4..8192, found '160'"),
    ('vision.stride', True, 'vision: stride must be an integer'),
    ('vision.graphs', 'vision.onnx', 'vision: graphs must be a list of objects'),
    ('vision.graphs', [], 'vision: graphs must be a list with at least one fp32 graph'),
    ('vision.graphs', [GRAPH, GRAPH], 'graphs must be a list with one graph for each dtype'),
    ('vision.graphs', [{**GRAPH, 'file': '../x'}], r'graphs\[0\]: file must be the name of'),
    ('vision.graphs', [{**GRAPH, 'dtype': 'int8'}], r'graphs\[0\]: dtype must be one of fp16'),
    ('vision.graphs', [{**GRAPH, 'sampling': 'x'}], r'graphs\[0\]: sampling must be one of g'),
    ('weights', ['a/b'], 'weights must be a list of names of files in the bundle'),
    ('network', {'config': {}, 'classification': {}, 'weights': 'w'}, 'network: weights must be'),
    ('network', {'config': {}}, 'network: classification must be an object'),
    ('tokenizer', '/etc/passwd', 'tokenizer must be the name of a file in the bundle'),
    ('text.context_length', 2, 'text: context_length must be an integer 3..4096, found 2'),
    ('text.eot', -1, 'text: eot must be an integer'),
    ('text.scripts', 'Latin', 'text: scripts must be a list of strings'),
    ('text.scripts', [], "text: scripts must be a list of names of scripts, such as 'Latin' and"),
    ('text.scripts', ['latin'], 'text: scripts must be a list of names of scripts'),
    ('capacity.concepts', 0, 'capacity: concepts must be an integer 1..65536, found 0'),
    ('padding_rgb', [1, 2], 'padding_rgb must be three integers 0..255'),
    ('padding_rgb', [1, 2, 256], 'padding_rgb must be three integers 0..255'),
    ('templates', [], "templates must be at least one sentence with one '{}' each"),
    ('templates', ['a photo'], 'templates must be'),
    ('templates', 'a {}', 'templates must be a list of strings'),
    ('ensemble.alpha', 1.5, 'ensemble: alpha must be a number 0..1, found 1.5'),
    ('ensemble.beta', float('nan'), 'ensemble: beta must be a number 0..1, found nan'),
    ('ensemble.seen', [1], 'ensemble: seen must be a list of strings'),
    ('calibration.u', [0.0, -0.5, 0.5], 'calibration: u must be at least two numbers, each above'),
    ('calibration.score', [0.0, 1.0], 'calibration: score must be 3 numbers that rise'),
    ('calibration.score', [0.0, 0.5, 1.1], 'calibration: score must be 3 numbers that rise'),
    ('calibration.score', [0.0, 0.5, '1'], 'calibration: score must be a list of numbers'),
    ('vocabulary.known', [], 'vocabulary: prompts.known is empty'),
    ('vocabulary.anomaly', ['road'], r'vocabulary: prompts.anomaly\[0\]'),
    ('files', {}, 'files: vision.onnx must be a string, found nothing'),
    ('files.text.onnx', 'abc', 'files: text.onnx must be a sha256'),
])
def test_manifest_entry_out_of_range_is_named(copy, keys, value, message):
    def change(manifest):
        table, _, key = keys.partition('.')
        if key:
            manifest[table][key] = value
        else:
            manifest[table] = value
    edit(copy, change)
    with pytest.raises(BundleError, match=message) as error:
        Bundle.open(copy)
    assert str(copy / 'manifest.json') in str(error.value)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_newer_minor_version_opens_whatever_it_adds(copy, backend):
    """Keys of the manifest, files, and outputs of networks."""
    onnx = pytest.importorskip('onnx')
    model = onnx.load(copy / 'vision.onnx')
    model.graph.node.append(onnx.helper.make_node('Neg', ['uncertainty'], ['added_later']))
    model.graph.output.append(onnx.helper.make_tensor_value_info(
        'added_later', onnx.TensorProto.FLOAT, (24, 40)))
    onnx.save(model, copy / 'vision.onnx')
    write_manifest(copy, json.loads((copy / 'manifest.json').read_text()))
    with pytest.raises(BundleError, match='added_later float32'):
        open_backend(Bundle.open(copy), backend)

    def change(manifest):
        manifest.update(version='2.7', added_later=True)
        manifest['files']['added.bin'] = '0' * 64

    edit(copy, change)
    bundle = Bundle.open(copy)
    assert bundle.minor == 7 and 'added.bin' not in bundle.files
    maps = open_backend(bundle, backend).run(
        *(np.zeros(t.shape, t.dtype) for t in bundle.vision_signature.inputs))
    assert len(maps) == 4 and maps.anomaly_mass is not None


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('version', ['2.0', '2.1'])
def test_the_mass_is_an_output_since_version_2_1(copy, version, backend):
    """A graph that has it although its manifest says 2.0, or lacks it in 2.1, is refused."""
    if version == '2.1':
        make_version_2_0(copy)
    edit(copy, lambda m: m.update(version=version))
    bundle = Bundle.open(copy)
    assert ('anomaly_mass' in bundle.vision_signature.output_names) == (version == '2.1')
    with pytest.raises(BundleError, match='does not fit its manifest') as error:
        open_backend(bundle, backend)
    expected, seen = str(error.value).splitlines()[1:3]
    assert ('anomaly_mass' in expected, 'anomaly_mass' in seen) == (
        version == '2.1', version == '2.0')


def test_write_manifest_refuses_and_leaves_the_old_one(copy):
    before = (copy / 'manifest.json').read_bytes()
    manifest = json.loads(before)
    with pytest.raises(BundleError, match='templates'):
        write_manifest(copy, {**manifest, 'templates': []})
    assert (copy / 'manifest.json').read_bytes() == before
    assert len(list(copy.iterdir())) == 4


def test_write_manifest_takes_the_sums_of_the_files(copy):
    (copy / 'tokenizer.json').write_bytes((copy / 'tokenizer.json').read_bytes() + b'\n')
    write_manifest(copy, json.loads((copy / 'manifest.json').read_text()))
    assert Bundle.open(copy).name == 'mock'


@pytest.mark.parametrize('change, file, expected, seen', [
    (lambda m: m['vision'].update(stride=8), 'vision.onnx', '[12, 20]', '[24, 40]'),
    (lambda m: m['vision'].update(height=128), 'vision.onnx', '[128, 160, 3]', '[96, 160, 3]'),
    (lambda m: m['capacity'].update(concepts=65), 'vision.onnx', '[65, 32]', '[64, 32]'),
    (lambda m: m['capacity'].update(classes=7), 'vision.onnx', '[7]', '[32]'),
    (lambda m: m['text'].update(embed_dim=16), 'vision.onnx', '[64, 16]', '[64, 32]'),
])
def test_network_that_differs_from_its_manifest_is_refused(copy, change, file, expected, seen):
    edit(copy, change)
    with pytest.raises(BundleError, match=f'{file} does not fit its manifest') as error:
        open_backend(Bundle.open(copy))
    wanted, found = str(error.value).splitlines()[1:3]
    assert expected in wanted and expected not in found
    assert seen in found and seen not in wanted


@pytest.mark.parametrize('name, message', [
    ('vision.onnx', 'vision.onnx does not load'), ('text.onnx', 'text.onnx does not load'),
    ('tokenizer.json', 'tokenizer.json is not a tokenizer file')])
def test_broken_file_with_a_right_sum_is_refused(copy, name, message):
    (copy / name).write_bytes(b'{}')
    write_manifest(copy, json.loads((copy / 'manifest.json').read_text()))
    with pytest.raises(BundleError, match=message):
        Detector.open(copy)


def test_calibration_is_linear_between_its_points_and_flat_beyond():
    curve = Calibration((-1.0, -0.6, 0.0), (0.0, 0.5, 0.9))
    u = np.float32([[-2.0, -1.0, -0.8], [-0.3, 0.0, 1.0]])
    expected = [[0.0, 0.0, 0.25], [0.7, 0.9, 0.9]]
    assert curve(u).dtype == np.float32
    np.testing.assert_allclose(curve(u), expected, atol=1e-6)
