# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a simulated replay, of which every figure is known."""

import dataclasses
import json

from bags import make_image, scene, START_NS, write_bag
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from vl4ad_ros.evaluation.alert_metrics import Alert, FrameResult
from vl4ad_ros.evaluation.bag_reader import CameraBag, LabelOptions, RAW, stamp_of
from vl4ad_ros.evaluation.figures import table
from vl4ad_ros.evaluation.message_store import MessageStore
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.recorded_run import RecordedRun
from vl4ad_ros.evaluation.report import write_report
from vl4ad_ros.evaluation.result_bag import write_result_bag
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.severity import COLOURS, Severity
from vl4ad_ros.replay.alert_printer import AlertPrinter

FRAMES, SENT_NS = 20, 1_800_000_000_000_000_000
ABOUT = {'model': 'mock', 'backend': 'none', 'ros_distro': 'jazzy'}
ALERT = Alert('1', 0.9, (60.0, 40.0, 16.0, 16.0), 'cow', 0.8)
STRAY = Alert('2', 0.6, (120.0, 60.0, 20.0, 20.0), 'dog', 0.5)


@pytest.fixture
def make_replay(tmp_path):
    """Return a function that makes a replay: frame 7 lost, alert from 6 on, a false one in 12."""
    stores = []

    def make(truth=True):
        bag = CameraBag(write_bag(tmp_path / 'bag', FRAMES, truth=truth))
        messages = MessageStore(tmp_path)
        stores.append(messages)
        results, sent, answers = [], {}, {}
        for i in range(FRAMES):
            sent[i], stamp = SENT_NS + i * 10**8, START_NS + i * 10**8
            if i == 7:
                continue
            label = scene(i)[1]
            images = {'mask': make_image(np.uint8(255) * (label == 1), 'mono8', stamp),
                      'score': make_image(np.float32(label == 1) * 0.8, '32FC1', stamp)}
            for name, message in images.items():
                cdr = bytes(typestore().serialize_cdr(message, RAW))
                entry = messages.append(f'/detector/{name}', sent[i] + 10**7, cdr)
            answers[i] = entry
            alerts = (ALERT,) * (i >= 6) + (STRAY,) * (i == 12)
            results.append(FrameResult(i, (50 + i) * 10**6, alerts))
        return RecordedRun(bag, bag.truth(), results, sent, answers, messages, '/detector', ABOUT)

    yield make
    for messages in stores:
        messages.close()


def test_metrics_with_truth(make_replay):
    metrics = make_replay().metrics()
    expected = {
        'frames_published': 20, 'frames_processed': 19, 'duration_s': 2.0, 'alerts': 2,
        'pixel_ap': 1.0, 'pixel_auroc': 1.0, 'fpr95': 0.0, 'anomalies': 1,
        'anomalies_alerted': 1, 'time_to_alert_s': 0.356, 'false_alerts': 1,
        'false_alerts_per_minute': 30.0, **ABOUT}
    assert {k: metrics[k] for k in expected} == expected
    assert metrics['age_ms'] == {'p50': 60.0, 'p95': 68.1, 'max': 69.0}
    assert metrics['frames_dropped_share'] == 0.05 and metrics['score_precision'] == 'float16'
    assert metrics['best_f1'] == 1.0 and metrics['anomalies_missed'] == 0
    assert metrics['alerts_by_size']['small']['alerted'] == 1
    # Each frame is judged by the score of the one before it, and the object grows meanwhile.
    assert 0.5 < metrics['streaming_ap'] < 1 and metrics['streaming_staleness_ms'] > 100
    assert metrics['way_km'] is None and 'Odometry' in metrics['undefined']['way_km']
    assert set(metrics['definitions']) <= set(metrics)
    for line in ('19 of 20 processed', 'AP 1.000', '1 of 1 alerted', '1 (30.0 per minute)'):
        assert line in table(metrics)


def test_in_lockstep_nothing_streams(make_replay):
    replay = make_replay()
    metrics = dataclasses.replace(replay, about={**ABOUT, 'lockstep': True}).metrics()
    assert metrics['streaming_ap'] is None and metrics['pixel_ap'] == 1.0
    assert '--lockstep' in metrics['undefined']['streaming_ap']


def test_without_object_ids_the_pixels_are_still_scored(make_replay):
    replay = make_replay()
    bag = CameraBag(replay.bag.path, labels=LabelOptions(object_topic='/none'))
    metrics = dataclasses.replace(replay, bag=bag, truth=bag.truth()).metrics()
    assert metrics['pixel_ap'] == 1.0 and metrics['false_alerts'] == 1
    assert not {'anomalies', 'time_to_alert_s', 'known_flagged'} & set(metrics)


def test_without_truth_what_needs_it_is_absent(make_replay):
    metrics = make_replay(truth=False).metrics()
    absent = {'pixel_ap', 'pixel_auroc', 'fpr95', 'anomalies', 'anomalies_alerted',
              'time_to_alert_s', 'false_alerts', 'false_alerts_per_minute'}
    assert not absent & (set(metrics) | set(metrics['definitions']))
    assert metrics['frames_processed'] == 19 and metrics['alerts'] == 2
    assert 'AP' not in table(metrics) and 'false' not in table(metrics)


@pytest.mark.parametrize('truth', [True, False])
def test_report_files(make_replay, tmp_path, truth):
    files = write_report(make_replay(truth), tmp_path, 'A title')
    assert json.loads(files['metrics'].read_text())['frames_published'] == FRAMES
    sheet = cv2.imread(str(files['contact sheet']))
    assert sheet.shape[1] == (4 if truth else 3) * 474 + 14
    assert sheet.std() > 10
    video = cv2.VideoCapture(str(files['video']))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    assert len(frames) == FRAMES and frames[0].shape[1] == 960
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    yellow = np.abs(frames[10][:-40].astype(int) - (0, 196, 255)).sum(axis=2) < 60
    assert yellow.sum() > 200 and not np.abs(
        frames[2][:-40].astype(int) - (0, 196, 255)).sum(axis=2).min() < 60


def test_places_are_shown_from_above(make_replay, tmp_path):
    replay = make_replay()
    place = Placement(23.0, 1.0, (4.0, 0.0, 0.2), 0.04, 1.0, 1.0)
    placed = dataclasses.replace(ALERT, place=place, severity=Severity('critical'))
    results = [dataclasses.replace(result, alerts=tuple(
        placed if alert is ALERT else alert for alert in result.alerts))
        for result in replay.results]
    files = write_report(dataclasses.replace(replay, results=results), tmp_path, 'A title')
    sheet = cv2.imread(str(files['contact sheet']))
    assert sheet.shape[1] == 5 * 474 + 14  # without places it has four columns
    above = sheet[:, 4 * 474 + 14:, ::-1]
    assert (above == COLOURS['critical']).all(axis=2).any()
    lines = []
    AlertPrinter(replay.bag.times_ns, None, lines.append).add(results[6])
    assert lines == ['   0.6 s  raised   #1 cow, 23 m, critical, 16 x 16 px at (68, 48)']


def test_result_bag(make_replay, tmp_path):
    replay = make_replay()
    write_result_bag(replay, tmp_path / 'result')
    with Reader(tmp_path / 'result') as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        assert counts['/camera/image/compressed'] == 20
        assert counts['/detector/mask'] == counts['/detector/score'] == 19
        for connection, time_ns, cdr in reader.messages():
            message = typestore().deserialize_cdr(cdr, connection.msgtype)
            if connection.topic == '/detector/score':
                assert message.data.view(np.float32).max() in (0, np.float32(np.float16(0.8)))
            # Recorded stamps and times: an answer comes 10 ms after its frame.
            after_ns = 10**7 if connection.topic.startswith('/detector') else 0
            assert time_ns - stamp_of(cdr) == after_ns and stamp_of(cdr) - START_NS < 2 * 10**9


def test_answers_keep_the_time_of_the_recording_at_any_rate(make_replay):
    replay = make_replay()
    assert replay.bag_time_ns(SENT_NS - 10**9) == START_NS - 10**9
    fast = dataclasses.replace(replay, about={**ABOUT, 'rate': 4.0},
                               sent_ns={i: SENT_NS + i * 25 * 10**6 for i in range(FRAMES)})
    assert fast.bag_time_ns(SENT_NS + 3 * 25 * 10**6 + 10**6) == START_NS + 304 * 10**6
    # A frame that waited for the answer to the one before does not come before that answer.
    slow = dataclasses.replace(replay, sent_ns={i: SENT_NS + i * 10**9 for i in range(FRAMES)})
    assert slow.bag_time_ns(SENT_NS + 5 * 10**8) == START_NS + 10**8


def test_live_lines(make_replay):
    replay, lines = make_replay(), []
    printer = AlertPrinter(replay.bag.times_ns, replay.truth, lines.append)
    for result in replay.results:
        printer.add(result)
    assert lines == [
        '   0.6 s  raised   #1 cow, 16 x 16 px at (68, 48), 0.36 s after anomaly 300 appeared',
        '   1.2 s  raised   #2 dog, 20 x 20 px at (130, 70), no object is there so far',
        '   1.3 s  cleared  #2 dog, after 0.1 s']


def test_live_lines_without_truth_do_not_judge(make_replay):
    replay, lines = make_replay(truth=False), []
    printer = AlertPrinter(replay.bag.times_ns, None, lines.append)
    for result in replay.results:
        printer.add(result)
    assert lines[1] == '   1.2 s  raised   #2 dog, 20 x 20 px at (130, 70)'
