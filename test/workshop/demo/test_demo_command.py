# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad demo`: which bundle it takes, and its replay of a video of the user (needs rclpy)."""

from __future__ import annotations

import json

from bags import write_video
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.bundle.installed import DEFAULT  # noqa: E402
from vl4ad_ros.replay import replay_and_report  # noqa: E402
from vl4ad_workshop.demo import sample_drive  # noqa: E402
from vl4ad_workshop.demo.command import DRAWN  # noqa: E402

FRAMES = 12


class Stop(Exception):
    """Ends the demo where its options are known."""


def last_argument(monkeypatch, module, function: str, *arguments: str):
    """Run the demo until it calls a function, and return that call's last argument."""
    def stop(*given):
        raise Stop(given[-1])
    monkeypatch.setattr(module, function, stop)
    with pytest.raises(Stop) as stopped:
        cli.main(['demo', '--debug', *arguments])
    return stopped.value.args[0]


def test_a_video_of_the_user_is_replayed_with_its_alerts(mock_bundle, tmp_path, capsys):
    video, out = write_video(tmp_path / 'drive.mp4', FRAMES), tmp_path / 'out'
    assert cli.main(['demo', '--video', str(video), '--bundle', str(mock_bundle), '--out',
                     str(out)]) == 0
    said = capsys.readouterr().out
    assert f'of drive.mp4: {FRAMES} frames' in said and 'second part' not in said
    assert json.loads((out / 'metrics.json').read_text())['frames_published'] == FRAMES
    assert {path.name for path in out.iterdir()} == {
        'metrics.json', 'overlay.mp4', 'contact_sheet.png', 'result_bag', 'node.log'}


def test_a_video_is_read_by_the_default_bundle_and_drawings_by_their_own(
        monkeypatch, tmp_path):
    video = write_video(tmp_path / 'drive.mp4', 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    options = last_argument(monkeypatch, replay_and_report, 'replay_cameras_and_report',
                            '--video', str(video))
    assert options.bundle == DEFAULT == 'street'
    monkeypatch.setattr(sample_drive, 'sample_drive', lambda *given: video)
    monkeypatch.setattr(sample_drive, 'second_scene', lambda *given: video)
    monkeypatch.setattr('vl4ad_ros.evaluation.CameraBag', lambda bag: bag)
    options = last_argument(monkeypatch, replay_and_report, 'replay_and_report')
    assert options.bundle == DRAWN == 'tiny'


def test_a_video_and_the_number_of_a_drawn_drive_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        cli.main(['demo', '--video', 'x.mp4', '--seed', '3'])
    assert 'not allowed with' in capsys.readouterr().err


def test_a_missing_video_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(['demo', '--video', 'none.mp4']) == 1
    assert "'none.mp4'" in capsys.readouterr().err and not list(tmp_path.iterdir())
