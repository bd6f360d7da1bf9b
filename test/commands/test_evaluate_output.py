# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad evaluate --out`: its files, that they repeat byte for byte, interruption, --resume."""

from html.parser import HTMLParser
import json
import signal

from bags import scene, START_NS, write_bag, write_jpegs, write_video
import jsonschema
import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from vl4ad_ros import cli
from vl4ad_ros.commands import evaluate_recordings
from vl4ad_ros.commands.recording_jobs import run_jobs
from vl4ad_ros.evaluation.bag_reader import stamp_of
from vl4ad_ros.evaluation.evaluation_folder import read_evaluation, SCHEMA
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.offline_bag import OfflineBag
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    """Return two bags with ground truth."""
    folder = tmp_path_factory.mktemp('recordings')
    return [write_bag(folder / 'long', 14), write_bag(folder / 'short', 8, compressed=True)]


@pytest.fixture(scope='module')
def evaluate(mock_bundle):
    """Return a function that runs the verb with an output folder and returns its exit status."""
    def run(out, *arguments):
        return cli.main(['evaluate', *map(str, arguments), '--bundle', str(mock_bundle), '--out',
                         str(out)])
    return run


@pytest.fixture(scope='module')
def evaluated(recordings, evaluate, tmp_path_factory):
    """Return the folder of an evaluation of both recordings."""
    out = tmp_path_factory.mktemp('evaluated') / 'out'
    assert evaluate(out, *recordings) == 0
    return out


def repeatable(out):
    """Return the bytes of all files that must not differ between runs, by their path."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob('*'))
            if path.is_file() and path.name not in ('run.json', 'report.html')}


def test_three_runs_are_equal_byte_for_byte(recordings, evaluated, evaluate, tmp_path):
    first = repeatable(evaluated)
    assert {'metrics.json', 'recordings/long/result_bag/result_bag.mcap',
            'recordings/short/result_bag/metadata.yaml'} <= set(first)
    for name in ('second', 'third'):
        assert evaluate(tmp_path / name, *recordings) == 0
        assert repeatable(tmp_path / name) == first
    # What differs from run to run is in a file of its own.
    run = json.loads((evaluated / 'run.json').read_text())
    assert {'date', 'seconds', 'host', 'machine', 'command'} <= set(run)
    assert run['host'] not in (evaluated / 'metrics.json').read_text().split('"')
    # Another threshold gives other bytes, so the comparison above means something.
    (tmp_path / 'p.yaml').write_text('/**: {ros__parameters: {threshold: 0.1}}')
    assert evaluate(tmp_path / 'other', recordings[0], '--params', tmp_path / 'p.yaml') == 0
    other = repeatable(tmp_path / 'other')
    name = 'recordings/long/result_bag/result_bag.mcap'
    assert other[name] != first[name] and other['metrics.json'] != first['metrics.json']


def test_metrics_fit_their_schema(evaluated, recordings, evaluate, tmp_path):
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    metrics = json.loads((evaluated / 'metrics.json').read_text())
    validator.validate(metrics)
    for change in ({'schema_version': 2}, {'extra': 1}, {'model_digest': ''},
                   {'total': {**metrics['total'], 'pixel_ap': 'high'}},
                   {'recordings': [{**metrics['recordings'][0], 'fpr95': 1.5}]},
                   {'recordings': [{'recording': 'long'}]}):
        assert list(validator.iter_errors({**metrics, **change})), change
    # A recording without ground truth, and one that cannot be read.
    plain = write_bag(tmp_path / 'plain', 6, truth=False)
    assert evaluate(tmp_path / 'out', plain, tmp_path / 'absent') == 1
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    validator.validate(metrics)
    assert 'pixel_ap' not in metrics['recordings'][0] and 'error' in metrics['recordings'][1]
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'Longest alerts' in page and 'absent could not be evaluated' in page


def test_the_printed_json_does_not_change(recordings, evaluated, evaluate, tmp_path, capsys):
    bundle = json.loads((evaluated / 'metrics.json').read_text())
    assert evaluate(tmp_path / 'out', recordings[0]) == 0
    printed = json.loads(capsys.readouterr().out)
    own = dict(bundle['recordings'][0])
    assert own.pop('recording') == 'long' and own.pop('complete')
    assert own.items() <= printed.items()
    assert printed['frames_processed'] == 14 and printed['model'] == 'mock'


def test_the_result_bag_has_the_results_of_each_frame(evaluated):
    with Reader(evaluated / 'recordings' / 'long' / 'result_bag') as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        assert counts == {'/camera/image/compressed': 14, '/vl4ad_detector/mask': 14,
                          '/vl4ad_detector/score': 14, '/vl4ad_detector/detections': 14,
                          '/vl4ad_detector/alerts': 10, '/vl4ad_detector/obstacles': 0,
                          '/ground_truth/anomaly': 14}
        for connection, time_ns, cdr in reader.messages():
            assert stamp_of(cdr) == time_ns
            message = typestore().deserialize_cdr(cdr, connection.msgtype)
            label = scene((time_ns - START_NS) // 10**8)[1]
            if connection.topic == '/vl4ad_detector/score':
                score = message.data.view(np.float32)
                assert np.array_equal(score * 256, np.round(score * 256)) and score.max() <= 1
            elif connection.topic == '/ground_truth/anomaly':
                assert np.array_equal(message.data.reshape(label.shape), label)
            elif connection.topic == '/vl4ad_detector/alerts':
                assert all(d.header.frame_id == 'camera_optical' for d in message.detections)
                assert [d.results[1].hypothesis.class_id for d in message.detections] in (
                    [], ['cow'])


class Links(HTMLParser):
    """Collects all addresses of a page."""

    def __init__(self):
        super().__init__()
        self.found, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ('src', 'href', 'srcset', 'data', 'action', 'xlink:href'):
                self.found.append(value)
            if name == 'id':
                self.ids.append(value)
        assert tag not in ('script', 'iframe', 'object', 'embed')


def test_the_report_needs_no_other_file(evaluated):
    page = (evaluated / 'report.html').read_text()
    links = Links()
    links.feed(page)
    outside = [link for link in links.found if not link.startswith(('data:', '#'))]
    assert not outside and '@import' not in page and 'url(http' not in page
    assert {link[1:] for link in links.found if link.startswith('#')} <= set(links.ids)
    assert sum(link.startswith('data:image/jpeg') for link in links.found) >= 2
    assert page.count('<svg') == 6  # three curves, two timelines, and the times
    # Places are not known, so the table of alerts has no columns for them.
    assert '<th>highest score</th>' in page and '<th>nearest</th>' not in page
    assert 'ahead is up' not in page and 'from above' not in page
    for text in ('long', 'short', 'Worst misses', 'Sees colours only', 'prompts.known',
                 'threshold', 'numpy'):
        assert text in page


def test_stored_results_are_read_as_they_were(evaluated):
    metrics, stored = read_evaluation(evaluated)
    assert [s.result.name for s in stored] == ['long', 'short']
    pooled = PixelMetrics()
    for one in stored:
        pooled.add_counts(one.result.pixels)
    assert metrics['total']['pixel_ap'] == round(pooled.result().ap, 5)
    first = stored[0].result
    assert (first.objects[0].first_s, first.objects[0].pixels) == (0.3, 17 * 17)
    assert first.alerts[0].verdict == 'true' and first.complete
    assert [moment.kind for moment in first.moments] == ['miss']
    assert len(stored[0].run.frame_ms) == 14 and stored[0].run.seconds > 0


def stopped_at(monkeypatch, name, frames):
    """Send Ctrl-C while the frame with this number of a recording is being written."""
    add, begin, seen = OfflineBag.add, OfflineBag.__init__, []

    def remember(self, path, *arguments):
        seen.append([path.parent.name, 0])
        begin(self, path, *arguments)

    def count(self, done):
        seen[-1][1] += 1
        if seen[-1] == [name, frames]:
            signal.raise_signal(signal.SIGINT)
        add(self, done)
    monkeypatch.setattr(OfflineBag, '__init__', remember)
    monkeypatch.setattr(OfflineBag, 'add', count)
    return seen


def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(
        recordings, evaluated, evaluate, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    with monkeypatch.context() as patched:
        stopped_at(patched, 'short', 5)
        assert evaluate(out, *recordings) == 130
    assert '--resume goes on' in capsys.readouterr().err
    metrics, (long, short) = read_evaluation(out)
    jsonschema.validate(metrics, json.loads(SCHEMA.read_text()))
    assert long.result.complete and not short.result.complete
    assert short.result.figures['frames_processed'] == 5 == len(short.run.frame_ms)
    assert short.result.figures['duration_s'] == 0.5
    with Reader(short.folder / 'result_bag') as reader:
        assert {c.msgcount for c in reader.connections if 'mask' in c.topic} == {5}
    assert 'first 5 frames' in (out / 'report.html').read_text()
    with monkeypatch.context() as patched:
        seen = stopped_at(patched, '', 0)
        assert evaluate(out, *recordings, '--resume') == 0
    assert seen == [['short', 8]], 'only what was not finished is evaluated again'
    assert repeatable(out) == repeatable(evaluated)
    assert not list(out.rglob('*.partial*')) and not list(out.glob('.*'))
    # Other parameters give other results, so nothing is taken over.
    (tmp_path / 'p.yaml').write_text('/**: {ros__parameters: {threshold: 0.4}}')
    with monkeypatch.context() as patched:
        seen = stopped_at(patched, '', 0)
        assert evaluate(out, *recordings, '--resume', '--params', tmp_path / 'p.yaml') == 0
    assert seen == [['long', 14], ['short', 8]]


def test_ctrl_c_keeps_what_other_processes_have_completed(
        recordings, evaluated, evaluate, tmp_path, monkeypatch):
    def interrupted(work, jobs, model):
        """Act as if a worker had completed the second recording when Ctrl-C came."""
        assert [outcome.error for outcome in run_jobs(work, jobs[1:], model)] == [None]
        raise KeyboardInterrupt
        yield
    out = tmp_path / 'out'
    with monkeypatch.context() as patched:
        patched.setattr(evaluate_recordings, 'run_jobs', interrupted)
        assert evaluate(out, *recordings) == 130
    _, (short,) = read_evaluation(out)
    assert short.result.name == 'short' and short.result.complete
    assert json.loads((out / 'run.json').read_text())['left_out'] == ['long']
    assert 'Without a result: long.' in (out / 'report.html').read_text()
    assert evaluate(out, *recordings, '--resume') == 0
    assert repeatable(out) == repeatable(evaluated)


def test_ctrl_c_before_the_first_frame_leaves_no_results(
        recordings, evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr(OfflineBag, '__init__', lambda *arguments: signal.raise_signal(
        signal.SIGINT))
    assert evaluate(tmp_path / 'out', recordings[0]) == 130
    assert not (tmp_path / 'out' / 'metrics.json').exists()


def test_a_second_evaluation_replaces_the_first(recordings, evaluate, tmp_path):
    out = tmp_path / 'out'
    assert evaluate(out, recordings[1]) == 0
    (out / 'mine.txt').write_text('mine')
    assert evaluate(out, recordings[1], '--duration', '0.5') == 0
    assert json.loads((out / 'metrics.json').read_text())['total']['frames_processed'] == 6
    assert (out / 'mine.txt').read_text() == 'mine'


def test_what_is_not_an_evaluation_is_not_removed(recordings, evaluate, tmp_path, capsys):
    foreign = tmp_path / 'out' / 'recordings' / 'holiday'
    foreign.mkdir(parents=True)
    (foreign / 'video.mp4').write_text('precious')
    assert evaluate(tmp_path / 'out', recordings[0]) == 1
    assert 'is not a result of vl4ad evaluate' in capsys.readouterr().err
    assert (foreign / 'video.mp4').read_text() == 'precious'
    assert evaluate(recordings[0].parent, recordings[0]) == 1
    assert 'lies in the output folder' in capsys.readouterr().err
    assert cli.main(['evaluate', str(recordings[0]), '--resume']) == 1
    assert 'name it with --out' in capsys.readouterr().err
    with pytest.raises(ReportError, match='vl4ad evaluate RECORDING --out'):
        read_evaluation(tmp_path)


def test_recordings_of_one_name_and_videos_have_folders_of_their_own(evaluate, tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'b').mkdir()
    clips = [write_video(tmp_path / folder / 'clip.mp4', 6) for folder in 'ab']
    damaged = write_jpegs(tmp_path / 'bag', [(90, 160)] * 6, damaged=(2,))
    assert evaluate(tmp_path / 'out', *clips, damaged) == 0
    metrics, stored = read_evaluation(tmp_path / 'out')
    assert [s.result.name for s in stored] == ['clip.mp4', 'clip.mp4_2', 'bag']
    assert metrics['recordings'][2]['frames_refused'] == 1
    assert str(tmp_path) not in (tmp_path / 'out' / 'metrics.json').read_text()


def test_each_camera_of_a_recording_has_a_result_with_its_own_parameters(evaluate, tmp_path):
    topics = '/sensors/front/image_raw', '/left/image'
    bag = write_bag(tmp_path / 'drive', 6, topics=topics, truth_of='front')
    (tmp_path / 'own.yaml').write_text(
        '/**: {ros__parameters: {cameras: [front, left], left: {threshold: 1.0}}}')
    chosen = [argument for topic in topics for argument in ('--topic', topic)]
    assert evaluate(tmp_path / 'out', bag, *chosen, '--params', tmp_path / 'own.yaml') == 0
    _, stored = read_evaluation(tmp_path / 'out')
    front, left = (s.result for s in stored)
    assert (front.name, left.name) == ('drive_front', 'drive_left')
    assert front.figures['frames_labelled'] == 6 and 'frames_labelled' not in left.figures
    masks = []
    for result in (front, left):
        with Reader(tmp_path / 'out' / 'recordings' / result.name / 'result_bag') as reader:
            masks.append([typestore().deserialize_cdr(cdr, c.msgtype).data.any()
                          for c, _, cdr in reader.messages() if c.topic.endswith('/mask')])
    assert any(masks[0]) and not any(masks[1])


def test_two_topics_need_two_names(evaluate, tmp_path, capsys):
    bag = write_bag(tmp_path / 'drive', 4, topics=('/a/image', '/b/a/image'), truth=False)
    assert evaluate(tmp_path / 'out', bag, '--topic', '/a/image', '--topic', '/b/a/image') == 1
    assert "two image topics have the name 'a'" in capsys.readouterr().err
    assert evaluate(tmp_path / 'out', bag, '--topic', '/a/image', '--topic', 'b=/b/a/image') == 0
