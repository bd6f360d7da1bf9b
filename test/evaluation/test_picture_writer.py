# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Videos are H.264 where PyAV is installed, and MPEG-4 Part 2 elsewhere."""

import sys

import cv2
import numpy as np
import pytest

from vl4ad_ros.evaluation import picture_writer
from vl4ad_ros.evaluation.picture_writer import h264_encoder, ReportError, Video

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]


def write(path, size=(91, 161)):
    """Write a second of each colour."""
    video = Video(path, 10.0)
    for colour in COLOURS:
        for _ in range(10):
            video.write(np.full((*size, 3), colour, np.uint8))
    video.close()
    video.close()  # nothing is left to do
    return path


def check(path):
    """Check what is in the video: the even part of its first size, 10 frames/s, the colours."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(read[1])
    assert len(frames) == 30 and frames[0].shape == (90, 160, 3)
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    for number, colour in enumerate(COLOURS):
        assert np.abs(frames[5 + 10 * number].mean(axis=(0, 1))[::-1] - colour).max() < 12


def test_with_pyav_a_video_plays_in_browsers(tmp_path):
    av = pytest.importorskip('av', reason='needs PyAV: pip install av')
    if not h264_encoder():
        pytest.skip('this build of PyAV has no H.264 encoder on the CPU')
    check(write(tmp_path / 'a.mp4'))
    with av.open(str(tmp_path / 'a.mp4')) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ('h264', 'yuv420p')
    # The index comes before the pictures, so that a browser can start at once.
    content = (tmp_path / 'a.mp4').read_bytes()
    assert content.index(b'moov') < content.index(b'mdat')


def test_without_pyav_there_is_a_video_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    assert h264_encoder() == ''
    check(write(tmp_path / 'a.mp4'))


@pytest.mark.parametrize('encoder', ['', 'libx264'])
def test_a_video_that_cannot_be_written_says_so(tmp_path, monkeypatch, encoder):
    if encoder and h264_encoder() != encoder:
        pytest.skip('needs PyAV with libx264')
    monkeypatch.setattr(picture_writer, 'h264_encoder', lambda: encoder)
    with pytest.raises(ReportError, match='cannot (be )?writ'):
        Video(tmp_path / 'absent' / 'a.mp4', 10.0).write(np.zeros((90, 160, 3), np.uint8))


def test_no_frame_makes_no_file(tmp_path):
    Video(tmp_path / 'a.mp4', 10.0).close()
    assert not (tmp_path / 'a.mp4').exists()
