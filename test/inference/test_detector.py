# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector on a bundle that sees colours; needs onnx, no trained weights, rclpy or GPU."""

from __future__ import annotations

from contextlib import closing
import threading

from mock_bundle import COLOURS, SCALE, VOID, write_mock_bundle
import numpy as np
import pytest
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.prompts.vocabulary import Vocabulary

KNOWN = ['road', 'sky', 'grass', 'truck']


@pytest.fixture(scope='module')
def detector(mock_bundle):
    """Return a detector on the mock bundle."""
    detector = Detector.open(mock_bundle, options=BackendOptions(threads=1))
    yield detector
    detector.close()


def painted(size: tuple[int, int], **patches: tuple[int, int, int, int]) -> np.ndarray:
    """Return a grey image with patches: colour=(x, y, width, height)."""
    image = np.full((*size, 3), COLOURS['grey'], np.uint8)
    for colour, (x, y, width, height) in patches.items():
        image[y:y + height, x:x + width] = COLOURS[colour]
    return image


RED = painted((96, 160), red=(40, 40, 32, 24))


@pytest.mark.parametrize('known, anomaly, colour, anomalous', [
    (KNOWN, [''], 'red', True),
    (KNOWN + ['red thing'], [''], 'red', False),
    (KNOWN, ['cow'], 'red', True),
    (KNOWN, [''], 'green', False),
    (KNOWN + ['x: zebra, cows, qqq'], [''], 'red', False),
    (KNOWN, [''], 'purple', False),  # close to a truck
    (KNOWN, ['caravan'], 'purple', True),  # but closer to a caravan
    (KNOWN + ['caravan'], [''], 'purple', False),
    (['sky'], [''], 'grey', True),
])
def test_prompts_decide_what_is_anomalous(detector, known, anomaly, colour, anomalous):
    prompts = detector.encode(Vocabulary.from_strings(known, anomaly))
    mask = detector.detect(painted((96, 160), **{colour: (40, 40, 32, 24)}), prompts).mask(0.5)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
    assert (mask[44:60, 44:68] == (255 if anomalous else 0)).all()
    if colour != 'grey':
        assert not mask[:32].any()


@pytest.mark.parametrize('known, anomaly', [
    (KNOWN, ['']),
    (KNOWN, ['cow', 'caravan: caravan, purple']),
    (['road', 'nature: grass, sky, truck'], ['']),
    (['everything: road, grass, sky, truck'], ['cow']),
])
def test_uncertainty_is_minus_the_largest_known_softmax_of_concept_maxima(
        detector, known, anomaly):
    vocabulary = Vocabulary.from_strings(known, anomaly)
    prompts = detector.encode(vocabulary)
    pure = detector.encode(Vocabulary.from_strings(list(COLOURS)))
    for i, colour in enumerate(COLOURS):
        # A cell's embedding has no part beyond the colours; a word's has some of its own.
        cell = pure.concepts[i].copy()
        cell[len(COLOURS):] = 0
        cosines = prompts.concepts @ (cell / np.linalg.norm(cell))
        logits = np.array([SCALE * max(cosines[prompts.concept_class == k])
                           for k in range(len(vocabulary.classes))] + [SCALE * VOID])
        softmax = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        prediction = detector.detect(
            painted((96, 160), **{colour: (0, 0, 160, 96)}), prompts)
        count = len(vocabulary.known)
        np.testing.assert_allclose(prediction.uncertainty, -max(softmax[:count]), atol=1e-4)
        known_logits, anomaly_logits = logits[:count], logits[count:-1]
        np.testing.assert_allclose(  # by value, since orthogonal colours tie
            known_logits[prediction.best_known], known_logits.max(), atol=1e-4)
        if vocabulary.anomaly:
            np.testing.assert_allclose(
                anomaly_logits[prediction.best_anomaly], anomaly_logits.max(), atol=1e-4)
            np.testing.assert_allclose(
                prediction.anomaly_mass, max(softmax[count:-1]), atol=1e-4)
        else:
            assert (prediction.best_anomaly == -1).all() and not prediction.anomaly_mass.any()


def test_anomaly_prompts_only_take_mass(detector):
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), np.uint8)
    u, v = (detector.detect(image, detector.encode(Vocabulary.from_strings(KNOWN, anomaly)))
            for anomaly in ([''], ['cow', 'caravan', 'dog', 'sign']))
    assert (v.uncertainty >= u.uncertainty - 1e-6).all()
    assert (v.uncertainty > u.uncertainty + 0.1).any()
    np.testing.assert_array_equal(u.best_known, v.best_known)


@pytest.mark.parametrize('size', [
    (96, 160), (360, 640), (641, 359), (1, 1), (1, 300), (300, 1), (7, 5), (1080, 1920)])
def test_outputs_have_the_size_of_the_image(detector, size):
    prompts = detector.encode(Vocabulary.from_strings(['sky'], ['road']))
    prediction = detector.detect(painted(size), prompts)
    assert prediction.image_size == size
    assert prediction.score.shape == prediction.mask(0.5).shape == size
    assert prediction.score.dtype == np.float32
    assert (prediction.mask(0.5) == 255).all()  # up to every edge: padding has no part in it
    assert (prediction.best_known.dtype, prediction.best_anomaly.dtype) == (np.int32, np.int32)
    assert (prediction.uncertainty.shape == prediction.best_known.shape
            == prediction.best_anomaly.shape == prediction.anomaly_mass.shape
            == prediction.letterbox.map_size)


def test_score_is_calibrated(tmp_path):
    directory = write_mock_bundle(
        tmp_path, calibration={'u': [-1.0, 0.0], 'score': [0.25, 0.75]})
    detector = Detector.open(directory, options=BackendOptions(threads=1))
    prediction = detector.detect(RED, detector.encode(Vocabulary.from_strings(KNOWN)))
    assert prediction.score[0, 0] == pytest.approx(0.25, abs=1e-3)
    assert prediction.score[50, 50] == pytest.approx(0.75, abs=1e-3)


def test_mask_is_above_not_at_the_threshold(detector):
    prediction = detector.detect(RED, detector.encode(detector.default_vocabulary))
    score = float(prediction.score[50, 50])
    assert prediction.mask(score)[50, 50] == 0
    assert prediction.mask(np.nextafter(np.float32(score), np.float32(0)))[50, 50] == 255


@pytest.mark.parametrize('view', [
    lambda image: image, lambda image: image[::-1], lambda image: image[:, ::-1],
    lambda image: image[..., ::-1], lambda image: image[::2, ::2], lambda image: image[3:, 5:],
    lambda image: np.asfortranarray(image)], ids=[
        'plain', 'upside down', 'mirrored', 'bgr', 'every other', 'cut out', 'fortran'])
@pytest.mark.parametrize('size', [(96, 160), (192, 320), (360, 640)])
def test_same_pixels_in_another_layout_give_the_same(detector, view, size):
    image = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    prompts = detector.encode(detector.default_vocabulary)
    before = image.copy()
    strided, plain = (detector.detect(i, prompts).score
                      for i in (view(image), np.array(view(image), order='C')))
    np.testing.assert_array_equal(strided, plain)
    np.testing.assert_array_equal(image, before)


def test_results_do_not_depend_on_the_frame_before(detector):
    prompts = detector.encode(detector.default_vocabulary)
    alone = detector.detect(RED, prompts)
    detector.detect(painted((360, 640), blue=(0, 0, 640, 360)), prompts)
    again = detector.detect(RED, prompts)
    for name in ('uncertainty', 'best_known', 'best_anomaly', 'anomaly_mass', 'score'):
        np.testing.assert_array_equal(getattr(alone, name), getattr(again, name))


@pytest.mark.parametrize('image, seen', [
    (RED.astype(np.float32), r'float32 \(96, 160, 3\)'), (RED[..., 0], r'uint8 \(96, 160\)'),
    (RED[:0], r'uint8 \(0, 160, 3\)'), (RED[..., :2], r'uint8 \(96, 160, 2\)'),
    (np.zeros((4, 4, 4), np.uint8), r'uint8 \(4, 4, 4\)'), (None, 'NoneType'),
    ([[[1, 2, 3]]], 'list')])
def test_other_images_are_refused(detector, image, seen):
    prompts = detector.encode(detector.default_vocabulary)
    with pytest.raises(ValueError, match=rf'image must be uint8 \(H, W, 3\) RGB.*seen {seen}'):
        detector.detect(image, prompts)


BOX = (40, 40, 32, 24)  # 8 x 6 cells


def prediction_of(detector, anomaly, best_anomaly, anomaly_mass, uncertainty=-0.1) -> Prediction:
    """Return a prediction with these maps in the cells of `BOX`; all else is a sure road."""
    prompts = detector.encode(Vocabulary.from_strings(['road'], anomaly))
    box = Letterbox((96, 160), (96, 160), 4)
    maps = []
    for values, dtype, elsewhere in ((uncertainty, np.float32, -1), (best_anomaly, np.int32, 0),
                                     (anomaly_mass, np.float32, 0)):
        maps.append(np.full((24, 40), elsewhere, dtype))
        maps[-1][box.to_cells(BOX)] = values
    return Prediction(maps[0], np.zeros((24, 40), np.int32), maps[1], prompts, box,
                      detector.bundle.calibration, maps[2])


def test_an_anomaly_is_named_by_mass_and_has_its_own_score(detector):
    # The first 6 of 8 columns of cells are 'sign', weakly; the others are 'cow', surely.
    columns = np.arange(8)
    best, mass = np.where(columns < 6, 1, 0), np.where(columns < 6, 0.1, 0.9)
    prediction = prediction_of(detector, ['cow', 'sign'], best, mass)
    assert prediction.anomaly_class_in(BOX, 0.5) == ('cow', pytest.approx(0.9 * 2 / 8))
    # Another order of the prompts, the same answer.
    prediction = prediction_of(detector, ['sign', 'cow'], 1 - best, mass)
    assert prediction.anomaly_class_in(BOX, 0.5) == ('cow', pytest.approx(0.9 * 2 / 8))


def test_mass_counts_between_0_and_1(detector):
    columns = np.arange(8)
    # Two masks over each other give 'sign' 2.4 in 3 columns, which is no more than 1.
    prediction = prediction_of(detector, ['cow', 'sign'], np.where(columns < 3, 1, 0),
                               np.where(columns < 3, 2.4, 0.8))
    assert prediction.anomaly_class_in(BOX, 0.5) == ('cow', pytest.approx(0.8 * 5 / 8))
    prediction = prediction_of(detector, ['cow'], 0, 2.4)
    assert prediction.anomaly_class_in(BOX, 0.5) == ('cow', 1.0)


def test_cells_below_the_threshold_do_not_name(detector):
    columns = np.arange(8)
    prediction = prediction_of(detector, ['cow', 'sign'], np.where(columns < 6, 1, 0), 0.6,
                               np.where(columns < 6, -0.9, -0.1))
    assert prediction.anomaly_class_in(BOX, 0.5) == ('cow', pytest.approx(0.6))
    # All of them do if none is above it.
    assert prediction.anomaly_class_in(BOX, 0.99) == ('sign', pytest.approx(0.6 * 6 / 8))


def test_the_network_names_an_anomaly_by_its_mass(detector):
    image = painted((96, 160), red=BOX)
    prediction = detector.detect(image, detector.encode(
        Vocabulary.from_strings(KNOWN, ['dog', 'cow'])))
    name, mass = prediction.anomaly_class_in(BOX, 0.5)
    assert name == 'cow' and mass > 0.9
    cells = prediction.letterbox.to_cells(BOX)
    assert mass == pytest.approx(float(prediction.anomaly_mass[cells].mean()), abs=1e-5)
    without = detector.detect(image, detector.encode(Vocabulary.from_strings(KNOWN)))
    assert without.anomaly_class_in(BOX, 0.5) == ('', 0.0)


def test_version_2_0_names_nothing(tmp_path):
    detector = Detector.open(write_mock_bundle(tmp_path, minor=0),
                             options=BackendOptions(threads=1))
    prediction = detector.detect(painted((96, 160), red=BOX),
                                 detector.encode(detector.default_vocabulary))
    assert prediction.mask(0.5)[50, 50] == 255 and prediction.anomaly_mass is None
    assert prediction.anomaly_class_in(BOX, 0.5) == ('', 0.0)


@pytest.mark.parametrize('name', ['uncertainty', 'anomaly_mass'])
def test_network_that_gives_nan_is_refused(detector, monkeypatch, name):
    zeros, indices = np.zeros((24, 40), np.float32), np.zeros((24, 40), np.int32)
    outputs = Maps(zeros, indices, indices, zeros)._replace(
        **{name: np.full((24, 40), np.nan, np.float32)})
    prompts = detector.encode(detector.default_vocabulary)
    monkeypatch.setattr(detector._backend, 'run', lambda *inputs: outputs)
    with pytest.raises(BackendError, match='mock gives values that are not finite on'):
        detector.detect(RED, prompts)


def test_prompts_may_be_encoded_while_images_are_scored(detector):
    prompts = detector.encode(detector.default_vocabulary)
    expected = detector.detect(RED, prompts).score
    failures = []

    def encode() -> None:
        for i in range(40):
            try:
                detector.encode(Vocabulary.from_strings([f'word{i}', f'thing {i}']))
            except Exception as error:
                failures.append(error)
    threads = [threading.Thread(target=encode) for _ in range(2)]
    for thread in threads:
        thread.start()
    scores = [detector.detect(RED, prompts).score for _ in range(40)]
    for thread in threads:
        thread.join()
    assert not failures
    assert all(np.array_equal(score, expected) for score in scores)


def test_closed_detector_says_so(mock_bundle):
    detector = Detector.open(mock_bundle, options=BackendOptions(threads=1))
    detector.warm_up()
    assert detector.backend.name == 'openvino'
    prompts = detector.encode(detector.default_vocabulary)
    detector.close()
    with pytest.raises(BackendError, match='closed'):
        detector.detect(RED, prompts)


def test_the_bundle_that_opens_by_default_is_the_shipped_one_called_street():
    with closing(Detector.open(options=BackendOptions(threads=1))) as detector:
        assert detector.bundle.name == 'street'
        assert detector.bundle.directory.parts[-3:] == ('vl4ad_ros', 'models', 'street')
