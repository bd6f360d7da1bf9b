# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag gives back what the drive held; the command writes it."""

import argparse

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from vl4ad_ros.evaluation.vehicle_messages import KINDS
from vl4ad_workshop.scenes import command
from vl4ad_workshop.scenes.bag import START_NS, write_drive
from vl4ad_workshop.scenes.drive import Drive

SIZE = (54, 97)
TRUTH = {'/ground_truth/anomaly': 'mono8', '/ground_truth/object_id': 'mono16'}


def short(seed=0):
    return Drive(seed, SIZE, seconds=6.0, rate_hz=2.0, anomalies=1)


def read(path):
    with AnyReader([path]) as reader:
        found = {}
        for connection, time_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append(
                (time_ns, reader.deserialize(data, connection.msgtype)))
        return found


@pytest.mark.parametrize('storage, suffix', [('mcap', '.mcap'), ('sqlite3', '.db3')])
def test_round_trip(tmp_path, storage, suffix):
    path = write_drive(short(), tmp_path / 'bag', storage)
    assert [file.suffix for file in sorted(path.iterdir())][0] == suffix
    found = read(path)
    assert set(found) == {'/camera/image', '/camera/camera_info', *TRUTH, *KINDS}
    for index, frame in enumerate(short()):
        for topic, array, encoding in (('/camera/image', frame.frame.image, 'rgb8'),
                                       ('/ground_truth/anomaly', frame.anomaly, 'mono8'),
                                       ('/ground_truth/object_id', frame.anomaly_ids, 'mono16')):
            time_ns, message = found[topic][index]
            assert time_ns == START_NS + frame.stamp_ns
            stamp = message.header.stamp
            assert stamp.sec * 10**9 + stamp.nanosec == time_ns
            assert message.header.frame_id == 'camera_optical'
            assert (message.encoding, message.height, message.width) == (encoding, *SIZE)
            assert message.step * message.height == len(message.data)
            assert message.data.tobytes() == array.tobytes()
    assert {topic: len(messages) for topic, messages in found.items() if len(messages) != 12} == {
        '/tf_static': 1}


def test_camera_info_fits_the_images(tmp_path):
    drive = short()
    (_, info), *_ = read(write_drive(drive, tmp_path / 'bag'))['/camera/camera_info']
    assert (info.height, info.width, info.distortion_model) == (*SIZE, 'plumb_bob')
    assert (info.k.reshape(3, 3) == drive.camera_matrix).all()
    assert (info.p.reshape(3, 4)[:, :3] == drive.camera_matrix).all()
    assert (info.r.reshape(3, 3) == np.eye(3)).all() and not info.d.any()


def test_jpeg_is_near_the_picture(tmp_path):
    found = read(write_drive(short(), tmp_path / 'bag', image_format='jpeg'))
    assert '/camera/image' not in found
    for (_, message), frame in zip(found['/camera/image/compressed'], short()):
        picture = cv2.imdecode(message.data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
        assert np.abs(picture - frame.frame.image).mean() < 6


def test_existing_bag_is_not_touched(tmp_path):
    (tmp_path / 'bag').mkdir()
    with pytest.raises(FileExistsError, match='remove it'):
        write_drive(short(), tmp_path / 'bag')


@pytest.mark.parametrize('options', [{'storage': 'zip'}, {'image_format': 'png'}])
def test_unknown_format_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match='expected one of'):
        write_drive(short(), tmp_path / 'bag', **options)


def test_broken_off_bag_is_removed(tmp_path):
    def stop(index, frame):
        if index == 3:
            raise KeyboardInterrupt
        assert not (tmp_path / 'bag').exists()
    with pytest.raises(KeyboardInterrupt):
        write_drive(short(), tmp_path / 'bag', on_frame=stop)
    assert not list(tmp_path.iterdir())


def test_command_writes_bag_and_preview(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = parser.parse_args([
        '--out', str(tmp_path / 'bag'), '--seed', '2', '--groups', 'words', '--seconds', '4',
        '--rate', '5', '--size', '80', '48', '--anomalies', '1', '--storage', 'sqlite3',
        '--preview', str(tmp_path / 'sheet.png')])
    assert command.run(options) == 0
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape == (4 * 48, 3 * 80, 3)
    assert len(read(tmp_path / 'bag')['/camera/image']) == 20
    assert '(words)' in capsys.readouterr().out
