# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Result lines of driving_log_replayer_v2: what each frame and the whole recording say."""

import json

from bags import START_NS, write_bag
import pytest

from vl4ad_ros import cli


@pytest.fixture
def lines(mock_bundle, capsys):
    """Return a function that evaluates recordings; it returns the exit status and the lines."""
    def run(*arguments):
        code = cli.main(['evaluate', *map(str, arguments), '--bundle', str(mock_bundle),
                         '--format', 'dlr2'])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return run


def test_each_frame_has_a_line_and_the_last_one_has_the_result(tmp_path, lines):
    code, (condition, header, *frames, last) = lines(write_bag(tmp_path / 'bag', 12))
    assert code == 0 and len(frames) == 12 and condition['Condition']['Threshold'] == 0.5
    assert header == {'Result': {'Success': False, 'Summary': 'NoData'},
                      'Stamp': {'System': START_NS / 1e9}, 'Frame': {}}
    for index, line in enumerate(frames):
        assert set(line) == {'Result', 'Stamp', 'Frame'}
        assert line['Stamp'] == {'System': START_NS / 1e9 + index / 10,
                                 'ROS': START_NS / 1e9 + index / 10}
        assert line['Frame']['FrameName'] == str(index)
    # The object is there from frame 3 on, and alerted in frame 5.
    assert [line['Result']['Success'] for line in frames] == [True] * 3 + [False] * 2 + [True] * 7
    assert frames[4]['Result']['Summary'] == (
        'Failed: FalseAlerts (Success): 0, Anomalies (Fail): 0 / 1')
    assert frames[4]['Frame']['Anomalies']['Info'] == {
        'Visible': [300], 'Alerted': [], 'MissedSoFar': [300]}
    assert frames[3]['Frame']['Anomalies']['Result'] == {'Total': 'Fail', 'Frame': 'Unknown'}
    alert, = frames[5]['Frame']['Alerts']['Info']['Boxes']
    assert alert['Label'] == 'cow' and alert['Box'][2] >= 14
    assert frames[5]['Frame']['Anomalies']['Result'] == {'Total': 'Success', 'Frame': 'Success'}
    assert last['Result'] == {
        'Success': True, 'Summary': 'Passed: FalseAlerts (Success): 0, Anomalies (Success): 1 / '
        '1, Frames (Success): 12 / 12'}
    assert last['Frame']['Metrics']['anomalies_alerted'] == 1


def test_a_missed_object_and_a_false_alert_are_failures(tmp_path, lines):
    (tmp_path / 'truth.yaml').write_text(
        'windows: [{start: 0.0, end: 1.1, boxes: [[0, 70, 16, 16]], name: cow}]')
    code, found = lines(write_bag(tmp_path / 'bag', 12), '--labels', tmp_path / 'truth.yaml')
    assert code == 0 and not found[-1]['Result']['Success']
    assert 'FalseAlerts (Fail): 1, Anomalies (Fail): 0 / 1' in found[-1]['Result']['Summary']
    assert found[-2]['Frame']['FalseAlerts'] == {
        'Result': {'Total': 'Fail', 'Frame': 'Fail'}, 'Info': {'Total': 1, 'Ids': ['1']}}


def test_without_ground_truth_only_the_frames_can_be_judged(tmp_path, lines):
    path = write_bag(tmp_path / 'bag', 8, truth=False)
    code, (_, _, *frames, last) = lines(path)
    assert code == 0 and {line['Result']['Summary'] for line in frames} == {'Failed: NotTested'}
    assert last['Result'] == {'Success': True, 'Summary': 'Passed: Frames (Success): 8 / 8'}
    code, (*_, last) = lines(path, '--min-frames', '9')
    assert code == 1 and not last['Result']['Success']


def test_several_recordings_are_refused(tmp_path, lines):
    path = write_bag(tmp_path / 'bag', 1)
    assert lines(path, path) == (1, [])
