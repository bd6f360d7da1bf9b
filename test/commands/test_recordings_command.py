# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad evaluate` on parts, on several recordings, on images, and its exit status."""

import json

from bags import scene, write_bag, write_jpegs, write_video
import cv2
import pytest

from vl4ad_ros import cli
from vl4ad_ros.commands import recordings


@pytest.fixture
def evaluate(mock_bundle, capsys):
    """Return a function that runs the verb and returns its exit status, figures and stderr."""
    def run(*arguments):
        code = cli.main(['evaluate', *map(str, arguments), '--bundle', str(mock_bundle)])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err
    return run


def test_frames_and_labels_are_always_counted(tmp_path, evaluate):
    code, figures, said = evaluate(write_bag(tmp_path / 'bag', 12))
    assert code == 0 and figures['frames_processed'] == 12
    assert said.splitlines() == [
        f'vl4ad: {tmp_path / "bag"}: 12 of 12 frames of /camera/image used; labels matched: 12 '
        'of 12']
    assert 'notes' not in figures and 'frames_lost' not in figures


def test_a_part_is_evaluated(tmp_path, evaluate):
    path = write_bag(tmp_path / 'bag', 12)
    code, figures, said = evaluate(path, '--start', '0.4', '--duration', '0.5')
    assert code == 0 and figures['frames_recorded'] == figures['labels'] == 6
    assert figures['duration_s'] == pytest.approx(0.6)
    assert '6 of 6 frames of /camera/image used; labels matched: 6 of 6' in said


@pytest.mark.parametrize('arguments, code', [
    ([], 0), (['--skip-bad', '2'], 0), (['--skip-bad', '1'], 1), (['--skip-bad', '0'], 1),
    (['--min-frames', '10'], 0), (['--min-frames', '11'], 1),
    (['--min-frames', '11', '--skip-bad', '5'], 1)])
def test_the_exit_status_says_whether_enough_frames_were_used(tmp_path, evaluate, arguments, code):
    path = write_jpegs(tmp_path / 'bag', [(90, 160)] * 12, damaged=(4, 7))
    found, figures, said = evaluate(path, *arguments)
    assert found == code and figures['frames_processed'] == 10
    assert '10 of 12 frames of /camera/image/compressed used' in said
    assert ('error: ' in said) == bool(code)


def test_many_bad_frames_are_not_accepted_silently(tmp_path, evaluate):
    path = write_jpegs(tmp_path / 'bag', [(90, 160)] * 14, damaged=range(1, 12))
    assert evaluate(path)[0] == 1


@pytest.mark.parametrize('arguments', [
    ['--start', '-1'], ['--duration', '0'], ['--skip-bad', '-1'], ['--label-map', '1:7']])
def test_wrong_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['evaluate', 'bag', *arguments])
    assert ended.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_several_recordings_are_evaluated_each_by_itself(tmp_path, evaluate):
    paths = [write_bag(tmp_path / 'one', 12), tmp_path / 'absent', write_bag(tmp_path / 'two', 8)]
    alone = [evaluate(path)[1] for path in paths[::2]]
    code, figures, said = evaluate(*paths)
    first, absent, second = figures['recordings']
    assert code == 1 and 'there is no such file' in absent['error'] and absent['error'] in said
    for found, expected in zip((first, second), alone):
        assert {**expected, 'recording': found['recording']} == found
    total = figures['total']
    assert (total['recordings'], total['recordings_failed']) == (3, 1)
    assert total['frames_processed'] == 20 and total['anomalies'] == 2
    assert min(first['pixel_ap'], second['pixel_ap']) <= total['pixel_ap'] <= 1
    assert evaluate(*paths[::2])[0] == 0


def test_a_folder_of_images_and_labels_is_a_recording(tmp_path, evaluate):
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    for i in range(12):
        rgb, label, _ = scene(i)
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.png'), rgb[..., ::-1])
        cv2.imwrite(str(tmp_path / 'labels' / f'{i}_labels.png'), label)
    code, figures, said = evaluate(tmp_path / 'images', '--labels', tmp_path / 'labels')
    expected = evaluate(write_bag(tmp_path / 'bag', 12))[1]
    assert code == 0 and '10 Hz' in said and 'labels matched: 12 of 12' in said
    for name in ('frames_processed', 'pixel_ap', 'alerts', 'false_alerts'):
        assert figures[name] == expected[name], name
    code, figures, said = evaluate(tmp_path / 'images', '--labels', tmp_path / 'none')
    assert code == 1 and 'no ground truth at' in said and figures is None


def test_boxes_are_ground_truth_of_a_video(tmp_path, evaluate):
    (tmp_path / 'truth.yaml').write_text(
        'windows: [{start: 0.3, end: 1.1, boxes: [[60, 40, 16, 16]], name: cow}]')
    clip = write_video(tmp_path / 'clip.mp4', 12)
    code, figures, _ = evaluate(clip, '--labels', tmp_path / 'truth.yaml')
    assert code == 0 and (figures['anomalies'], figures['anomalies_alerted']) == (1, 1)


def test_what_is_wrong_is_in_the_figures_too(tmp_path, evaluate):
    path = write_bag(tmp_path / 'bag', 12)
    (path / 'metadata.yaml').write_text('{')
    code, figures, said = evaluate(path)
    note, = figures['notes']
    assert code == 0 and 'ros2 bag reindex' in note and f'vl4ad: warning: {note}' in said


def test_without_pyav_a_video_topic_says_what_to_install(tmp_path, evaluate, monkeypatch):
    def fail(*arguments):
        raise ModuleNotFoundError("No module named 'av'", name='av')
    monkeypatch.setattr(recordings, 'CameraBag', fail)
    code, _, said = evaluate(write_bag(tmp_path / 'bag', 1))
    assert code == 1 and 'pip install av' in said
