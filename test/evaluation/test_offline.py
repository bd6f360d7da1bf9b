# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Offline evaluation of a bag whose answer is known."""

from bags import write_bag
import pytest

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector


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
