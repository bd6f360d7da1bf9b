# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad export`: a bundle's network in other precisions and sizes (needs torch, onnx)."""

import hashlib
import json
import shutil

from mock_bundle import make_version_2_0
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')

import safetensors.torch  # noqa: E402

from vl4ad_ros.bundle import Bundle, BundleError, reference  # noqa: E402
from vl4ad_ros.bundle.installed import DEFAULT  # noqa: E402
from vl4ad_ros.bundle.manifest import MINOR, VERSION  # noqa: E402
from vl4ad_ros.bundle.writer import write_manifest  # noqa: E402
from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_ros.inference.backend import open_backend  # noqa: E402
from vl4ad_ros.inference.letterbox import Letterbox  # noqa: E402
from vl4ad_workshop.network import reexport  # noqa: E402
from vl4ad_workshop.network.bundle_network import (  # noqa: E402
    load_network, OfBundle, open_network)
from vl4ad_workshop.network.weight_file import WeightFile  # noqa: E402

SIZE = ('--input-size', '96x160', '--sampling', 'gather')


def export(bundle, out, *options):
    return main(['export', str(bundle), '--out', str(out), *options])


@pytest.fixture(scope='module')
def half(tmp_path_factory):
    """Return the tiny network in fp16 at a small size, with the shipped reference frames."""
    folder = tmp_path_factory.mktemp('export')
    assert export('tiny', folder / 'half', *SIZE) == 0
    assert [p.name for p in folder.iterdir()] == ['half']
    return folder / 'half'


@pytest.fixture
def copied_graphs(half, monkeypatch):
    """Let exports of `half` copy its graphs, which they would write again in seconds."""
    monkeypatch.setattr(OfBundle, 'write_graph', lambda network, path, *_: shutil.copyfile(
        half / path.name, path))


def graphs(bundle):
    return {(g.dtype, g.sampling) for g in bundle.vision.graphs}


def test_the_new_bundle_has_both_precisions_at_the_new_size(half):
    bundle, tiny = Bundle.open(half), Bundle.open('tiny')
    assert (bundle.vision.height, bundle.vision.width) == (96, 160)
    assert graphs(bundle) == {('fp32', 'grid-sample'), ('fp16', 'gather')}
    assert bundle.cpu_graph.dtype == 'fp32'
    assert [g.dtype for g in bundle.graphs_for('auto')] == ['fp16']
    assert bundle.vocabulary == tiny.vocabulary and bundle.calibration == tiny.calibration
    with pytest.raises(BundleError, match='no bf16 image network.*vl4ad export .* --dtype bf16'):
        bundle.graphs_for('bf16')


def test_the_reference_is_what_the_fp32_graph_says(half):
    bundle = Bundle.open(half)
    frames = reference.load_reference(bundle)
    shipped = reference.load_reference(Bundle.open('tiny')).images
    box = Letterbox(shipped.shape[1:3], (96, 160), 4)
    assert np.array_equal(frames.images, [box.to_network(i, bundle.padding_rgb) for i in shipped])
    backend = open_backend(bundle, 'onnxruntime')
    deviation = reference.measure(frames, backend.run)
    backend.close()
    assert not reference.excess(deviation, 'fp32') and deviation.uncertainty < 1e-3
    # Frames that show nothing would prove nothing.
    assert np.std([maps.uncertainty for maps in frames.answers]) > 0.05
    assert max(maps.anomaly_mass.max() for maps in frames.answers) > 0.3


def test_reference_frames_are_the_users_pictures(half, copied_graphs, tmp_path, pictures):
    assert export(half, tmp_path / 'new', *SIZE, '--images', str(pictures)) == 0
    bundle = Bundle.open(tmp_path / 'new')
    frames = reference.load_reference(bundle)
    # Eight of nine pictures and a darkened copy of the first one. Each lies in the upper left
    # corner, with the padding's colour beside it.
    assert frames.images[:, 0, 0, 0].tolist() == [100, 101, 102, 103, 105, 106, 107, 108, 15]
    assert {tuple(image[-1, -1]) for image in frames.images} == {bundle.padding_rgb}


def test_reference_frames_stay_from_export_to_export(half, tmp_path):
    assert export(half, tmp_path / 'new', '--dtype', 'fp32', '--sampling', 'gather') == 0
    before, after = (reference.load_reference(Bundle.open(d)) for d in (half, tmp_path / 'new'))
    assert np.array_equal(before.images, after.images)
    for old, new in zip(before.answers, after.answers):
        assert np.allclose(old.uncertainty, new.uncertainty, atol=1e-5)


@pytest.mark.parametrize('file', ['vision.onnx', 'vision.fp16.gather.onnx', 'text.onnx'])
def test_parameters_are_in_the_weight_files_only(half, file):
    graph = onnx.load(half / file, load_external_data=False).graph
    kept = [i for i in graph.initializer if not i.external_data]
    lent = [i for i in graph.initializer if i.external_data]
    # Constants of the graph, such as encodings of positions.
    assert not any(('backbone' in i.name or 'sem_seg_head' in i.name)
                   and 'attn_mask' not in i.name for i in kept)
    assert len(lent) > 20
    tensors = {}
    for name in Bundle.open(half).weights:
        tensors |= safetensors.torch.load_file(half / name)
    sizes = sum(np.prod(i.dims) for i in lent)
    assert sizes <= sum(t.numel() for t in tensors.values())
    locations = {e.value for i in lent for e in i.external_data if e.key == 'location'}
    assert locations == ({'weights.safetensors', 'vision.fp16.safetensors'}
                         if 'fp16' in file else {'weights.safetensors'})


def test_provenance_says_what_was_exported(half):
    made = Bundle.open(half).provenance
    assert made['exports'][-1]['dtype'] == 'fp16' and made['exports'][-1]['forms'] == ['gather']
    deviation = made['exports'][-1]['deviation']
    assert 0 < deviation['uncertainty'] < 0.05 and 0 < deviation['mass'] < 0.02
    assert made['exports'][-1]['format'] == VERSION
    assert made['exports'][-1]['from_digest'] == Bundle.open('tiny').digest


def outputs(bundle, graph):
    model = onnx.load(bundle.directory / graph.file, load_external_data=False)
    return tuple(o.name for o in model.graph.output)


def test_all_graphs_of_version_2_0_are_written_anew(half, tmp_path, capsys):
    """Copied ones would lack an output; a precision that was not asked for is kept too."""
    shutil.copytree(half, tmp_path / 'old')
    make_version_2_0(tmp_path / 'old')
    old = Bundle.open(tmp_path / 'old')
    assert 'anomaly_mass' not in {name for g in old.vision.graphs for name in outputs(old, g)}
    assert export(old.directory, tmp_path / 'new', '--dtype', 'fp32', '--sampling',
                  'grid-sample') == 0
    bundle = Bundle.open(tmp_path / 'new')
    assert bundle.minor == MINOR and json.loads(
        (bundle.directory / 'manifest.json').read_text())['version'] == VERSION
    assert graphs(bundle) == {('fp32', 'grid-sample'), ('fp16', 'gather')}
    assert {outputs(bundle, g) for g in bundle.vision.graphs} == {
        bundle.vision_signature.output_names}
    assert [(e['dtype'], e['forms']) for e in bundle.provenance['exports'][-2:]] == [
        ('fp32', ['grid-sample']), ('fp16', ['gather'])]
    # Nothing else has changed: weights, texts, and what the fp16 network gives.
    for file in ('weights.safetensors', 'vision.fp16.safetensors', 'text.onnx', 'tokenizer.json'):
        assert bundle.files[file] == old.files[file]
    kept, written = ({g.dtype: d.directory / g.file for g in d.vision.graphs}['fp16']
                     for d in (old, bundle))
    session = pytest.importorskip('onnxruntime').InferenceSession
    frames = reference.load_reference(bundle)
    values = {'image': frames.images[0], **frames.texts}
    before, after = (session(str(file), providers=['CPUExecutionProvider']).run(None, values)
                     for file in (kept, written))
    assert len(before) == 3 and len(after) == 4
    assert np.abs(before[0] - after[0]).max() < 1e-3


def test_a_newer_minor_version_is_not_exported(tmp_path, capsys):
    newer = shutil.copytree(Bundle.open('tiny').directory, tmp_path / 'newer')
    manifest = json.loads((newer / 'manifest.json').read_text())
    write_manifest(newer, {**manifest, 'version': '2.9'})
    assert export(newer, tmp_path / 'new') == 1
    assert f'has version 2.9, but this package writes {VERSION}; update' in capsys.readouterr().err
    assert not (tmp_path / 'new').exists()


def test_the_shipped_bundle_is_of_todays_version():
    bundle = Bundle.open(DEFAULT)
    assert bundle.minor == MINOR
    assert {outputs(bundle, g) for g in bundle.vision.graphs} == {
        bundle.vision_signature.output_names}
    assert all(maps.anomaly_mass.max() > 0.1 for maps in reference.load_reference(bundle).answers)


def test_weights_are_the_same_file_and_load_into_pytorch(half):
    tiny = Bundle.open('tiny')
    assert Bundle.open(half).files['weights.safetensors'] == tiny.files['weights.safetensors']
    network, file = load_network(tiny)
    content = (tiny.directory / 'weights.safetensors').read_bytes()
    assert hashlib.sha256(content).hexdigest() == tiny.files['weights.safetensors']
    for name, value in network.state_dict().items():
        start, length = file.places[value.data_ptr()]
        # Large weights are float16 in the file of the shipped bundle, and float32 in PyTorch.
        stored = value.half() if value.data_ptr() in file.halves else value
        assert content[start:start + length] == stored.numpy().tobytes(), name


def test_a_second_precision_joins_the_first(half, tmp_path):
    assert export(half, tmp_path / 'both', '--dtype', 'bf16', '--sampling', 'gather') == 0
    bundle = Bundle.open(tmp_path / 'both')
    assert graphs(bundle) == {
        ('fp32', 'grid-sample'), ('fp16', 'gather'), ('bf16', 'gather')}
    assert bundle.weights == (
        'weights.safetensors', 'vision.fp16.safetensors', 'vision.bf16.safetensors')


def test_a_precision_that_is_too_coarse_is_refused(half, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(reference.TOLERANCE, 'fp16', reference.Deviation(1e-9, 0, 0, 0))
    assert export(half, tmp_path / 'new') == 1
    says = capsys.readouterr().err
    assert 'fp16 is too coarse' in says and 'choose another --dtype of bf16, fp32' in says
    assert not list(tmp_path.iterdir())


def test_weights_beyond_the_precision_are_refused(
        half, tmp_path, monkeypatch, capsys):
    """Even if what they make infinite is not seen in the reference frames."""
    def spoilt(bundle):
        network = open_network(bundle)
        values = network.module.sem_seg_head.predictor.query_embed.weight
        values.view(-1)[0] = 1e5  # fp16 ends at 65504
        return network
    monkeypatch.setattr(reexport, 'open_network', spoilt)
    monkeypatch.setattr(reexport, 'excess', lambda deviation, dtype: '')
    assert export(half, tmp_path / 'new') == 1
    says = capsys.readouterr().err
    assert 'vision.fp16.safetensors has values that are not finite, in ' in says
    assert 'query_embed' in says
    assert not list(tmp_path.iterdir())


def test_a_bundle_whose_name_is_a_path_is_written_here(
        half, copied_graphs, tmp_path, monkeypatch):
    copy = shutil.copytree(half, tmp_path / 'copy')
    manifest = json.loads((copy / 'manifest.json').read_text())
    write_manifest(copy, {**manifest, 'name': '../../up / and away'})
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    assert main(['export', str(copy), '--sampling', 'gather']) == 0
    assert [p.name for p in (tmp_path / 'here').iterdir()] == [
        '..-..-up-and-away-96x160-fp16']


def test_nothing_is_overwritten(half, tmp_path, capsys):
    assert export(half, tmp_path) == 1
    assert 'exists already' in capsys.readouterr().err


@pytest.mark.parametrize('options, says', [
    (('--input-size', '100x200'), 'multiples of 32'), (('--dtype', 'int8'), 'invalid choice'),
    (('--images', 'setup.py'), 'not a folder'), (('--images', 'launch'), 'no JPEG or PNG file')])
def test_wrong_options_write_nothing(tmp_path, capsys, options, says):
    try:
        code = export('tiny', tmp_path / 'out', *options)
    except SystemExit as stop:
        code = stop.code
    assert code in (1, 2) and says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_read_is_named(tmp_path, capsys):
    (tmp_path / 'broken.jpg').write_bytes(b'no picture')
    assert export('tiny', tmp_path / 'out', '--images', str(tmp_path)) == 1
    assert f"cannot decode '{tmp_path / 'broken.jpg'}'" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['broken.jpg']


def test_a_bundle_of_another_network_cannot_be_exported(mock_bundle, tmp_path, capsys):
    assert export(mock_bundle, tmp_path / 'out') == 1
    assert 'no weights that PyTorch could load' in capsys.readouterr().err


@pytest.mark.parametrize('damage', [
    lambda m: m['network']['config'].update(hidden_dim=32),
    lambda m: m['network']['config'].update(colour='blue'),
    lambda m: m['network']['config'].pop('clip'),
    lambda m: m['network']['config'].update(clip=[]),
    lambda m: m['network']['config'].update(attention_heads=0),
    lambda m: m['network']['config'].update(mean=['a']),
    lambda m: m['network']['classification'].update(colour='blue')])
def test_weights_that_do_not_fit_are_refused(tmp_path, damage):
    copy = shutil.copytree(Bundle.open('tiny').directory, tmp_path / 'copy')
    manifest = json.loads((copy / 'manifest.json').read_text())
    damage(manifest)
    write_manifest(copy, manifest)
    with pytest.raises(BundleError, match='does not fit the network of its manifest'):
        load_network(Bundle.open(copy))


def test_a_weight_file_is_what_the_library_reads(tmp_path):
    tensors = {'half': torch.randn(3).half(), 'one': torch.tensor(2.5), 'wide': torch.randn(2, 5),
               'brain': torch.randn(7).bfloat16(), 'count': torch.arange(3),
               'turned': torch.randn(3, 4).t()}
    written = WeightFile.write(tmp_path / 'x.safetensors', tensors)
    library = safetensors.torch.load_file(tmp_path / 'x.safetensors')
    assert library.keys() == tensors.keys()
    for name, value in tensors.items():
        assert library[name].dtype == value.dtype and torch.equal(library[name], value)
    read, loaded = WeightFile.read(tmp_path / 'x.safetensors')
    assert {n: read.places[t.data_ptr()] for n, t in loaded.items()} == {
        n: written.places[t.data_ptr()] for n, t in tensors.items()}
