# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad calibrate`: its counts are those of `evaluate`, and the node takes its file."""

import json

from bags import write_bag
import pytest

from vl4ad_ros import cli
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.evaluation.threshold_sweep import Candidate, sweep
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.settings import read_parameter_file, ROWS, Settings


@pytest.fixture
def calibrate(mock_bundle, capsys, tmp_path):
    """Return a function that runs the verb; it returns exit status, both outputs and the file."""
    def run(*arguments):
        file = tmp_path / 'new' / 'calibrated.yaml'
        code = cli.main(['calibrate', *map(str, arguments), '--bundle', str(mock_bundle),
                         '--out', str(file)])
        said = capsys.readouterr()
        return code, said.out, said.err, file
    return run


@pytest.mark.parametrize('truth', [True, False])
def test_the_counts_are_those_of_an_evaluation_with_the_same_limits(tmp_path, mock_bundle, truth):
    bag = CameraBag(write_bag(tmp_path / 'bag', 12, truth=truth))
    tried = [Candidate(t, area) for t, area in (
        (0.99, 0.0005), (0.5, 0.0005), (0.5, 0.05), (0.02, 0.0005), (0.0, 0.0))]
    detector = Detector.open(mock_bundle, options=BackendOptions(threads=1))
    counts = sweep('bag', bag, detector, Settings(), tried)
    for index, one in enumerate(tried):
        metrics = evaluate(bag, detector, Settings().changed(
            {'threshold': one.threshold, 'region.min_area': one.min_area}))
        assert counts.false_alerts[index] == metrics['false_alerts' if truth else 'alerts'], one
        assert counts.found[:, index].sum() == metrics.get('anomalies_alerted', 0), one
    detector.close()
    assert counts.frames == 12 and counts.found.shape == (int(truth), len(tried))
    # Alerts are not known in the first four of the 12 frames, which take 1.2 s.
    assert counts.seconds == pytest.approx(0.8)


def test_the_node_takes_the_file_and_counts_what_it_states(tmp_path, calibrate, capsys):
    bags = [write_bag(tmp_path / 'one', 12), write_bag(tmp_path / 'two', 8)]
    params = tmp_path / 'detector.yaml'
    params.write_text("/**: {ros__parameters: {prompts.anomaly: ['cow', 'box: \"brown\"'], "
                      'alert: {confirm_window: 4}}}')
    code, said, _, file = calibrate(*bags, '--false-alerts-per-hour', '10000', '--params', params)
    assert code == 0 and 'false alerts in 0.000 h' in said
    values = read_parameter_file(file)
    assert set(values) <= set(ROWS) and values['prompts.anomaly'] == ['cow', 'box: "brown"']
    assert values['alert.confirm_window'] == 4 and values['alert.confirm_hits'] == 3
    assert cli.main(['evaluate', str(bags[0]), '--params', str(file)]) == 0
    assert json.loads(capsys.readouterr().out)['false_alerts'] == 0
    comments = [line for line in file.read_text().splitlines() if line.startswith('#')]
    assert 'confidence 0.95' in ''.join(comments) and '12 frames' in ''.join(comments)


def test_several_workers_write_the_same_file(tmp_path, calibrate):
    bags = [write_bag(tmp_path / 'one', 12), write_bag(tmp_path / 'two', 8)]
    asked = ['--false-alerts-per-hour', '10000']
    *alone, file = calibrate(*bags, *asked)
    written = file.read_bytes()
    *with_two, file = calibrate(*bags, *asked, '--workers', '2')
    assert alone == with_two and file.read_bytes() == written


def test_too_little_is_said_and_nothing_is_written(tmp_path, calibrate):
    bag = write_bag(tmp_path / 'one', 12)
    for asked, message in ((['--false-alerts-per-hour', '1'], 'Record 2.996 h more'),
                           (['--recall', '0.9'], 'needs at least 9')):
        code, said, error, file = calibrate(bag, *asked)
        assert code == 1 and message in error and not file.exists()
        assert 'at most per hour' in said  # The table is printed all the same.
    code, _, error, file = calibrate(bag, tmp_path / 'absent', '--recall', '0.9')
    assert code == 1 and '1 of 2 recordings cannot be used' in error and not file.exists()


@pytest.mark.parametrize('arguments', [
    [], ['--recall', '1'], ['--false-alerts-per-hour', '0'],
    ['--recall', '0.9', '--confidence', '0.4'],
    ['--recall', '0.9', '--false-alerts-per-hour', '1']])
def test_wrong_goals_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['calibrate', 'bag', *arguments])
    assert ended.value.code == 2 and '--' in capsys.readouterr().err
