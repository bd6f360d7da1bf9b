# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Replays of recordings with pauses and with frames that cannot be used (needs rclpy)."""

import json
import time

from bags import make_image, scene, START_NS, write_jpegs
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from rosbags.rosbag2 import Writer  # noqa: E402
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.evaluation.message_types import typestore  # noqa: E402

RAW = 'sensor_msgs/msg/Image'


def test_a_pause_of_an_hour_is_shortened_and_not_counted(domain, mock_bundle, tmp_path, capsys):
    store = typestore()
    with Writer(tmp_path / 'bag', version=9) as writer:
        connection = writer.add_connection('/camera/image', RAW, typestore=store)
        for i in range(16):
            stamp = START_NS + i * 10**8 + (i > 7) * 3600 * 10**9
            writer.write(connection, stamp, store.serialize_cdr(
                make_image(scene(i)[0], 'rgb8', stamp), RAW))
    began = time.monotonic()
    assert cli.main(['replay', str(tmp_path / 'bag'), '--bundle', str(mock_bundle), '--out',
                     str(tmp_path / 'out'), '--max-gap', '0.5']) == 0
    assert time.monotonic() - began < 600
    said = capsys.readouterr()
    assert 'leap by 3600 s at frame 8' in said.err
    assert '16 of 16 frames of /camera/image used' in said.err
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['frames_published'] == 16
    assert metrics['duration_s'] == pytest.approx(1.6)
    assert 'not counted in the duration' in metrics['notes'][0]


def test_the_exit_status_of_a_replay_counts_frames_that_cannot_be_used(domain, mock_bundle,
                                                                       tmp_path, capsys):
    path = write_jpegs(tmp_path / 'bag', [(90, 160)] * 10, damaged=(3,))
    for skip, code in (('0', 1), ('1', 0)):
        assert cli.main(['replay', str(path), '--bundle', str(mock_bundle), '--lockstep', '--out',
                         str(tmp_path / 'out'), '--skip-bad', skip]) == code
        assert '9 of 10 frames of /camera/image/compressed used' in capsys.readouterr().err
        assert (tmp_path / 'out' / 'result_bag').is_dir()
