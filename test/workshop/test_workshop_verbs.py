# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verbs that the workshop adds to `vl4ad`; needs neither torch nor ROS 2."""

import os
import pwd
import subprocess
import sys

import pytest

from vl4ad_ros import cli


def test_every_verb_of_the_workshop_is_found():
    found = cli.find_verbs()
    for verb, text in cli.WORKSHOP.items():
        assert found[verb].help == text and found[verb].target is not None


@pytest.mark.parametrize('verb', ['demo', 'scenes'])
def test_verbs_without_torch_have_help(verb):
    code = ('import sys\nfrom vl4ad_ros import cli\n'
            f'try: cli.main([{verb!r}, "--help"])\n'
            'except SystemExit as ended: assert ended.code == 0\n'
            'assert "torch" not in sys.modules')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '--debug' in done.stdout


def test_the_demo_tells_a_user_without_a_home_what_to_set(monkeypatch, capsys):
    def nobody(number):
        raise KeyError(number)
    monkeypatch.setattr(pwd, 'getpwuid', nobody)
    monkeypatch.delenv('HOME', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert cli.main(['demo']) == 1
    said = capsys.readouterr().err
    assert 'no home folder' in said and 'set XDG_CACHE_HOME' in said


@pytest.mark.parametrize('out', ['cache', 'cache/vl4ad_ros/drive'])
def test_the_demo_does_not_write_over_its_drive(out, tmp_path, monkeypatch, capsys):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    assert cli.main(['demo', '--out', out]) == 1
    said = capsys.readouterr()
    assert 'choose another folder with --out' in said.err and not said.out
    assert not (tmp_path / 'cache').exists()


@pytest.mark.parametrize('name', ['\N{COW}', '\udcff'])
def test_names_that_ascii_lacks_are_told_anyway(name, tmp_path):
    """In the C locale, where Python may not take UTF-8 either."""
    done = subprocess.run(
        [sys.executable, '-m', 'vl4ad_ros.cli', 'scenes', '--out', tmp_path / f'{name} bag',
         '--seconds', '0.1', '--anomalies', '0', '--size', '16', '16'], capture_output=True,
        env={**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0',
             'PYTHONIOENCODING': 'ascii'})
    said = (done.stdout + done.stderr).decode('ascii')
    assert done.returncode == 0, said
    assert 'Traceback' not in said and 'codec' not in said and str(tmp_path) in said
