# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad convert`: official weights in, a bundle that agrees with them out (needs torch, onnx)."""

import hashlib
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip('torch')
open_clip = pytest.importorskip('open_clip')
onnx = pytest.importorskip('onnx')

from benchmarks.conversion import convert_drawn  # noqa: E402, I100
from benchmarks.parity import drawn_state, texts_of  # noqa: E402
from vl4ad_ros.bundle import Bundle, BundleError, reference  # noqa: E402
from vl4ad_ros.bundle.tokenizer import Tokenizer  # noqa: E402
from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_ros.inference.backend import open_backend  # noqa: E402
from vl4ad_ros.inference.detector import Detector  # noqa: E402
from vl4ad_ros.prompts import reader as vocabularies  # noqa: E402
from vl4ad_workshop.network import convert, export  # noqa: E402
from vl4ad_workshop.network.checkpoint import load_checkpoint  # noqa: E402
from vl4ad_workshop.network.clip_tokenizer import write_clip_tokenizer  # noqa: E402
from vl4ad_workshop.network.config import OFFICIAL  # noqa: E402
from vl4ad_workshop.network.export import VisionGraph  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402


@pytest.fixture(scope='module')
def weights(small_config, tmp_path_factory):
    """Return a checkpoint of the small architecture."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp('weights') / 'x.pth'
    torch.save({'model': Vl4ad(small_config).state_dict()}, file)
    return file


@pytest.fixture
def checkpoint(small, weights, tmp_path):
    return Path(shutil.copy(weights, tmp_path))


converted_once = []


@pytest.fixture
def converted(small, weights, tmp_path_factory):
    """Return the bundle of `weights`, made when first asked for: it takes seconds."""
    if not converted_once:
        converted_once.append(tmp_path_factory.mktemp('converted') / 'out')
        assert run(weights, converted_once[0]) == 0
    return converted_once[0]


@pytest.fixture
def copied_text(converted, monkeypatch):
    """Let conversions copy the text network of `converted`: its export takes seconds."""
    monkeypatch.setattr(export, 'export_text', lambda network, path, weights: shutil.copyfile(
        converted / path.name, path))


@pytest.fixture
def copied_graphs(converted, copied_text, monkeypatch):
    """Let conversions of the same shape copy both fp32 networks of `converted`."""
    monkeypatch.setattr(export, 'export_vision', lambda network, path, *_: shutil.copyfile(
        converted / path.name, path))


def run(checkpoint, out, *options):
    return main(['convert', str(checkpoint), '--out', str(out), '--input-size', '64x96', *options])


def agrees(bundle, checkpoint, classes=('road', 'truck', 'caravan')):
    """Compare what the bundle's files give with what the checkpoint's weights give in torch."""
    detector, network = Detector.open(bundle), load_checkpoint(checkpoint)
    vocabulary = vocabularies.read(classes[:2], classes[2:])
    prompts = detector.encode(vocabulary)
    seen = list(vocabularies.concepts_of('coco_panoptic'))
    with torch.no_grad():
        texts = texts_of(network, list(classes), seen)
        assert np.abs(prompts.concepts[:3] - texts.concepts.numpy()).max() < 1e-5
        assert prompts.ensemble_weight[:3].tolist() == pytest.approx([0.4, 0.4, 0.8])
        image = np.random.default_rng(0).integers(
            0, 255, (*detector.bundle.map_size, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        theirs, known, _, *_ = VisionGraph(network, detector.bundle.capacity.classes)(
            *(torch.from_numpy(np.array(a)) for a in (
                image, prompts.concepts, prompts.concept_class, prompts.num_known,
                prompts.ensemble_weight)))
    ours = detector.detect(image, prompts)
    assert np.abs(ours.uncertainty - theirs.numpy()).max() < 1e-3 * np.abs(theirs.numpy()).max()
    assert (ours.best_known == known.numpy()).mean() > 0.999
    detector.close()


def test_the_bundle_gives_what_the_weights_give(converted, weights):
    agrees(converted, weights)


def test_without_a_precision_there_are_no_graphs_for_gpus(converted):
    bundle = Bundle.open(converted)
    assert [(g.dtype, g.sampling) for g in bundle.vision.graphs] == [('fp32', 'grid-sample')]
    assert bundle.reference is None


@pytest.fixture
def wide_tolerance(monkeypatch):
    """Allow more deviation: drawn weights leave most classes at nearly the same probability."""
    for dtype in ('fp16', 'bf16'):
        monkeypatch.setitem(reference.TOLERANCE, dtype, reference.Deviation(0.5, 0.2, 0.2, 0.2))


def test_a_precision_adds_graphs_and_reference_frames(
        converted, checkpoint, wide_tolerance, tmp_path, capsys):
    """An engine can be built of them: convert, build, launch."""
    assert run(checkpoint, tmp_path / 'out', '--dtype', 'fp16') == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert 'deviation of fp16 from fp32' in out and f'vl4ad build {tmp_path / "out"}' in out
    bundle, plain = Bundle.open(tmp_path / 'out'), Bundle.open(converted)
    assert [(g.dtype, g.sampling) for g in bundle.graphs_for('auto')] == [
        ('fp16', 'gather'), ('fp16', 'plugin')]
    assert (bundle.cpu_graph.dtype, bundle.cpu_graph.sampling) == ('fp32', 'grid-sample')
    assert set(plain.weights) < set(bundle.weights)
    frames = reference.load_reference(bundle)
    shipped = reference.load_reference(Bundle.open('tiny'))
    assert frames.images.shape == (len(shipped.images), 64, 96, 3)
    backend = open_backend(bundle, 'onnxruntime')
    assert not reference.excess(reference.measure(frames, backend.run), 'fp32')
    backend.close()
    made = bundle.provenance['exports']
    assert [(e['dtype'], e['forms']) for e in made] == [('fp16', ['gather', 'plugin'])]
    assert {p.name for p in tmp_path.iterdir()} == {'x.pth', 'out'}
    agrees(tmp_path / 'out', checkpoint)


def test_form_and_pictures_may_be_chosen(
        copied_graphs, checkpoint, wide_tolerance, tmp_path, capsys, pictures):
    assert run(checkpoint, tmp_path / 'out', '--dtype', 'bf16', '--sampling', 'gather',
               '--images', str(pictures)) == 0, capsys.readouterr().err
    bundle = Bundle.open(tmp_path / 'out')
    assert [(g.dtype, g.sampling) for g in bundle.graphs_for('bf16')] == [('bf16', 'gather')]
    assert reference.load_reference(bundle).images[:, 0, 0, 0].tolist() == [
        100, 101, 102, 103, 105, 106, 107, 108, 15]


def test_a_precision_that_is_too_coarse_leaves_nothing(
        copied_graphs, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(reference.TOLERANCE, 'fp16', reference.Deviation(1e-9, 0, 0, 0))
    assert run(checkpoint, tmp_path / 'out', '--dtype', 'fp16', '--sampling', 'gather') == 1
    assert 'fp16 is too coarse' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


def test_provenance_and_defaults(converted, weights):
    bundle = Bundle.open(converted)
    assert bundle.vocabulary == vocabularies.load('cityscapes_merged', 'everything')
    made = bundle.provenance
    assert made['source_sha256'] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (made['source'], made['architecture']) == ('x.pth', 'small_resnet')
    assert made['pixel_mean'][0] == 122.7709383 and made['pixel_std'][2] == 70.32316305
    assert made['classification']['empty_mask_guard'] is True
    assert 'no recording has calibrated' in bundle.notice
    assert [p.name for p in converted.parent.iterdir()] == ['out']
    for file in ('manifest.json', 'vision.onnx', 'text.onnx'):
        content = (converted / file).read_bytes()
        assert str(weights.parent).encode() not in content and b'site-packages' not in content


def test_the_graph_holds_each_weight_once_and_nothing_unused(converted, weights):
    graph = onnx.load(converted / 'vision.onnx').graph
    used = {name for node in graph.node for name in node.input}
    assert {i.name for i in graph.initializer} <= used
    produced = {o for node in graph.node for o in node.output if o}
    studied = {'mask_logits', 'in_vocabulary', 'void', 'out_vocabulary'}
    assert studied <= produced
    assert produced - used <= studied | {o.name for o in graph.output}
    held = sum(np.prod(i.dims) for i in graph.initializer)
    network = load_checkpoint(weights)
    owned = sum(p.numel() for n, p in network.named_parameters()
                if 'clip_model' not in n or '.visual.' in n)
    # Normalisation is folded into convolutions; position encodings are constants.
    assert 0.95 * owned < held < 1.1 * owned
    # The class head stands in the graph once, though there are four prediction heads.
    width = network.sem_seg_head.predictor.class_embed.layers[-1].weight.shape
    heads = [i for i in graph.initializer if sorted(i.dims) == sorted(width)]
    assert len(heads) == 1


def test_options_are_built_in_and_recorded(copied_text, checkpoint, tmp_path, capsys):
    options = ('--classifier', 'in', '--drop-void', '--temperature', '0.05', '--vocabulary',
               'cityscapes', '--anomaly', 'animals', '--concepts', '200', '--classes', '60')
    assert run(checkpoint, tmp_path / 'out', *options) == 0, capsys.readouterr().err
    bundle = Bundle.open(tmp_path / 'out')
    assert bundle.provenance['classification'] == {
        'keep_void': False, 'classifier': 'in', 'temperature': 0.05, 'empty_mask_guard': True}
    assert (bundle.capacity.concepts, bundle.capacity.classes) == (200, 60)
    graph = onnx.load(bundle.directory / 'vision.onnx').graph
    assert not any('attnpool' in i.name for i in graph.initializer)
    assert 'out_vocabulary' not in {o for node in graph.node for o in node.output}


@pytest.mark.parametrize('options, says', [
    (('--input-size', '100x200'), 'multiples of 32'), (('--input-size', '1024'), 'height x width'),
    (('--input-size', '8192x8192'), 'pixels'),
    (('--concepts', '10'), '--concepts'), (('--classes', '3'), '--classes'),
    (('--vocabulary', 'nosuch'), 'cityscapes_merged'), (('--temperature', '0'), 'temperature'),
    (('--dtype', 'int8'), 'invalid choice'), (('--sampling', 'gather'), 'add --dtype fp16'),
    (('--dtype', 'fp16', '--images', 'setup.py'), 'not a folder')])
def test_wrong_options_write_nothing(checkpoint, tmp_path, capsys, options, says):
    try:
        code = run(checkpoint, tmp_path / 'out', *options)
    except SystemExit as stop:
        code = stop.code
    assert code in (1, 2) and says in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


def test_a_wrong_checkpoint_writes_a_table_and_nothing_else(checkpoint, tmp_path, capsys):
    state = torch.load(checkpoint)['model']
    del state['void_embedding.weight']
    torch.save(state, checkpoint)
    assert run(checkpoint, tmp_path / 'out') == 1
    assert 'missing  void_embedding.weight  [1, 16]' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_named_and_not_converted(
        checkpoint, tmp_path, capsys, value):
    state = torch.load(checkpoint)['model']
    for name in list(state)[:7:2]:
        state[name].view(-1)[-1] = value
    torch.save(state, checkpoint)
    assert run(checkpoint, tmp_path / 'out') == 1
    says = capsys.readouterr().err
    assert f'{checkpoint} has values that are not finite in 4 of its weights' in says
    assert list(state)[0] in says and list(state)[6] in says
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


def test_no_bundle_is_written_that_would_not_open(
        copied_graphs, checkpoint, tmp_path, capsys, monkeypatch):
    """Whoever made the weights, such as a training that diverged."""
    state = torch.load(checkpoint)['model']
    name = next(name for name in state if 'predictor' in name)
    state[name].view(-1)[0] = float('nan')
    torch.save(state, checkpoint)
    monkeypatch.setattr(convert, 'not_finite', lambda tensors: [])
    assert run(checkpoint, tmp_path / 'out') == 1
    assert 'weights.safetensors has values that are not finite, in ' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


def test_nothing_is_overwritten(checkpoint, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    assert run(checkpoint, tmp_path / 'out') == 1
    assert 'exists already' in capsys.readouterr().err
    assert not list((tmp_path / 'out').iterdir())


def test_clip_tokens_are_those_of_open_clip(tmp_path):
    sot, eot = write_clip_tokenizer(tmp_path / 'clip.json')
    ours, theirs = Tokenizer(tmp_path / 'clip.json', 77, sot, eot), open_clip.get_tokenizer('RN50')
    words = [c for name in vocabularies.names() for c in vocabularies.concepts_of(name)]
    texts = [t.format(w) for w in words for t in OFFICIAL['rn50'].templates[::5]]
    texts += ["it's they're I'd", 'Straßenbahn Öl naïve', '日本語 道路', '🐄 cow', 'e\u0301clair',
              '  two   spaces\tand\nlines ', 'don’t “quote”', 'a_b-c/d (e) [f] {g} & % $ # @ !?',
              '', '...', 'x' * 60, '\u00a0nbsp', 'Ⅷ ½ ²', 'no. 42b, 100 m']
    rng = np.random.default_rng(0)
    texts += [''.join(map(chr, rng.choice([*range(32, 38), *range(39, 127)], n)))
              for n in rng.integers(0, 25, 500)]
    assert (ours(texts) == theirs(texts).numpy()).all()


@pytest.mark.slow
@pytest.mark.parametrize('name, size', [('rn50', '128x192'), ('convnext_large_d_320', '128x192')])
def test_full_size_weights(name, size, tmp_path):
    checkpoint = tmp_path / f'{name}.pth'
    try:
        took = convert_drawn(name, tmp_path, size)
        assert took.peak_bytes < 2.5 * took.checkpoint_bytes
        bundle = Bundle.open(tmp_path / 'out')
        assert bundle.provenance['architecture'] == name
        agrees(tmp_path / 'out', checkpoint)
        # A weight that was altered is refused.
        with open(tmp_path / 'out' / bundle.weights[0], 'r+b') as stream:
            stream.seek(1000)
            stream.write(b'\x42')
        with pytest.raises(BundleError, match='weights.safetensors is altered'):
            Bundle.open(tmp_path / 'out')
    finally:
        for file in [checkpoint, *(tmp_path / 'out').glob('*')]:
            file.unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_conversion_leaves_nothing(number, tmp_path):
    torch.save(drawn_state(OFFICIAL['rn50']), tmp_path / 'x.pth')
    process = subprocess.Popen(
        [sys.executable, '-m', 'vl4ad_ros.cli', 'convert', str(tmp_path / 'x.pth'), '--out',
         str(tmp_path / 'out'), '--input-size', '128x192'], stderr=subprocess.PIPE,
        # A shell lets what it starts in the background ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob('.out.*/text.onnx')) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and b'stopped' in said
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']
    (tmp_path / 'x.pth').unlink()
