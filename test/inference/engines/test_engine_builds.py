# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds against stand-ins: an engine is used only if it agrees with the reference."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import sys

from engine_bundle import write_engine_bundle
from fake_cuda import ORIN, show_gpus
from fake_tensorrt import fake_tensorrt
import pytest
from vl4ad_ros import cli
from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.reference import Deviation, load_reference, measure
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.inference.backend import BackendOptions, open_backend
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable, EngineMissing
from vl4ad_ros.inference.tensorrt import backend
from vl4ad_ros.inference.tensorrt.cache import EngineCache, Key
from vl4ad_ros.inference.tensorrt.library import Library
from vl4ad_ros.inference.tensorrt.obtain import Engines


@pytest.fixture
def trt(installed):
    """Make `import tensorrt` give the stand-in."""
    return installed


@pytest.fixture
def engines(trt, engine_bundle, folder):
    """Return a function that makes the engines of a fresh process."""
    def make(bundle=engine_bundle, **options):
        said = []
        made = Engines(Library(trt), bundle, BackendOptions(cache_dir=folder, **options),
                       said.append, said.append)
        made.said = said
        return made
    return make


def sidecar_of(stored):
    return json.loads(stored.file.with_suffix('.json').read_text())


def test_built_compared_stored_and_found(engines, trt, cuda, folder):
    with pytest.raises(EngineMissing, match='has no engine.*vl4ad build .*--cache-dir'):
        engines().find()
    graph, stored = engines().build()
    assert graph.sampling == 'gather'
    assert trt.plugins == ['']
    sidecar = sidecar_of(stored)
    assert set(sidecar) == {'key', 'engine', 'deviation', 'built', 'seconds', 'host', 'log'}
    assert stored.deviation.uncertainty < 1e-4
    assert sidecar['log'] == ['INFO: timing layer 12', 'INFO: built']
    assert engines().find()[1].plan == stored.plan
    assert engines().build()[1].plan == stored.plan
    assert trt.counts.built == ['vision.gather.onnx']
    engines().build(force=True)
    assert len(trt.counts.built) == 2
    assert not cuda.live


def test_a_wrong_engine_is_refused_and_the_next_form_is_tried(engines, trt, folder):
    trt.faults.noise = {'vision.gather.onnx': 0.5}
    building = engines()
    graph, _ = building.build()
    assert graph.sampling == 'grid-sample'
    assert any('does not agree with the reference: deviation of the uncertainty' in line
               for line in building.said)
    assert [file.suffix for file in folder.glob('*.engine')] == ['.engine']
    assert engines().find()[0].sampling == 'grid-sample'
    engines().build()
    assert len(trt.counts.built) == 2


def test_a_bundle_without_half_precision_is_built_with_a_warning(engines):
    building = engines()
    building.build()
    assert 'in fp32 only' in building.said[0] and '--dtype fp16' in building.said[0]
    asked_for = engines(precision='fp32')
    asked_for.build(force=True)
    assert not any('in fp32 only' in line for line in asked_for.said)


def test_nothing_agrees(engines, trt, folder):
    trt.faults.noise = dict.fromkeys(('vision.gather.onnx', 'vision.grid-sample.onnx'), 0.5)
    with pytest.raises(BackendError) as caught:
        engines().build()
    for expected in ('vision.gather.onnx (fp32, gather)', 'vision.grid-sample.onnx',
                     'instead of at most', '--sampling plugin --dtype fp32, then vl4ad build',
                     'the onnxruntime backend'):
        assert expected in str(caught.value)
    assert not list(folder.glob('*.engine')) and not list(folder.glob('*.json'))


def test_values_that_are_not_finite_are_refused(engines, trt):
    trt.faults.noise = dict.fromkeys(('vision.gather.onnx', 'vision.grid-sample.onnx'),
                                     float('nan'))
    with pytest.raises(BackendError, match='deviation of the uncertainty inf'):
        engines().build()


@pytest.mark.parametrize('fault, value, said', [
    ('errors', ('no such operator',), 'node /decoder/NonZero .NonZero.: no such operator'),
    ('plans', False, 'no tactic for layer 12'),
    ('bytes_needed', 1 << 40, 'needed 1048576 MiB, free 1024 MiB')])
def test_each_attempt_says_why(engines, trt, fault, value, said):
    setattr(trt.faults, fault, value)
    with pytest.raises(BackendError, match=said):
        engines().build()


def test_timings_are_used_again(engines, trt, folder):
    engines().build()
    engines().build(force=True)
    assert trt.counts.timings == [b'', b' and more']
    next(folder.glob('*.timings')).write_bytes(b'altered')
    engines().build(force=True)
    assert trt.counts.timings[-1] == b''
    trt.faults.refuses_timings = True
    building = engines()
    building.build(force=True)
    assert trt.counts.timings[-1] == b''
    assert any('does not fit this GPU' in line for line in building.said)


@pytest.mark.parametrize('change, said', [
    ({'name': 'Orin NX'}, "has gpu 'Orin' instead of 'Orin NX'"),
    ({'driver': 'CUDA 13.0'}, "driver 'CUDA 12.6, R36 4.0' instead of 'CUDA 13.0'"),
    ({'compute_capability': '11.0'}, "compute_capability '8.7' instead of '11.0'")])
def test_engines_of_another_machine_are_not_used(engines, trt, monkeypatch, change, said):
    engines().build()
    show_gpus(monkeypatch, dataclasses.replace(ORIN, **change))
    elsewhere = engines()
    with pytest.raises(EngineMissing, match=said):
        elsewhere.find()
    elsewhere.build()
    assert len(trt.counts.built) == 2


def test_engines_of_another_version_are_not_used(engines, trt):
    engines().build()
    trt.__version__ = '10.16.2'
    with pytest.raises(EngineMissing, match="version '10.3.0' instead of '10.16.2'"):
        engines().find()


def test_an_altered_graph_has_no_engine(engines, engine_bundle, tmp_path):
    engines().build()
    copy = tmp_path / 'copy'
    shutil.copytree(engine_bundle.directory, copy)
    with open(copy / 'vision.gather.onnx', 'ab') as stream:
        stream.write(b'\x22\x00')  # an empty domain: the same network, another file
    with pytest.raises(BundleError, match='altered'):
        Bundle.open(copy)
    manifest = json.loads((copy / 'manifest.json').read_text())
    del manifest['files']
    write_manifest(copy, manifest)
    with pytest.raises(EngineMissing, match='has files .*run: vl4ad build'):
        engines(Bundle.open(copy)).find()


def test_an_altered_engine_is_refused_then_rebuilt(engines, trt):
    stored = engines().build()[1]
    stored.file.write_bytes(bytes(stored.plan).replace(b'fake', b'FAKE'))
    with pytest.raises(EngineMissing, match='altered .sha256 .*run: vl4ad build'):
        engines().find()
    building = engines()
    building.build()
    assert 'is altered' in building.said[0]
    engines().find()


def test_a_tolerance_that_became_tighter_counts(engines, trt, monkeypatch):
    trt.faults.noise = {'vision.gather.onnx': 1e-4}
    engines().build()
    from vl4ad_ros.bundle import reference
    monkeypatch.setitem(reference.TOLERANCE, 'fp32', reference.Deviation(1e-6, 0, 0, 0))
    with pytest.raises(EngineMissing, match='instead of at most 1e-06'):
        engines().find()


@pytest.mark.parametrize('deviation', [None, {}, {'uncertainty': 0.0}, 'none'])
def test_a_sidecar_without_a_deviation_is_refused(engines, deviation):
    sidecar = engines().build()[1].file.with_suffix('.json')
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), 'deviation': deviation}))
    with pytest.raises(EngineMissing, match='deviation from the reference cannot be read'):
        engines().find()


def test_engines_of_version_2_0_stay_and_give_no_mass(engines, trt, engine_bundle, tmp_path,
                                                      folder, capsys):
    """Also those that were built before 2.1, whose sidecars say nothing of the mass."""
    old = write_engine_bundle(tmp_path / 'old', minor=0)
    engines(engine_bundle).build()
    with pytest.raises(EngineMissing, match='has no engine'):  # that one has another output
        engines(old).find()
    stored = engines(old).build()[1]
    assert stored.deviation.mass is None
    sidecar = stored.file.with_suffix('.json')
    record = json.loads(sidecar.read_text())
    del record['deviation']['mass']
    sidecar.write_text(json.dumps(record))
    opened = open_backend(old, 'tensorrt', BackendOptions(cache_dir=folder))
    reference = load_reference(old)
    assert opened.run(reference.images[0], *reference.texts.values()).anomaly_mass is None
    opened.close()
    assert cli.main(['build', '--list', '--cache-dir', str(folder)]) == 0
    assert [line.count('mass 0') for line in sorted(capsys.readouterr().out.splitlines())] in (
        [0, 1], [1, 0])


def test_an_engine_with_another_mass_is_refused(engines, trt):
    trt.faults.noise = {'vision.gather.onnx': 0.1}
    trt.faults.noisy = 'anomaly_mass'
    building = engines()
    assert building.build()[0].sampling == 'grid-sample'
    assert any("reference: deviation of the anomaly's mass 0.0" in line for line in building.said)


def test_a_bundle_without_reference_builds_nothing(engines, trt, mock_bundle):
    with pytest.raises(BundleError, match='no reference frames.*vl4ad export'):
        engines(Bundle.open(mock_bundle)).build()
    assert not trt.counts.built


def test_open_backend(trt, cuda, engine_bundle, folder, caplog):
    options = BackendOptions(cache_dir=folder, threads=1)
    with pytest.raises(EngineMissing, match='run: vl4ad build'):
        open_backend(engine_bundle, 'tensorrt', options)
    caplog.set_level(logging.INFO)
    opened = open_backend(
        engine_bundle, 'tensorrt', dataclasses.replace(options, build_if_missing=True))
    assert any('building an engine' in line for line in caplog.messages)
    assert opened.name == 'tensorrt'
    assert opened.description.startswith('tensorrt 10.3.0, fp32, gather, Orin, engine ')
    assert measure(load_reference(engine_bundle), opened.run).uncertainty < 1e-4
    assert opened.device_memory() > 1000 and set(opened.stages) == {
        'upload', 'network', 'download'}
    opened.close()
    opened.close()
    assert not cuda.live
    with pytest.raises(BackendError, match='closed'):
        opened.encode_text(load_reference(engine_bundle).texts['concept_class'][None])


def test_a_build_that_fails_is_no_reason_for_the_cpu(trt, engine_bundle, folder):
    trt.faults.ends_by = {'vision.gather.onnx': 'SIGSEGV', 'vision.grid-sample.onnx': 'SIGSEGV'}
    with pytest.raises(BackendError, match='no engine of .* can be used'):
        open_backend(engine_bundle, 'auto', BackendOptions(cache_dir=folder,
                                                           build_if_missing=True))


def test_two_detectors(trt, cuda, engine_bundle, folder, engines):
    engines().build()
    detectors = [Detector.open(engine_bundle.directory, 'tensorrt',
                               BackendOptions(cache_dir=folder, threads=1)) for _ in range(2)]
    image = load_reference(engine_bundle).images[0]
    first, second = (detector.detect(image, detector.encode(detector.default_vocabulary))
                     for detector in detectors)
    assert (first.score == second.score).all() and first.score.std() > 0.1
    for detector in detectors:
        detector.close()
    assert not cuda.live


def test_tensorrt_that_is_too_old_names_the_remedy(trt, engine_bundle):
    trt.__version__ = '8.6.2'
    with pytest.raises(BackendUnavailable, match='10.3 or newer.* 6.1. .*the onnxruntime backend'):
        open_backend(engine_bundle, 'tensorrt')


@pytest.mark.parametrize('version', ['10.3.0', '10.16.2.10', '11.4.1'])
def test_tensorrt_that_is_new_enough(trt, version):
    trt.__version__ = version
    assert backend.unavailable(BackendOptions()) == ''


def command(*arguments):
    return cli.main(['build', *map(str, arguments)])


def test_command(trt, engine_bundle, folder, capsys):
    assert command(engine_bundle.directory, '--cache-dir', folder) == 0
    said = capsys.readouterr()
    assert 'fp32, gather' in said.out
    assert f'launch.py bundle:={engine_bundle.directory}, with model.cache_dir: ' in said.err
    assert command('--list', '--cache-dir', folder) == 0
    assert 'Orin (8.7), driver CUDA 12.6, R36 4.0' in capsys.readouterr().out
    trt.__version__ = '10.4.0'
    assert command('--prune', '--list', '--cache-dir', folder) == 0
    out = capsys.readouterr().out
    assert 'tensorrt is 10.4.0 now, not 10.3.0' in out and 'has no engines' in out
    assert command() == 1
    assert 'give a bundle' in capsys.readouterr().err


def test_prune_keeps_what_others_may_use(engines, monkeypatch, folder, capsys):
    for gpu in (ORIN, dataclasses.replace(ORIN, driver='CUDA 12.2'),
                dataclasses.replace(ORIN, name='Thor', driver='CUDA 13.0')):
        show_gpus(monkeypatch, gpu)
        engines().build()
    show_gpus(monkeypatch, ORIN)
    assert command('--prune', '--list', '--cache-dir', folder) == 0
    out = capsys.readouterr().out
    assert out.count('the driver is CUDA 12.6, R36 4.0 now, not CUDA 12.2') == 2
    assert 'Thor (8.7)' in out and 'Orin (8.7), driver CUDA 12.6' in out


def test_prune_removes_engines_of_another_library(engines, folder, capsys):
    sidecar = engines().build()[1].file.with_suffix('.json')
    key = {**json.loads(sidecar.read_text())['key'], 'library': 'tensorrt-rtx'}
    EngineCache(folder).store(Key(key), b'plan', Deviation(0.0, 0.0, 0.0), {})
    assert command('--prune', '--cache-dir', folder) == 0
    assert capsys.readouterr().out.count('no backend uses engines of tensorrt-rtx') == 2
    assert engines().find()


def test_without_a_gpu_the_command_says_so(trt, engine_bundle, folder, monkeypatch, capsys):
    show_gpus(monkeypatch)
    assert command(engine_bundle.directory, '--cache-dir', folder) == 1
    assert 'no engine can be built here: no NVIDIA driver' in capsys.readouterr().err


def test_console_script(trt, engine_bundle, folder, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['build_engine', str(engine_bundle.directory),
                                      '--cache-dir', str(folder)])
    assert cli.build_engine() == 0
    assert list(folder.glob('*.engine'))


def test_the_plugin_form_comes_between(engines, trt, cuda, tmp_path, monkeypatch, folder):
    bundle = write_engine_bundle(tmp_path / 'b', ('grid-sample', 'plugin', 'gather'))
    trt.faults.noise = {'vision.gather.onnx': 0.5}
    assert engines(bundle).build()[0].sampling == 'plugin'
    # Another process knows no plugins before it asks for them.
    monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt(cuda))
    open_backend(bundle, 'tensorrt', BackendOptions(cache_dir=folder)).close()
