# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Offline evaluation of a bag whose answer is known."""

from bags import write_bag, write_jpegs
import pytest

from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.settings import Settings


@pytest.mark.parametrize('truth', [True, False])
def test_every_frame_is_scored(tmp_path, mock_bundle, truth):
    bag = CameraBag(write_bag(tmp_path / 'bag', 12, truth=truth))
    detector = Detector.open(mock_bundle, options=BackendOptions(threads=1))
    metrics = evaluate(bag, detector)
    detector.close()
    assert metrics['frames_processed'] == 12 and metrics['alerts'] == 1
    assert metrics['model'] == 'mock'
    assert 'age_ms' not in metrics
    if truth:
        assert metrics['pixel_ap'] > 0.9
        assert (metrics['anomalies'], metrics['anomalies_alerted']) == (1, 1)
        assert metrics['false_alerts'] == 0
        # Confirmed in the third frame that shows it: two periods after the first.
        assert metrics['time_to_alert_s'] == pytest.approx(0.2)
    else:
        assert 'pixel_ap' not in metrics and 'anomalies' not in metrics


@pytest.fixture(scope='module')
def detector(mock_bundle):
    """Yield the detector of the mock bundle."""
    detector = Detector.open(mock_bundle, options=BackendOptions(threads=1))
    yield detector
    detector.close()


def test_refused_frames_are_counted_and_named(tmp_path, detector):
    """One frame is cut off and one has more pixels than the node takes."""
    sizes = [(90, 160)] * 12
    sizes[4] = (180, 320)
    bag = CameraBag(write_jpegs(tmp_path / 'bag', sizes, damaged=(7,)))
    seen, refused = [], {}
    metrics = evaluate(
        bag, detector, Settings().changed({'image.max_pixels': 90 * 160}),
        lambda frame, result: seen.append(frame.index),
        lambda frame, error: refused.update({frame.index: str(error)}))
    assert seen == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    assert 'frame 4' in refused[4] and 'image.max_pixels' in refused[4]
    assert 'frame 7' in refused[7] and 'cut off' in refused[7] and len(refused) == 2
    assert (metrics['frames_recorded'], metrics['frames_processed'], metrics['frames_refused']
            ) == (12, 10, 2)
    assert 'image.max_pixels' in metrics['definitions']['frames_refused']
    # Without the limit only the frame that is cut off is missing.
    metrics = evaluate(bag, detector)
    assert (metrics['frames_processed'], metrics['frames_refused']) == (11, 1)


def test_a_recording_without_any_usable_frame_is_an_error(tmp_path, detector):
    bag = CameraBag(write_jpegs(tmp_path / 'bag', [(90, 160)] * 3, damaged=(0, 1, 2)))
    with pytest.raises(BagError, match='0 of 3 frames could be processed; the first: .*frame 0'):
        evaluate(bag, detector)


def test_labels_after_a_refused_frame_are_still_used(tmp_path, detector):
    bag = CameraBag(write_bag(tmp_path / 'bag', 12))
    decode = bag.decode

    def refuse_two(frame, *limits):
        if frame.index in (1, 5):
            raise BagError('refused')
        return decode(frame, *limits)
    bag.decode = refuse_two
    metrics = evaluate(bag, detector)
    assert (metrics['frames_processed'], metrics['frames_refused']) == (10, 2)
    assert (metrics['frames_labelled'], metrics['labels']) == (12, 12)
    assert metrics['pixel_ap'] > 0.9 and metrics['anomalies_alerted'] == 1
