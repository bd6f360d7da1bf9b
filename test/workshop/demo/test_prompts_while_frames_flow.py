# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prompts set over DDS on the real node in its own process, while a bag plays (needs rclpy)."""

from contextlib import closing
import json

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from vl4ad_ros.evaluation.bag_reader import CameraBag  # noqa: E402
from vl4ad_ros.evaluation.message_store import MessageStore  # noqa: E402
from vl4ad_ros.evaluation.message_types import typestore  # noqa: E402
from vl4ad_ros.evaluation.recorded_run import ParameterCall  # noqa: E402
from vl4ad_ros.inference.detector import Detector  # noqa: E402
from vl4ad_ros.replay import session  # noqa: E402
from vl4ad_workshop.demo.second_act import Phase, SCRIPT, settings  # noqa: E402
from vl4ad_workshop.demo.show_second_act import show_second_act  # noqa: E402
from vl4ad_workshop.scenes.bag import write_drive  # noqa: E402
from vl4ad_workshop.scenes.camera import Camera  # noqa: E402
from vl4ad_workshop.scenes.drive import Anomaly, DriveFrame, label_things  # noqa: E402
from vl4ad_workshop.scenes.frame import Frame  # noqa: E402

GREY, ORANGE, RED = (128, 128, 128), (240, 140, 20), (200, 30, 30)
DETECTIONS = 'vision_msgs/msg/Detection2DArray'
FRAMES = round(10 * SCRIPT.phase_s * len(SCRIPT.phases))
PHASES = (Phase(''), Phase('', also_known=('cow',)), Phase('', ('cow',), ('truck',)))


class Squares:
    """The second act for a model that sees colours: an orange truck and a red cow, on grey."""

    anomalies = tuple(Anomaly(i, kind, '', 0., 0., 0., FRAMES / 10, (1., 1., 1.))
                      for i, kind in enumerate(SCRIPT.kinds, 1))
    rate_hz = 10.0

    def ego(self, seconds):
        return Camera((96, 160), 100.0, 79.5, 30.0, 1.4)

    def __len__(self):
        return FRAMES

    def draw(self, index):
        numbers = np.zeros((96, 160), np.uint16)
        numbers[32:64, 16:56], numbers[32:64, 96:136] = 1, 2
        image = np.array([GREY, ORANGE, RED], np.uint8)[numbers]
        frame = Frame(image, np.zeros(numbers.shape, np.int32), ('road',))
        return DriveFrame(frame, index * 10**8, *label_things(numbers, [1, 2]), np.eye(3))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return the bag of the squares, at 10 Hz."""
    return write_drive(Squares(), tmp_path_factory.mktemp('bags') / 'squares')


def test_each_frame_is_answered_with_one_set_of_prompts(bag, mock_bundle, tmp_path):
    """Frames go on while prompts change, and each score is that of one vocabulary throughout."""
    with closing(Detector.open(mock_bundle)) as detector:
        bundled = detector.default_vocabulary
        phases = [phase.prompts(bundled) for phase in PHASES]
        # The step in between, for the node takes parameters one by one.
        between = type(bundled)(bundled.known, phases[1].anomaly)
        sets = (phases[0], between, *phases[1:])
        image = Squares().draw(0).frame.image
        expected = [detector.detect(image, detector.encode(v)).score for v in sets]
    calls = (ParameterCall(2.0, settings(*phases[:2], bundled)),
             ParameterCall(4.0, settings(*phases[1:], bundled)))
    opened = CameraBag(bag)
    with closing(MessageStore(tmp_path)) as messages:
        replayed = session.replay(opened, opened.truth(), messages, tmp_path / 'log',
                                  session.SessionOptions(str(mock_bundle), calls=calls))
        assert len(replayed.sent_ns) == FRAMES
        # On a busy machine frames are lost; a node that stood still would lose a second of them.
        assert max(np.diff([0, *sorted(replayed.by_index), FRAMES])) < 10
        heard, names = [], {}
        for index in sorted(replayed.by_index):
            gaps = [np.abs(replayed.score(index) - e).max() for e in expected]
            assert min(gaps) < 1e-3, f'frame {index} fits no set of prompts: {gaps}'
            heard.append(int(np.argmin(gaps)))
            cdr = messages.read(replayed.answers[index])
            found = typestore().deserialize_cdr(cdr, DETECTIONS).detections
            names.setdefault(heard[-1], set()).add(
                tuple(d.results[-1].hypothesis.class_id for d in found))
        assert heard == sorted(heard) and {0, 2, 3} <= set(heard)
        assert names[0] == {('cow',)} and names[2] == {()} and len(*names[3]) == 1
        assert all(call.sent_ns < call.answered_ns for call in replayed.calls)


def test_the_second_act_is_added_to_the_report(bag, mock_bundle, tmp_path, capsys):
    (tmp_path / 'metrics.json').write_text('{"frames_processed": 7}')
    show_second_act(CameraBag(bag), tmp_path, SCRIPT,
                    session.SessionOptions(str(mock_bundle)))
    said = capsys.readouterr().out
    assert 'all scores follow the prompts' in said and 'NOT' not in said
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['frames_processed'] == 7
    act = metrics['second_act']
    assert act['prompts_followed'] and act['frames_published'] == FRAMES
    assert sum(phase['frames'] for phase in act['phases']) == FRAMES - act['frames_lost']
    for i, phase in enumerate(act['phases']):
        assert phase['frames'] >= 3
        for kind, state in phase['should_be'].items():
            assert (phase['median_score'][kind] > 0.5) == (state == 'anomalous')
        if i:
            assert abs(phase['call_s'] - 2 * i) < 0.5 and 0 < phase['latency_ms'] < 2000
    strip = cv2.imread(str(tmp_path / 'second_act.png'))
    assert strip.std() > 10
    video = cv2.VideoCapture(str(tmp_path / 'second_act.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    rows = (tmp_path / 'second_act.csv').read_text().splitlines()
    assert len(rows) == FRAMES + 1 - act['frames_lost']


def test_prompts_that_are_refused_end_the_replay_with_the_reason(bag, mock_bundle, tmp_path):
    calls = (ParameterCall(0.5, {'prompts.known': ['cow']}),)
    with closing(MessageStore(tmp_path)) as messages, pytest.raises(
            session.SessionError,
            match=r'(?s)did not accept parameters.*prompts.anomaly\[0\].*cow: cow'):
        session.replay(CameraBag(bag), None, messages, tmp_path / 'log',
                       session.SessionOptions(str(mock_bundle), rate=4.0, calls=calls))
