# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference frames: stored, read back, compared; needs onnx for the mock bundle."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

from mock_bundle import make_version_2_0
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.reference import (
    Deviation, excess, LEAST_MASS, load_reference, Maps, measure, other_classes, Reference,
    save_reference, TEXT_INPUTS, TOLERANCE)
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.inference.backend import open_backend


def frames(bundle: Bundle, run) -> Reference:
    """Answer two frames with `run`."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, bundle.vision.height, bundle.vision.width, 3), np.uint8)
    texts = {t.name: np.zeros(t.shape, t.dtype) for t in bundle.vision_signature.inputs
             if t.name in TEXT_INPUTS}
    texts['concepts'][:3, :3] = np.eye(3)
    texts['concept_class'][:] = -1
    texts['concept_class'][:3] = range(3)
    texts['num_known'][:] = 2
    return Reference(images, texts, tuple(run(i, *texts.values()) for i in images))


@pytest.fixture
def backend(mock_bundle):
    """Return the mock bundle on a CPU."""
    backend = open_backend(Bundle.open(mock_bundle), 'onnxruntime')
    yield backend
    backend.close()


@pytest.fixture
def referenced(mock_bundle: Path, tmp_path: Path, backend) -> Path:
    """Return a mock bundle with reference frames."""
    directory = Path(shutil.copytree(mock_bundle, tmp_path / 'copy'))
    save_reference(directory / 'reference.npz', frames(Bundle.open(mock_bundle), backend.run))
    resign(directory)
    return directory


def resign(directory: Path) -> None:
    """Write the manifest anew, reference frames included."""
    manifest = json.loads((directory / 'manifest.json').read_text())
    write_manifest(directory, {**manifest, 'reference': 'reference.npz'})


def test_what_is_stored_comes_back_and_agrees(referenced, backend):
    reference = load_reference(Bundle.open(referenced))
    assert len(reference.images) == len(reference.answers) == 2
    assert max(maps.anomaly_mass.max() for maps in reference.answers) > 0.3
    assert measure(reference, backend.run) == Deviation(0, 0, 0, 0)
    assert excess(Deviation(0, 0, 0, 0), 'fp32') == ''


def test_version_2_0_stores_and_compares_no_mass(referenced, backend):
    make_version_2_0(referenced)
    bundle = Bundle.open(referenced)
    reference = load_reference(bundle)
    assert all(maps.anomaly_mass is None for maps in reference.answers)
    old = open_backend(bundle, 'onnxruntime')
    for run in (old.run, backend.run):  # such as a network in PyTorch, which gives it anyway
        deviation = measure(reference, run)
        assert deviation == Deviation(0, 0, 0, None)
        assert excess(deviation, 'fp32') == '' and 'mass' not in str(deviation)
    save_reference(referenced / 'again.npz', frames(bundle, old.run))
    assert 'anomaly_mass' not in np.load(referenced / 'again.npz')


def test_an_altered_frame_is_refused(referenced):
    file = referenced / 'reference.npz'
    file.write_bytes(file.read_bytes() + b' ')
    with pytest.raises(BundleError, match='reference.npz is altered'):
        Bundle.open(referenced)


def test_a_bundle_without_frames_says_how_to_get_some(mock_bundle):
    with pytest.raises(BundleError, match='no reference frames.*run: vl4ad export'):
        load_reference(Bundle.open(mock_bundle))


@pytest.mark.parametrize('change, message', [
    (lambda v: v.pop('best_known'), 'best_known'),
    (lambda v: v.pop('anomaly_mass'), 'anomaly_mass'),
    (lambda v: v.update(image=v['image'][:, :-1]), 'image must be uint8'),
    (lambda v: v.update(image=v['image'][:1]), 'uncertainty must be float32 .1, '),
    (lambda v: v.update({k: v[k][:0] for k in ('image', *Maps._fields)}), 'image must be'),
    (lambda v: v.update(uncertainty=v['uncertainty'].astype(np.float64)), 'found float64'),
])
def test_wrong_frames_are_refused(referenced, change, message):
    file = referenced / 'reference.npz'
    values = dict(np.load(file))
    change(values)
    np.savez(file, **values)
    resign(referenced)
    with pytest.raises(BundleError, match=message):
        load_reference(Bundle.open(referenced))


def test_rubbish_instead_of_frames_is_refused(referenced):
    (referenced / 'reference.npz').write_bytes(b'PK rubbish')
    resign(referenced)
    with pytest.raises(BundleError, match='reference.npz cannot be read'):
        load_reference(Bundle.open(referenced))


def test_deviation_is_in_standard_deviations_and_shares(referenced, backend):
    reference = load_reference(Bundle.open(referenced))
    spread = np.std([maps.uncertainty for maps in reference.answers])
    present = np.mean([maps.uncertainty <= -LEAST_MASS for maps in reference.answers])
    assert present > 0.5

    def off(*inputs):
        maps = backend.run(*inputs)
        return maps._replace(uncertainty=maps.uncertainty + 0.5 * spread,
                             best_known=maps.best_known + 1)

    deviation = measure(reference, off)
    assert deviation.uncertainty == pytest.approx(0.5, rel=1e-4)
    assert (deviation.known, deviation.anomaly, deviation.mass) == (present, 0, 0)
    says = excess(deviation, 'fp16')
    assert 'uncertainty 0.5 instead of at most 0.05' in says and 'another known class 0.' in says
    assert 'anomaly' not in says


@pytest.mark.parametrize('stored, seen, deviation', [
    (0.2, 0.3, 0.1), (0.9, 0.0, 0.9), (1.5, 2.5, 0.0), (0.95, 1.5, 0.05)])
def test_the_mass_is_compared_between_0_and_1(referenced, backend, stored, seen, deviation):
    reference = load_reference(Bundle.open(referenced))

    def with_mass(maps, mass):
        return maps._replace(anomaly_mass=np.full_like(maps.anomaly_mass, mass))

    expected = Reference(reference.images, reference.texts, tuple(
        with_mass(maps, stored) for maps in reference.answers))
    found = measure(expected, lambda *inputs: with_mass(backend.run(*inputs), seen))
    assert found.mass == pytest.approx(deviation, abs=1e-6)
    assert f'its mass off by {deviation:.4f}' in str(found)
    assert (f'mass {deviation:.4g} instead of at most 0.02' in excess(found, 'fp16')) == (
        deviation > 0.02)


@pytest.mark.parametrize('u, counted', [
    (-LEAST_MASS / 2, (0, 1)), (-0.5, (1, 1)), (LEAST_MASS / 2 - 1, (1, 0)), (-1.2, (1, 0))])
def test_which_of_the_absent_classes_is_best_counts_nothing(u, counted):
    ones = np.ones((2, 2), np.int32)
    maps = Maps(np.full((2, 2), u), ones, ones)
    others = maps._replace(best_known=2 * ones, best_anomaly=2 * ones)
    assert other_classes(others, maps) == counted


@pytest.mark.parametrize('name', ['uncertainty', 'anomaly_mass'])
def test_one_value_that_is_not_finite_is_out_of_every_tolerance(referenced, backend, name):
    def spoilt(*inputs):
        maps = backend.run(*inputs)
        getattr(maps, name)[3, 3] = np.nan
        return maps

    deviation = measure(load_reference(Bundle.open(referenced)), spoilt)
    assert all(excess(deviation, dtype) for dtype in TOLERANCE)
