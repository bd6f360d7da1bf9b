# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: it starts quickly, and every error is one message and an exit code."""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys

from bags import write_bag, write_video
import pytest

from vl4ad_ros import cli
from vl4ad_ros.commands import Verb


def test_nothing_slow_is_imported_for_help():
    code = ('import sys; from vl4ad_ros import cli\n'
            'try: cli.main(["--help"])\n'
            'except SystemExit: pass\n'
            'slow = {"numpy", "cv2", "rclpy", "rosbags", "tqdm", "torch", "scipy"}\n'
            'sys.exit(str(slow & set(sys.modules)) if slow & set(sys.modules) else 0)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for verb in cli.find_verbs():
        assert verb in done.stdout


@pytest.mark.parametrize('verb', [
    'try', 'replay', 'evaluate', 'compare', 'calibrate', 'benchmark', 'compose',
    'bag-from-video', 'bench'])
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, '--help'])
    assert ended.value.code == 0 and '--debug' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, message', [
    ([], 'VERB'),
    (['fly'], 'invalid choice'),
    (['try'], 'PHOTO_OR_FOLDER_OR_VIDEO'),
    (['try', '--anomaly', 'cow', 'photo.jpg'], 'PHOTO_OR_FOLDER_OR_VIDEO'),
    (['replay'], 'RECORDING'),
    (['compare', 'a'], 'B'),
    (['compare', 'a', 'b', '--max-drop', '-1'], 'not a finite number of at least 0'),
    (['replay', 'x', '--rate', '0'], 'not a finite number above 0'),
    (['replay', 'x', '--rate', 'fast'], 'invalid'),
    (['bag-from-video', 'x'], '--out'),
    (['compose', 'x'], '--out'),
    (['benchmark', 'coda', '--root', 'x'], 'invalid choice'),
    (['benchmark', 'cityscapes'], '--root'),
    (['benchmark', 'cityscapes', '--root', 'x', '--recall', '0'], 'at most 1'),
])
def test_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_failure():
    process = subprocess.Popen([sys.executable, '-m', 'vl4ad_ros.cli', 'vocabulary', 'show'],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == '' and process.wait() == 0
    process.stderr.close()


@pytest.mark.parametrize('arguments, message', [
    (['replay', 'none'], "no recording at 'none'"),
    (['evaluate', 'none'], "no recording at 'none'"),
    (['bag-from-video', 'none', '--out', 'bag'], "no video at 'none'"),
])
def test_failures_are_one_line(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith('vl4ad: error: ') and message in said and said.count('\n') == 1
    with pytest.raises(ValueError, match=message):
        cli.main([*arguments, '--debug'])


@pytest.fixture
def homeless(monkeypatch):
    """Simulate a user without a home folder, as in a container with a numeric user."""
    def nobody(number):
        raise KeyError(number)
    monkeypatch.setattr(pwd, 'getpwuid', nobody)
    monkeypatch.delenv('HOME', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)


def test_a_user_without_a_home_is_told_what_to_set(homeless, capsys):
    assert cli.main(['build', '--list']) == 1
    said = capsys.readouterr().err
    assert 'no home folder' in said and 'set XDG_CACHE_HOME' in said


def test_a_user_without_a_home_needs_none_to_evaluate(homeless, tmp_path, mock_bundle, capsys):
    bag = write_bag(tmp_path / 'bag', 3)
    assert cli.main(['evaluate', str(bag), '--bundle', str(mock_bundle)]) == 0, capsys.readouterr()


def test_openvino_is_imported_without_a_home():
    code = ('import os, pwd\n'
            'def nobody(number): raise KeyError(number)\n'
            'pwd.getpwuid = nobody\n'
            'os.environ.pop("HOME", None)\n'
            'import vl4ad_ros.inference.openvino\n'
            'assert "HOME" not in os.environ')
    pytest.importorskip('openvino')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', ['\N{COW}', '\udcff'])
@pytest.mark.parametrize('verb', ['evaluate', 'build'])
def test_names_that_ascii_lacks_are_told_anyway(verb, name, mock_bundle, tmp_path):
    """In the C locale, where Python may not take UTF-8 either."""
    copy = shutil.copytree(mock_bundle, tmp_path / name)
    arguments = {
        'evaluate': [write_bag(tmp_path / 'bag', 2), '--bundle', copy],
        'build': ['--list', '--cache-dir', copy / 'engines'],
    }[verb]
    done = subprocess.run(
        [sys.executable, '-m', 'vl4ad_ros.cli', verb, *arguments], capture_output=True,
        env={**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0',
             'PYTHONIOENCODING': 'ascii'})
    said = (done.stdout + done.stderr).decode('ascii')
    assert done.returncode == 0, said
    assert 'Traceback' not in said and 'codec' not in said
    assert verb == 'evaluate' or str(tmp_path) in said


@pytest.mark.parametrize('bundle', ['~nouser', 'x' * 5000, '/dev/zero', 'loop'])
@pytest.mark.parametrize('verb', ['evaluate', 'bench', 'vocabulary'])
def test_what_is_no_bundle_is_one_line(verb, bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    arguments = {'evaluate': [str(write_bag(tmp_path / 'bag', 2)), '--bundle', bundle],
                 'vocabulary': ['check', 'animals', '--bundle', bundle]}.get(verb, [bundle])
    assert cli.main([verb, *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith('vl4ad: error: ') and said.count('\n') == 1
    assert 'no bundle at' in said or 'cannot be read' in said


@pytest.mark.parametrize('missing, message', [
    ('torch', r"pip install . './workshop\[torch\]'"), ('rclpy', 'source your ROS 2'),
    ('vision_msgs.msg', 'source your ROS 2'), ('rosbags', r"pip install '.\[bags\]'"),
    ('matplotlib', r"pip install '.\[report\]'")])
def test_missing_libraries_have_a_cure(missing, message, capsys, monkeypatch):
    def fail(options):
        raise ModuleNotFoundError(f'No module named {missing!r}', name=missing)
    verb = Verb(lambda parser: None, fail)
    monkeypatch.setattr(cli.Candidate, 'load', lambda self, name: verb)
    assert cli.main(['replay']) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_verb_of_the_workshop_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(cli, 'entry_points', lambda group: ())
    for verb, text in cli.WORKSHOP.items():
        assert cli.find_verbs()[verb].help == f'{text} (needs vl4ad_workshop)'
        assert cli.main([verb, '--out', 'x']) == 1
        said = capsys.readouterr().err
        assert f"'vl4ad {verb}' needs vl4ad_workshop" in said
        assert 'pip install . ./workshop' in said


def test_evaluate_takes_the_parameter_file_of_the_node(tmp_path, mock_bundle, capsys):
    bag, file = write_bag(tmp_path / 'bag', 8), tmp_path / 'detector.yaml'
    file.write_text(f"""
/**:
  ros__parameters:
    model: {{bundle: '{mock_bundle}', backend: onnxruntime}}
    alert.confirm_window: 3
    tresholt: 0.4
""")
    assert cli.main(['evaluate', str(bag), '--params', str(file)]) == 0
    said = capsys.readouterr()
    assert said.err == (
        "vl4ad: warning: there is no parameter 'tresholt', so its value is ignored; did you mean "
        f"'threshold'?\nvl4ad: {bag}: 8 of 8 frames of /camera/image used; labels matched: 8 of "
        '8\n')
    metrics = json.loads(said.out)
    assert (metrics['model'], metrics['backend']) == ('mock', 'onnxruntime')
    assert metrics['frames_unknown'] == 2
    # The command line counts more than the file.
    assert cli.main(['evaluate', str(bag), '--params', str(file), '--bundle', 'none']) == 1
    assert "/none': manifest.json is missing" in capsys.readouterr().err


@pytest.mark.parametrize('verb', ['evaluate', 'replay'])
@pytest.mark.parametrize('content, message', [
    ('/**: {ros__parameters: {threshold: 2.0}}', 'threshold is 2.0; expected 0.0 to 1.0'),
    ('/**: {ros__parameters: {threshold: high}}', "threshold is 'high'; expected a number"),
    ('/other: {ros__parameters: {threshold: 0.5}}', "no section for the node 'vl4ad_detector'"),
    ('a: [', 'cannot be read')])
def test_a_bad_parameter_file_is_refused_before_anything(tmp_path, capsys, verb, content, message):
    bag, file = write_bag(tmp_path / 'bag', 2), tmp_path / 'detector.yaml'
    file.write_text(content)
    out = ['--out', str(tmp_path / 'out')] if verb == 'replay' else []
    assert cli.main([verb, str(bag), '--params', str(file), *out]) == 1
    said = capsys.readouterr()
    assert said.err.startswith('vl4ad: error: ') and message in said.err and not said.out
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('verb', ['evaluate', 'replay'])
def test_what_is_neither_bag_nor_video_is_one_line(tmp_path, verb, capsys):
    (tmp_path / 'notes.txt').write_text('neither\n' * 100)
    out = ['--out', str(tmp_path / 'out')] if verb == 'replay' else []
    if out:
        pytest.importorskip('rclpy', reason='needs ROS 2')
    assert cli.main([verb, str(tmp_path / 'notes.txt'), *out]) == 1
    said = capsys.readouterr().err
    assert 'not a video that OpenCV can open' in said and 'a bag is a rosbag2 folder' in said
    assert said.startswith('vl4ad: error: ') and said.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_evaluate_takes_a_video_as_a_bag(tmp_path, mock_bundle, capsys, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path / 'scratch'))
    monkeypatch.setattr('tempfile.tempdir', None)
    (tmp_path / 'scratch').mkdir()
    video = write_video(tmp_path / 'drive.mp4', 12)
    assert cli.main(['evaluate', str(video), '--bundle', str(mock_bundle)]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics['frames_processed'], metrics['alerts']) == (12, 1)
    assert metrics['duration_s'] == pytest.approx(1.2)
    assert not list((tmp_path / 'scratch').iterdir())
    assert cli.main(['evaluate', str(video), '--topic', '/other']) == 1
    assert "no image topic '/other'" in capsys.readouterr().err


def test_evaluate_prints_json(tmp_path, mock_bundle, capsys):
    bag = write_bag(tmp_path / 'bag', 6)
    assert cli.main(['evaluate', str(bag), '--bundle', str(mock_bundle)]) == 0
    assert json.loads(capsys.readouterr().out)['frames_processed'] == 6
