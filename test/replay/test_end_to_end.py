# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node in its own process, fed over DDS: what a user of `vl4ad replay` gets."""

import json
import shutil
import subprocess

from bags import write_bag
import pytest
from rosbags.rosbag2 import Reader

pytest.importorskip('rclpy', reason='needs ROS 2')
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.evaluation.bag_reader import CameraBag  # noqa: E402
from vl4ad_ros.evaluation.message_store import MessageStore  # noqa: E402
from vl4ad_ros.replay import node_process, session  # noqa: E402

FRAMES = 30


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return a bag of 3 s with ground truth."""
    return write_bag(tmp_path_factory.mktemp('bags') / 'bag', FRAMES)


def test_replay_writes_the_report(bag, mock_bundle, tmp_path, capsys):
    out, bundle = tmp_path / 'out', tmp_path / "a model's folder"
    shutil.copytree(mock_bundle, bundle)
    assert cli.main(['replay', str(bag), '--bundle', str(bundle), '--out', str(out),
                     '--namespace', 'by/night']) == 0
    said = capsys.readouterr().out
    for words in ('raised   #', 'after anomaly 300 appeared', '1 of 1 alerted'):
        assert words in said
    metrics = json.loads((out / 'metrics.json').read_text())
    needed = {'frames_published', 'frames_processed', 'age_ms', 'pixel_ap', 'fpr95', 'anomalies',
              'anomalies_alerted', 'time_to_alert_s', 'false_alerts', 'model', 'backend',
              'ros_distro'}
    assert needed <= set(metrics)
    assert metrics['frames_published'] == FRAMES
    assert metrics['frames_processed'] >= 0.8 * FRAMES
    assert 0 < metrics['age_ms']['p50'] <= metrics['age_ms']['p95'] <= metrics['age_ms']['max']
    assert metrics['pixel_ap'] > 0.9
    assert (metrics['anomalies'], metrics['anomalies_alerted']) == (1, 1)
    assert 0.2 < metrics['time_to_alert_s'] < 2
    assert metrics['false_alerts'] == 0
    assert metrics['model'] == 'mock' and metrics['backend'] in ('onnxruntime', 'openvino')
    assert 'not for driving' in metrics['notice']
    with Reader(out / 'result_bag') as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts['/vl4ad_detector/detections'] == metrics['frames_processed']
    withheld = counts['/vl4ad_detector/detections'] - counts['/vl4ad_detector/alerts']
    assert withheld == metrics['frames_unknown'] >= 4
    assert counts['/vl4ad_detector/mask'] >= 0.8 * FRAMES
    names = {p.name for p in out.iterdir()}
    assert names == {'metrics.json', 'overlay.mp4', 'contact_sheet.png', 'result_bag', 'node.log'}


def test_two_cameras_go_through_one_node_and_have_a_report_each(mock_bundle, tmp_path, capsys):
    bag = write_bag(tmp_path / 'bag', 15, topics=('/front/image_raw', '/left/image_raw'),
                    truth_of='left')
    (tmp_path / 'own.yaml').write_text('/**: {ros__parameters: {front: {threshold: 1.0}}}')
    out = tmp_path / 'out'
    assert cli.main(['replay', str(bag), '--topic', '/front/image_raw', '--topic',
                     '/left/image_raw', '--bundle', str(mock_bundle), '--lockstep', '--params',
                     str(tmp_path / 'own.yaml'), '--out', str(out)]) == 0
    assert 'left:' in capsys.readouterr().out
    front, left = (json.loads((out / name / 'metrics.json').read_text())
                   for name in ('front', 'left'))
    assert front['frames_processed'] == left['frames_processed'] == 15
    assert (front['alerts'], left['alerts']) == (0, 1)  # by the front camera's own threshold
    assert left['anomalies_alerted'] == 1 and 'anomalies' not in front
    assert (out / 'front' / 'node.log').read_bytes() == (out / 'left' / 'node.log').read_bytes()
    with Reader(out / 'left' / 'result_bag') as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts['/vl4ad_detector/left/mask'] == 15
    assert '/vl4ad_detector/front/mask' not in counts and '/vl4ad_detector/obstacles' in counts
    assert len(json.loads((out / 'summary.json').read_text())['recordings']) == 2


def test_compressed_bag_without_truth(mock_bundle, tmp_path, capsys):
    bag = write_bag(tmp_path / 'bag', 15, compressed=True, truth=False, storage='sqlite3')
    arguments = ['replay', str(bag), '--bundle', str(mock_bundle), '--out', str(tmp_path / 'out')]
    assert cli.main(arguments) == 0
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['frames_processed'] >= 12 and metrics['alerts'] == 1
    assert not {'pixel_ap', 'fpr95', 'anomalies', 'false_alerts'} & set(metrics)


def test_a_node_that_dies_is_reported_with_its_last_words(
        bag, mock_bundle, tmp_path, monkeypatch):
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)
    monkeypatch.setattr(node_process.subprocess, 'Popen', Popen)
    messages = MessageStore(tmp_path)
    with pytest.raises(session.SessionError,
                       match='(?s)ended unexpectedly .signal 9.*Sees colours'):
        session.replay(CameraBag(bag), None, messages, tmp_path / 'log',
                       session.SessionOptions(str(mock_bundle)),
                       on_result=lambda result: started[0].kill())
    messages.close()


def test_a_bundle_that_is_not_there_is_one_message(bag, tmp_path, capsys):
    old = tmp_path / 'out' / 'metrics.json'
    old.parent.mkdir()
    old.write_text('{}')
    code = cli.main(['replay', str(bag), '--bundle', str(tmp_path / 'none'),
                     '--out', str(tmp_path / 'out')])
    said = capsys.readouterr().err
    assert code == 1 and 'failed to configure' in said and str(tmp_path / 'none') in said
    assert 'Traceback' not in said
    # The older report stays, and what the node said is kept beside it.
    assert old.read_text() == '{}' and {p.name for p in old.parent.iterdir()} == {
        'metrics.json', 'failed_node.log'}
    assert str(old.with_name('failed_node.log')) in said
