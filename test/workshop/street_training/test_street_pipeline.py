# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train --config street` on miniature data (needs torch, open_clip)."""

import json

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
pytest.importorskip('tensorboard')

from miniature import (  # noqa: E402, I100
    write_camvid, write_instances, write_panoptic, write_roads)
from mock_bundle import write_mock_bundle  # noqa: E402
from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_workshop.street.classifier import Classifier  # noqa: E402
from vl4ad_workshop.street.downloads import CLASSIFIER, MINILM, TOKENIZER  # noqa: E402
from vl4ad_workshop.training.street import pipeline  # noqa: E402
from vl4ad_workshop.training.street.recipe import StreetRecipe  # noqa: E402

SMALL = StreetRecipe(height=96, width=160, head_width=16, steps=3, crop=(2, 2))


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('street-folders')
    return [str(path) for path in (
        write_camvid(root / 'camvid'), write_panoptic(root / 'coco'),
        write_instances(root / 'mini'), write_roads(root / 'roads'))]


@pytest.fixture
def without_downloads(monkeypatch):
    """Replace the published weights, and the bundle of them, by small ones."""
    def write(head, classifier, recipe, bundle, weights, training_data, provenance):
        write_mock_bundle(bundle, provenance=provenance, training_data=[
            vars(source) for source in training_data])

    torch.manual_seed(0)
    classifier = Classifier().requires_grad_(False).eval()
    monkeypatch.setitem(pipeline.STREET_RECIPES, 'street', SMALL)
    monkeypatch.setattr(pipeline, 'load_classifier', lambda path: classifier)
    monkeypatch.setattr(pipeline, 'write', write)


def test_trains_writes_and_calibrates(folders, without_downloads, tmp_path, capsys):
    def train(seed, *more):
        out = tmp_path / f'bundle-{seed}'
        status = main(['train', '--config', 'street', '--data', *folders, '--work',
                       str(tmp_path / 'work'), '--out', str(out), '--seed', str(seed), *more])
        return status, out, capsys.readouterr()

    status, out, printed = train(0)
    assert status == 0, printed.err
    assert 'found CamVid: ' in printed.out and 'CamVid or Cityscapes is missing' not in printed.out
    assert 'DAVIS is missing' in printed.out and 'Penn-Fudan is missing' in printed.out
    bundle = Bundle.open(out)
    record = bundle.provenance
    assert record['seed'] == 0 and record['data']['streets'] == {'CamVid': 3}
    assert len(record['data']['coco_panoptic']) == 10
    assert set(record['data']['clean_roads']) == {'road.avi', 'road.png'}
    assert set(record['pictures']) == {'streets', 'scenes', 'roads', 'pasted'}
    assert record['validation']['threshold'] == pytest.approx(bundle.calibration.u[1], abs=1e-3)
    assert [s.name for s in bundle.training_data] == [
        'CamVid, 11 classes', 'COCO panoptic', 'frames of clean roads']

    # The same bundle is not written over, and another seed uses the same features.
    status, _, printed = train(0)
    assert status == 1 and 'exists already' in printed.err
    features = tmp_path / 'work' / 'features'
    made = {p: p.stat().st_mtime_ns for p in features.rglob('*.bin')}
    status, out, printed = train(1)
    assert status == 0, printed.err
    assert made == {p: p.stat().st_mtime_ns for p in made}
    assert {p.name for p in features.iterdir()} == {'streets', 'scenes', 'roads', 'pasted'}
    first, second = (torch.load(tmp_path / 'work' / f'head-{i}.pt') for i in (0, 1))
    assert not torch.equal(first['state']['fine.weight'], second['state']['fine.weight'])


def test_what_is_missing_and_what_it_costs(folders, without_downloads, tmp_path, capsys):
    command = ['train', '--config', 'street', '--work', str(tmp_path / 'work'), '--out',
               str(tmp_path / 'bundle'), '--data']
    assert main([*command, folders[0]]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert 'nothing teaches what an object is' in said and 'bright asphalt' in said
    assert 'CamVid or Cityscapes' not in said
    choice = json.loads((tmp_path / 'bundle' / 'manifest.json').read_text())
    assert choice['provenance']['validation']['objects'] == 0
    command[command.index('--out') + 1] = str(tmp_path / 'other')
    assert main([*command, folders[3]]) == 1
    assert 'no labelled picture to train on' in capsys.readouterr().err


@pytest.mark.slow
def test_with_the_published_weights(folders, tmp_path, capsys):
    try:
        for download in (CLASSIFIER, MINILM, TOKENIZER):
            download.find()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    assert main(['train', '--config', 'street', '--data', *folders, '--short', '100', '--work',
                 str(tmp_path), '--out', str(tmp_path / 'bundle')]) == 0, capsys.readouterr().err
    bundle = Bundle.open(tmp_path / 'bundle')
    assert bundle.network.kind == 'street' and bundle.vision.width == 640
