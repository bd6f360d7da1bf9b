# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a video have the times at which they are shown; other files are refused."""

import os

import cv2
import numpy as np
import pytest

from vl4ad_ros.evaluation.video_file import VideoError, VideoFile


@pytest.fixture
def video(tmp_path):
    """Return a video of 12 frames at 25 Hz, 64 x 48, that become brighter."""
    writer = cv2.VideoWriter(str(tmp_path / 'in.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 25,
                             (64, 48))
    for i in range(12):
        writer.write(np.full((48, 64, 3), (20 * i, 0, 0), np.uint8))
    writer.release()
    return tmp_path / 'in.mp4'


def test_frames_and_times(video):
    opened = VideoFile(video)
    assert (opened.rate_hz, opened.frame_count) == (25, 12)
    times, images = zip(*opened.frames())
    assert times == tuple(i * 40_000_000 for i in range(12))
    # The frames are blue, which is the last channel of RGB.
    assert [image[0, 0, 2] for image in images] == pytest.approx(
        [20 * i for i in range(12)], abs=6)
    assert max(image[..., 0].max() for image in images) < 20


@pytest.mark.parametrize('shown_ms, times', [
    ([5, 38, 405, 605], [0, 33, 400, 600]),    # a camera that became slower in the dark
    ([0, 0, 0, 0], [0, 40, 80, 120]),          # no times
    ([0, 40, 30, 90], [0, 40, 80, 90]),        # one step back
])
def test_times_are_those_of_the_file_and_increase(video, shown_ms, times):
    opened = VideoFile(video)
    opened._capture = Capture(shown_ms)
    assert [time_ns / 1e6 for time_ns, _ in opened.frames()] == pytest.approx(times)


class Capture:
    """A video with frames at the given times in ms; None is a damaged frame."""

    def __init__(self, shown_ms):
        self.shown_ms, self.now = list(shown_ms), 0

    def read(self):
        shown_ms = self.shown_ms.pop(0) if self.shown_ms else None
        if shown_ms is None:
            return False, None
        self.now = shown_ms
        return True, np.zeros((4, 4, 3), np.uint8)

    def get(self, number):
        assert number == cv2.CAP_PROP_POS_MSEC
        return self.now

    def release(self):
        pass


@pytest.mark.parametrize('shown_ms, good, lost', [
    ([40 * i for i in range(12)], 12, 0),
    ([40 * i if i not in (3, 4, 8) else None for i in range(12)], 9, 3),
    ([0, 40, 80, 120], 4, 8),                     # cut off: the file states 12 frames
    ([40 * i for i in range(11)], 11, 0),         # the number is only approximate
    ([40 * i for i in range(20)], 20, 0),
])
def test_damaged_frames_are_left_out_and_counted(video, shown_ms, good, lost):
    opened = VideoFile(video)
    opened._capture = Capture(shown_ms)
    assert len(list(opened.frames())) == good
    assert opened.warning == (
        f"{lost} frames of '{video}' could not be decoded and are left out; copy the video again"
        if lost else '')


def test_a_video_without_frames_is_an_error(video):
    opened = VideoFile(video)
    opened._capture = Capture([])
    with pytest.raises(VideoError, match='no frame that OpenCV can decode'):
        list(opened.frames())


def test_a_name_that_is_not_utf_8_is_refused(video):
    strange = video.rename(video.with_name(os.fsdecode(b'\xff.mp4')))
    with pytest.raises(VideoError, match='rename'):
        VideoFile(strange)


def test_what_is_no_video(tmp_path):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.txt').write_text('FFmpeg would draw this text as a film.\n' * 50)
    (tmp_path / 'noise.mp4').write_bytes(bytes(5000))
    for i in range(3):  # OpenCV would take these for the frames of a film
        cv2.imwrite(str(tmp_path / f'image{i}.jpg'), np.zeros((48, 64, 3), np.uint8))
    for name, message in (('empty.mp4', 'is empty'), ('text.txt', 'but a text'),
                          ('noise.mp4', 'not a video that OpenCV can open'),
                          ('image0.jpg', 'is an image, not a video; run: vl4ad try IMAGE'),
                          ('none.mp4', 'no video at')):
        with pytest.raises(VideoError, match=message):
            VideoFile(tmp_path / name)
