# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Videos become bags that replay reads, or are refused with the reason."""

from bags import scene
import cv2
import numpy as np
import pytest

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.video_bag import VideoError, write_video_bag
from vl4ad_ros.outputs import OutputError


@pytest.fixture
def video(tmp_path):
    """Return a video of 20 frames at 10 Hz, 160 x 90."""
    writer = cv2.VideoWriter(str(tmp_path / 'in.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10,
                             (160, 90))
    for i in range(20):
        writer.write(cv2.cvtColor(scene(i)[0], cv2.COLOR_RGB2BGR))
    writer.release()
    return tmp_path / 'in.mp4'


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
