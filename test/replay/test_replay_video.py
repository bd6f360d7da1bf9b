# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A video is replayed as a bag of its frames would be, and leaves nothing else (needs rclpy)."""

import json
import os
import signal

from bags import write_video
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.commands import recordings  # noqa: E402
from vl4ad_ros.evaluation.bag_reader import CameraBag  # noqa: E402

FRAMES = 16


def test_a_video_gives_the_figures_of_its_evaluation(domain, mock_bundle, tmp_path, capsys):
    # The bag of the frames must not get into the way of a file of the report.
    video, out = write_video(tmp_path / 'overlay.mp4', FRAMES), tmp_path / 'out'
    os.utime(video, (0, 1_700_000_000))
    assert cli.main(['evaluate', str(video), '--bundle', str(mock_bundle)]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert cli.main(['replay', str(video), '--bundle', str(mock_bundle), '--lockstep', '--out',
                     str(out)]) == 0
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['frames_published'] == FRAMES and expected['alerts'] == 1
    for name in set(expected) - {'definitions'}:
        assert metrics[name] == expected[name], name
    assert {path.name for path in out.iterdir()} == {
        'metrics.json', 'overlay.mp4', 'contact_sheet.png', 'result_bag', 'node.log'}
    assert {path.name for path in tmp_path.iterdir()} == {'overlay.mp4', 'out'}
    stamps = [f.stamp_ns for f in CameraBag(out / 'result_bag', '/camera/image/compressed'
                                            ).frames()]
    assert stamps == [1_700_000_000 * 10**9 + i * 10**8 for i in range(FRAMES)]


def test_a_signal_while_the_video_is_read_leaves_nothing(mock_bundle, tmp_path, monkeypatch,
                                                         capsys):
    monkeypatch.setattr(recordings, '_advance', lambda bar: os.kill(os.getpid(), signal.SIGTERM))
    video = write_video(tmp_path / 'drive.mp4', FRAMES)
    assert cli.main(['replay', str(video), '--bundle', str(mock_bundle), '--out',
                     str(tmp_path / 'out')]) == 130
    assert capsys.readouterr().err.strip() == 'vl4ad: stopped'
    assert [path.name for path in tmp_path.iterdir()] == ['drive.mp4']
