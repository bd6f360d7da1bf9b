# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A replay meets nobody else in its domain, destroys no input, and ends whole (needs rclpy)."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
import uuid

from bags import START_NS, write_bag, write_jpegs
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402, I100
import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.time import Time  # noqa: E402
from rosbags.rosbag2 import Reader  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.evaluation.bag_reader import stamp_of  # noqa: E402
from vl4ad_ros.evaluation.message_types import typestore  # noqa: E402
from vl4ad_ros.replay import (  # noqa: E402
    camera_replay, node_process, replay_and_report, session)

FRAMES = 24


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """Return two bags that differ in length, transport and what they show."""
    folder = tmp_path_factory.mktemp('bags')
    return (write_bag(folder / 'raw', FRAMES),
            write_bag(folder / 'jpeg', FRAMES + 9, compressed=True, size=(120, 160)))


def replay(bag, bundle, out, *more, mark=None):
    """Start `vl4ad replay` as a process."""
    return subprocess.Popen(
        [sys.executable, '-m', 'vl4ad_ros.cli', 'replay', str(bag), '--bundle', str(bundle),
         '--out', str(out), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **({'MARK': mark} if mark else {})},
        # A shell lets what it starts in the background ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))


def marked(mark):
    """Return the processes that have a mark in their environment."""
    found = []
    for process in Path('/proc').glob('[0-9]*'):
        try:
            if mark.encode() in (process / 'environ').read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found


def until(condition, what, seconds=60):
    """Wait until something is the case."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f'waited {seconds} s in vain for {what}'
        time.sleep(0.1)


def playing(out, process):
    """Wait until a replay's node takes images."""
    log = out / '.partial' / 'new' / 'node.log'
    until(lambda: process.poll() is not None or (
        log.is_file() and 'taking images' in log.read_text()), 'the node')
    assert process.poll() is None, process.communicate()


class Stranger:
    """Another vehicle in the domain: camera topic, clock, and a node called as ours, all busy."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('stranger', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard = []
        for kind, topic in ((Image, '/camera/image'), (Image, '/image'),
                            (DiagnosticArray, '/diagnostics'), (Clock, '/clock')):
            self.node.create_subscription(kind, topic, self._hear, 10)
        self.out = {topic: self.node.create_publisher(kind, topic, 10) for kind, topic in (
            (Detection2DArray, '/vl4ad_detector/detections'), (Clock, '/clock'),
            (Detection2DArray, '/vl4ad_detector/alerts'), (DiagnosticArray, '/diagnostics'))}

    def _hear(self, message):
        mine = isinstance(message, Clock) and message.clock.sec == 5 or (
            isinstance(message, DiagnosticArray) and message.header.frame_id == 'stranger')
        if not mine:
            self.heard.append(message)

    def act(self):
        """Publish answers to every frame of the bags, a clock and diagnostics; listen."""
        for i in range(FRAMES):
            header = Time(nanoseconds=START_NS + i * 10**8).to_msg()
            for name in ('detections', 'alerts'):
                message = Detection2DArray()
                message.header.stamp, message.header.frame_id = header, 'camera_optical'
                self.out[f'/vl4ad_detector/{name}'].publish(message)
        self.out['/clock'].publish(Clock(clock=Time(seconds=5).to_msg()))
        status = DiagnosticStatus(name='vl4ad_detector: image', values=[
            KeyValue(key='backend', value='stranger'), KeyValue(key='bad', value='7')])
        message = DiagnosticArray(status=[status])
        message.header.frame_id = 'stranger'
        self.out['/diagnostics'].publish(message)
        self.executor.spin_once(timeout_sec=0.05)

    def close(self):
        """Leave."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def test_replays_at_once_and_strangers_do_not_mix(domain, bags, mock_bundle, tmp_path, capsys):
    expected = []
    for bag in bags:
        assert cli.main(['evaluate', str(bag), '--bundle', str(mock_bundle)]) == 0
        expected.append(json.loads(capsys.readouterr().out))
    stranger = Stranger()
    try:
        processes = [replay(bag, mock_bundle, tmp_path / bag.name, '--lockstep') for bag in bags]
        while any(process.poll() is None for process in processes):
            stranger.act()
        assert not stranger.heard
    finally:
        stranger.close()
    for process, bag, figures in zip(processes, bags, expected):
        assert process.wait() == 0, process.communicate()
        metrics = json.loads((tmp_path / bag.name / 'metrics.json').read_text())
        # A replay also says why what depends on real time is undefined.
        assert figures.pop('undefined').items() <= metrics['undefined'].items()
        # The times to an alert depend on real time.
        for name in set(figures) - {'definitions', 'time_to_alert_s', 'alerts_by_size'}:
            assert metrics[name] == figures[name], name
        with Reader(tmp_path / bag.name / 'result_bag') as reader:
            stamps = {}
            for connection, _, cdr in reader.messages():
                stamps.setdefault(connection.topic, []).append(stamp_of(cdr))
        # Recorded stamps; and the node's own clock, which diagnostics show, is the recording's.
        recorded = [START_NS + i * 10**8 for i in range(metrics['frames_published'])]
        assert stamps['/vl4ad_detector/detections'] == recorded
        assert stamps['/camera/image/compressed'] == recorded
        assert any(START_NS <= stamp <= recorded[-1] for stamp in stamps['/diagnostics'])
        assert 5 * 10**9 not in stamps['/diagnostics']


def test_a_namespace_that_another_replay_uses_is_refused(domain, bags, mock_bundle, tmp_path,
                                                         capsys):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('other', context=context, namespace='/night')
    try:
        node.create_publisher(Clock, 'clock', 1)
        assert cli.main(['replay', str(bags[0]), '--bundle', str(mock_bundle), '--out',
                         str(tmp_path / 'out'), '--namespace', 'night']) == 1
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert 'another replay runs in the namespace /night; choose' in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'metrics.json').exists()


def test_a_killed_replay_takes_its_node_along_and_runs_again(domain, bags, mock_bundle, tmp_path):
    mark, out = uuid.uuid4().hex, tmp_path / 'out'
    process = replay(bags[0], mock_bundle, out, '--rate', '0.1', mark=mark)
    playing(out, process)
    assert len(marked(mark)) >= 2
    process.kill()
    process.communicate()
    until(lambda: not marked(mark), 'the node to end', 30)
    assert (out / '.partial').exists()
    process = replay(bags[0], mock_bundle, out, '--lockstep')
    assert process.wait(60) == 0, process.communicate()
    process.communicate()
    assert json.loads((out / 'metrics.json').read_text())['frames_processed'] == FRAMES
    assert not [p for p in out.iterdir() if p.name.startswith('.')]


def test_two_signals_leave_the_old_report_and_no_process(domain, bags, mock_bundle, tmp_path):
    mark, out = uuid.uuid4().hex, tmp_path / 'out'
    out.mkdir()
    (out / 'metrics.json').write_text('{"old": 1}')
    process = replay(bags[0], mock_bundle, out, '--rate', '0.1', mark=mark)
    playing(out, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and said.strip() == 'vl4ad: stopped'
    assert not marked(mark)
    assert {p.name: p.read_text() for p in out.iterdir()} == {'metrics.json': '{"old": 1}'}


def children():
    """Return the command lines of this process's children."""
    found = []
    for process in Path('/proc').glob('[0-9]*'):
        try:
            if f'\nPPid:\t{os.getpid()}\n' in (process / 'status').read_text():
                found.append((process / 'cmdline').read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.parametrize('owner, name, old', [
    (node_process.NodeProcess, 'stop', True), (replay_and_report, 'write_report', True),
    (replay_and_report.Path, 'rename', False)])
def test_a_signal_in_the_last_second(domain, bags, mock_bundle, tmp_path, capsys, monkeypatch,
                                     owner, name, old):
    """SIGTERM while the node stops, while the report is written, while it moves into place."""
    before, out = children(), tmp_path / 'out'
    out.mkdir()
    (out / 'metrics.json').write_text('{"old": 1}')
    original, sent = getattr(owner, name), []

    def disturbed(*args, **kwargs):
        if not sent:
            sent.append(name)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **kwargs)
    monkeypatch.setattr(owner, name, disturbed)
    bag = write_bag(tmp_path / 'bag', 8)
    code = cli.main(['replay', str(bag), '--bundle', str(mock_bundle), '--out', str(out),
                     '--lockstep'])
    monkeypatch.undo()
    assert sent and code == 130
    assert capsys.readouterr().err.strip() == 'vl4ad: stopped'
    assert children() == before
    metrics = json.loads((out / 'metrics.json').read_text())
    if old:
        assert metrics == {'old': 1} and len(list(out.iterdir())) == 1
    else:
        assert metrics['frames_processed'] == 8 and {p.name for p in out.iterdir()} == {
            'metrics.json', 'overlay.mp4', 'contact_sheet.png', 'result_bag', 'node.log'}


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('body', [
    'exec("interrupt()", {"interrupt": interrupt})',  # as dataclasses are made
    'try:\n        interrupt()\n    except KeyboardInterrupt:\n        raise ImportError("C")'])
def test_a_signal_while_modules_are_imported(tmp_path, number, body):
    (tmp_path / 'program.py').write_text(f"""
import os, sys
from vl4ad_ros import cli

def interrupt():
    os.kill(os.getpid(), {int(number)})

def run(options):
    {body}

cli.Candidate.load = lambda self, name: cli.Verb(lambda parser: None, run)
sys.argv = ['vl4ad', 'replay']
sys.exit(cli.main())
""")
    done = subprocess.run([sys.executable, '-m', 'program'], capture_output=True, text=True,
                          cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (130, 'vl4ad: stopped\n')


def test_a_signal_while_the_interpreter_ends_changes_nothing():
    code = ('import atexit, os, signal, sys\n'
            'from vl4ad_ros import cli\n'
            'atexit.register(lambda: [os.kill(os.getpid(), n) for n in (2, 15)])\n'
            'sys.argv = ["vl4ad", "vocabulary", "show"]\n'
            'sys.exit(cli.main())')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


def test_a_replay_of_its_own_result_is_refused_before_anything(mock_bundle, tmp_path, capsys,
                                                               monkeypatch):
    monkeypatch.chdir(tmp_path)
    bag = write_bag(tmp_path / 'out' / 'replay' / 'result_bag', 4)
    before = sorted(tmp_path.rglob('*'))
    Path('link').symlink_to(bag)
    for given in (bag, 'link', next(bag.glob('*.mcap'))):
        assert cli.main(['replay', str(given), '--bundle', str(mock_bundle)]) == 1
        said = capsys.readouterr()
        assert 'could be overwritten; choose another folder with --out' in said.err
        assert not said.out
    assert cli.main(['replay', str(bag), '--out', str(bag / 'new')]) == 1
    assert 'lies in the input' in capsys.readouterr().err
    Path('link').unlink()
    assert sorted(tmp_path.rglob('*')) == before


def test_what_is_no_report_is_not_replaced(tmp_path, capsys):
    bag = write_bag(tmp_path / 'bag', 4)
    (tmp_path / 'out' / 'result_bag').mkdir(parents=True)
    assert cli.main(['replay', str(bag), '--out', str(tmp_path / 'out')]) == 1
    assert 'is not a bag; move it to another place' in capsys.readouterr().err


def test_lockstep_goes_on_after_frames_that_cannot_be_read(domain, mock_bundle, tmp_path,
                                                           capsys):
    """All stamps are the same, two frames are cut off, and each answer has its own frame."""
    store = typestore()
    path = write_jpegs(tmp_path / 'bag', [(90 + 2 * i, 160) for i in range(9)], damaged=(0, 5),
                       stamps_ns=[0] * 9)
    assert cli.main(['replay', str(path), '--bundle', str(mock_bundle), '--lockstep', '--out',
                     str(tmp_path / 'out')]) == 0
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert (metrics['frames_published'], metrics['frames_processed'],
            metrics['frames_refused']) == (9, 7, 2)
    assert '7 of 9 processed, 2 refused' in capsys.readouterr().out
    with Reader(tmp_path / 'out' / 'result_bag') as reader:
        masks = [store.deserialize_cdr(cdr, 'sensor_msgs/msg/Image').height
                 for c, _, cdr in reader.messages() if c.topic == '/vl4ad_detector/mask']
    assert masks == [90 + 2 * i for i in (1, 2, 3, 4, 6, 7, 8)]


def test_a_frame_without_an_answer_is_named(domain, bags, mock_bundle, tmp_path, capsys,
                                            monkeypatch):
    monkeypatch.setattr(session, 'ANSWER_TIMEOUT_S', 1.0)
    monkeypatch.setattr(camera_replay.AnswerMatcher, 'answer', lambda *_: None)
    assert cli.main(['replay', str(bags[0]), '--bundle', str(mock_bundle), '--lockstep', '--out',
                     str(tmp_path / 'out')]) == 1
    said = capsys.readouterr().err
    assert f'did not answer frame 0 (stamp {START_NS / 1e9:.3f}) within 1 s' in said
    assert 'its last output' in said and 'Traceback' not in said
