# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Videos become bags that replay reads, or are refused with the reason."""

import os

from bags import write_video
import cv2
import numpy as np
import pytest

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.video_bag import is_video, write_video_bag
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.outputs import OutputError


@pytest.fixture
def video(tmp_path):
    """Return a video of 20 frames at 10 Hz, 160 x 90."""
    return write_video(tmp_path / 'in.mp4', 20)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compressed', [False, True])
def test_frames_and_times(video, tmp_path, storage, compressed):
    assert write_video_bag(video, tmp_path / 'new' / 'bag', storage, compressed) == 20
    bag = CameraBag(tmp_path / 'new' / 'bag')
    assert bag.compressed == compressed and not bag.has_truth
    assert bag.topic == '/camera/image' + '/compressed' * compressed
    assert {b - a for a, b in zip(bag.times_ns, bag.times_ns[1:])} == {10**8}
    capture = cv2.VideoCapture(str(video))
    for image in bag.images():
        shown = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
        assert np.abs(image.astype(int) - shown).mean() <= (1.0 if compressed else 0.0)


@pytest.mark.parametrize('rate, seconds, count', [
    (5, None, 10), (3, None, 6), (10, None, 20), (99, None, 20), (None, 0.5, 5), (5, 1.0, 5)])
def test_rate_and_length(video, tmp_path, rate, seconds, count):
    got = write_video_bag(video, tmp_path / 'bag', rate_hz=rate, max_seconds=seconds)
    assert got == len(CameraBag(tmp_path / 'bag').times_ns) == count


def test_refusals_leave_nothing(video, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    for path, message in ((tmp_path / 'none.mp4', 'no video at'),
                          (tmp_path / 'text.mp4', 'not a video that OpenCV can open')):
        with pytest.raises(VideoError, match=message):
            write_video_bag(path, tmp_path / 'bag')
    (tmp_path / 'there').mkdir()
    with pytest.raises(VideoError, match='exists already'):
        write_video_bag(video, tmp_path / 'there')
    for out in (video, video / 'bag'):
        with pytest.raises(OutputError, match='choose another folder with --out'):
            write_video_bag(video, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['in.mp4', 'text.mp4', 'there']


def test_interrupted_writing_leaves_nothing(video, tmp_path):
    def interrupt():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        write_video_bag(video, tmp_path / 'bag', on_frame=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ['in.mp4']


@pytest.mark.parametrize('modified_s, first_s', [
    (1_700_000_000, 1_700_000_000), (-86400, 1), (2**31 + 5, 2**31 - 2**20)])
def test_stamps_fit_into_their_type_whatever_the_date_of_the_file(video, tmp_path, modified_s,
                                                                  first_s):
    os.utime(video, (0, modified_s))
    write_video_bag(video, tmp_path / 'bag')
    bag = CameraBag(tmp_path / 'bag')
    assert bag.times_ns == [first_s * 10**9 + i * 10**8 for i in range(20)]
    assert [frame.stamp_ns for frame in bag.frames()] == bag.times_ns


def test_only_files_that_are_no_bags_are_taken_for_videos(tmp_path):
    for name, answer in (('a.mp4', True), ('a', True), ('a.MCAP', False), ('a.db3', False)):
        assert not is_video(tmp_path / name), 'it does not exist yet'
        (tmp_path / name).touch()
        assert is_video(tmp_path / name) == answer
    assert not is_video(tmp_path)
