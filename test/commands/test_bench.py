# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad bench` on the mock bundle; needs onnxruntime and openvino, no GPU."""

from __future__ import annotations

import json
from pathlib import Path
import shutil
import time

import cv2
import numpy as np
import pytest
from vl4ad_ros import cli
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Maps, Reference, save_reference, TEXT_INPUTS
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.commands import bench
from vl4ad_ros.inference.backend import BackendOptions, open_backend, REMOVED
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import DeviceMemoryError

CPU = ['--backend', 'onnxruntime', 'openvino']


@pytest.fixture(scope='module')
def with_frames(mock_bundle, tmp_path_factory) -> Path:
    """Return a mock bundle with three reference frames."""
    folder = Path(shutil.copytree(mock_bundle, tmp_path_factory.mktemp('bench') / 'mock'))
    bundle = Bundle.open(folder)
    detector = Detector(bundle, open_backend(bundle, 'onnxruntime', BackendOptions(threads=1)))
    prompts = detector.encode(bundle.vocabulary)
    texts = {name: getattr(prompts, name) for name in TEXT_INPUTS}
    images = np.random.default_rng(0).integers(0, 256, (3, 96, 160, 3), np.uint8)
    save_reference(folder / 'reference.npz', Reference(
        images, texts, tuple(detector.backend.run(i, *texts.values()) for i in images)))
    detector.close()
    write_manifest(folder, {**json.loads((folder / 'manifest.json').read_text()),
                            'reference': 'reference.npz'})
    return folder


def report_of(capsys, *arguments: str, code: int = 0) -> dict:
    """Return what the verb prints as JSON, which must be all it prints on stdout."""
    assert cli.main(['bench', *arguments, '--json']) == code
    return json.loads(capsys.readouterr().out)


def test_every_backend_is_measured_or_listed_with_its_reason(with_frames, capsys):
    report = report_of(capsys, str(with_frames), '--frames', '20', '--device', '15')
    assert [r['backend'] for r in report['results']] == ['openvino', 'onnxruntime']
    assert set(report['unavailable']) == {'tensorrt'}
    assert report['unavailable']['tensorrt'].startswith("the backend 'tensorrt' cannot be used: ")
    assert (report['input_size'], report['image_size']) == ([96, 160], [[96, 160]])
    assert all('uncertainty off by 0.0000' in r['deviation'] for r in report['results'])
    for result in report['results']:
        assert set(result['stages_ms']) == {
            'decode', 'resize', 'network', 'upsample', 'mask', 'obstacles'}
        latency = result['latency_ms']
        assert 0 < latency['p50'] <= latency['p90'] <= latency['p99']
        # On a busy machine, most frames are interrupted once, and most stages are not.
        stages = sum(result['stages_ms'].values())
        assert 0.2 * latency['p50'] < stages < 1.5 * latency['p90']
        assert result['frames_per_s'] == pytest.approx(1e3 / latency['mean'], rel=0.1)
        assert result['load_s'] > 0 and result['device_mib'] is None
        assert result['description'].startswith(result['backend'])
    facts = report['machine']
    assert facts['cpu'] and facts['cores'] >= 1 and facts['date'] and facts['python']
    assert {'onnxruntime', 'openvino', 'numpy'} <= set(facts['versions'])


def test_nothing_measured_is_a_failure(with_frames, capsys):
    report = report_of(capsys, str(with_frames), '--backend', 'onnxruntime', '--provider', 'cuda',
                       '--device', '15', code=1)
    assert not report['results'] and 'onnxruntime' in report['unavailable']


def test_images_are_the_reference_frames(with_frames, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(bench.Contender, 'process', lambda self, jpeg: seen.append(jpeg))
    monkeypatch.setattr(bench.Contender, 'result', lambda self: self._result)
    report_of(capsys, str(with_frames), '--backend', 'onnxruntime', '--frames', '6')
    frames = np.load(with_frames / 'reference.npz')['image']
    assert len(seen) == 6
    for i, jpeg in enumerate(seen):
        differences = [np.abs(bench.decode(jpeg).astype(int) - frame).mean() for frame in frames]
        assert np.argmin(differences) == i % 3


def test_images_can_be_resized_to_those_of_the_camera(with_frames, tmp_path, capsys):
    report = report_of(capsys, str(with_frames), '--backend', 'onnxruntime', '--frames', '2',
                       '--image-size', '360x640')
    assert report['image_size'] == [[360, 640]]
    cv2.imwrite(str(tmp_path / 'own.png'), np.full((120, 200, 3), 90, np.uint8))
    report = report_of(capsys, str(with_frames), '--backend', 'onnxruntime', '--frames', '2',
                       '--image-size', '90x160', '--images', str(tmp_path))
    assert report['image_size'] == [[90, 160]]


def test_bundle_without_reference_frames_needs_a_folder_of_images(mock_bundle, capsys):
    assert cli.main(['bench', str(mock_bundle), *CPU]) == 1
    message = capsys.readouterr().err
    assert 'has no reference frames to measure with; give --images DIR' in message
    assert f'vl4ad export {mock_bundle}' in message


def test_table_has_a_column_for_each_number_of_threads(with_frames, capsys):
    assert cli.main(['bench', str(with_frames), '--backend', 'onnxruntime', '--threads', '1', '2',
                     '--frames', '2']) == 0
    out = capsys.readouterr().out
    assert '| | onnxruntime, 1 threads | onnxruntime, 2 threads |' in out
    assert '| frame p99, ms |' in out and '| upload' not in out
    assert 'not measured' not in out


def test_own_pictures_of_any_size(mock_bundle, tmp_path, capsys):
    for i, size in enumerate([(120, 200), (90, 90)]):
        cv2.imwrite(str(tmp_path / f'{i}.png'), np.full((*size, 3), 90, np.uint8))
    report = report_of(capsys, str(mock_bundle), *CPU, '--frames', '3', '--images', str(tmp_path))
    assert report['image_size'] == [[120, 200], [90, 90]]
    (tmp_path / 'broken.jpg').write_bytes(b'no picture')
    assert cli.main(['bench', str(mock_bundle), '--images', str(tmp_path)]) == 1
    assert "broken.jpg' is no image" in capsys.readouterr().err
    assert cli.main(['bench', str(mock_bundle), '--images', str(tmp_path / 'none')]) == 1
    assert 'has no JPEG or PNG files' in capsys.readouterr().err


@pytest.mark.parametrize('wrong', [
    ['--image-size', '360'], ['--image-size', '0x32'], ['--frames', '0'],
    ['--backend', 'caffe'], ['--provider', 'rocm'], ['--input-size', '96x160']])
def test_wrong_usage_is_refused(mock_bundle, wrong):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['bench', str(mock_bundle), *wrong])


@pytest.mark.parametrize('name', REMOVED)
def test_removed_backend_names_its_replacement(mock_bundle, capsys, name):
    with pytest.raises(SystemExit, match='2'):
        cli.main(['bench', str(mock_bundle), '--backend', name])
    message = capsys.readouterr().err
    assert f"'{name}' was removed in 0.2.0; {REMOVED[name]}" in message


class Fake:
    """A backend that sleeps for a known time and notes whose turn it was."""

    description, stages = 'fake', {'upload': 1.0, 'network': 2.0, 'download': 0.5}
    turns: list[str] = []

    def __init__(self, bundle, name, options):
        self.name, self.shape, self.closed = name, bundle.map_size, False

    def run(self, *inputs):
        Fake.turns.append(self.name)
        time.sleep(0.02 if self.name == 'tensorrt' else 0.001)
        zero = np.zeros(self.shape, np.int32)
        return Maps(zero.astype(np.float32), zero, zero, zero.astype(np.float32))

    def encode_text(self, tokens):
        return np.ones((len(tokens), 32), np.float32)

    def device_memory(self):
        return 300 << 20

    def close(self):
        self.closed = True


def test_backends_take_turns_and_device_stages_are_shown(with_frames, monkeypatch, capsys):
    Fake.turns.clear()
    monkeypatch.setattr(bench, 'open_backend', Fake)
    report = report_of(capsys, str(with_frames), '--backend', 'tensorrt', 'onnxruntime',
                       '--frames', '6')
    turns = Fake.turns[2 * (bench.WARM_UP + 3):]  # after the warm-up and the reference frames
    assert len(turns) == 12
    assert all({a, b} == {'tensorrt', 'onnxruntime'} for a, b in zip(turns[::2], turns[1::2]))
    assert turns[0] != turns[2]  # and who begins changes
    slow, fast = report['results']
    assert slow['latency_ms']['p50'] > fast['latency_ms']['p50'] + 10
    assert slow['device_mib'] == 300
    assert [slow['stages_ms'][s] for s in ('upload', 'network', 'download')] == [1.0, 2.0, 0.5]


def test_backend_that_fails_to_load_does_not_end_the_others(with_frames, monkeypatch, capsys):
    real = bench.open_backend

    def open_backend(bundle, name, options):
        if name == 'tensorrt':
            raise DeviceMemoryError('needed 900 MiB, free 7 MiB')
        return real(bundle, name, options)

    monkeypatch.setattr(bench, 'open_backend', open_backend)
    report = report_of(capsys, str(with_frames), '--backend', 'tensorrt', 'onnxruntime',
                       '--frames', '2')
    assert report['unavailable'] == {'tensorrt': 'needed 900 MiB, free 7 MiB'}
    assert len(report['results']) == 1
