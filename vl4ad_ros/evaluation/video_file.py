# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the frames of a video file with the times at which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros.files import open_regular, stands_for_another, START_BYTES

_MOST_FAILURES = 25
"""Number of frames in a row that cannot be decoded after which a video has ended."""


class VideoError(ValueError):
    """A video that cannot be used; the message says why and what to do."""


def _refuse_others(path: Path) -> None:
    """Refuse files that OpenCV would open although they are no videos."""
    if os.fsencode(path).decode('utf-8', 'replace') != str(path):
        # OpenCV crashes with such names.
        raise VideoError(f"the name of '{path}' is not UTF-8, and OpenCV cannot open it; rename "
                         'the file')
    try:
        with open_regular(path) as file:
            start = file.read(4096)
    except OSError as error:
        raise VideoError(f"'{path}' cannot be read: {error.strerror or error}") from error
    if not start:
        raise VideoError(f"'{path}' is empty; expected a video file")
    if cv2.haveImageReader(str(path)):
        # OpenCV would show all images whose names differ from this one in the number only.
        raise VideoError(f"'{path}' is an image, not a video; run: vl4ad try IMAGE")
    if other := stands_for_another(start[:START_BYTES]):
        raise VideoError(f"'{path}' {other}")
    if b'\0' not in start:
        # FFmpeg would show the text as a film.
        raise VideoError(f"'{path}' is not a video that OpenCV can open, but a text; expected a "
                         'video file')


class VideoFile:
    """
    A video file that OpenCV can read.

    :ivar path: the file.
    :ivar rate_hz: mean number of frames per second that the file states.
    :ivar frame_count: number of frames that the file states; 0 if it states none. The true number
        can differ.
    """

    def __init__(self, path: Path, rate_hz: float | None = None) -> None:
        """
        Open a video.

        :param path: the file.
        :param rate_hz: frames per second of a file that does not state them.
        :raises VideoError: if the file cannot be opened, or if its frame rate is not known.
        """
        if not path.is_file():
            raise VideoError(f"no video at '{path}'; expected the path of a video file")
        _refuse_others(path)
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        self.path = path
        self._lost = 0
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise VideoError(f"'{path}' is not a video that OpenCV can open; convert it first: "
                             'ffmpeg -i VIDEO -c:v libx264 OUT.mp4')
        self.rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        if not 0 < self.rate_hz < 1000:
            if not rate_hz:
                raise VideoError(f"'{path}' does not state its frame rate; give the frames per "
                                 'second with vl4ad bag-from-video VIDEO --fps F')
            self.rate_hz = rate_hz
        self.frame_count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def frames(self) -> Iterator[tuple[int, np.ndarray]]:
        """
        Yield all frames once, and close the file; damaged frames are left out.

        :returns: pairs of a time and an image. The time is in nanoseconds since the first frame
            and increases. The image is (H, W, 3) uint8 RGB, turned as the file says.
        :raises VideoError: if OpenCV cannot decode any frame.
        """
        first_ms, last_ns = 0.0, -1
        good = failed = 0
        try:
            while failed <= _MOST_FAILURES:
                read, bgr = self._capture.read()
                if not read:
                    # A frame may be damaged, and good ones may follow.
                    failed += 1
                    continue
                good, self._lost, failed = good + 1, self._lost + failed, 0
                shown_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
                if last_ns < 0:
                    first_ms = shown_ms
                time_ns = round((shown_ms - first_ms) * 1e6)
                if time_ns <= last_ns:
                    # Some containers have no times, or times that do not increase.
                    time_ns = last_ns + round(1e9 / self.rate_hz)
                last_ns = time_ns
                yield time_ns, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        finally:
            self._capture.release()
        if last_ns < 0:
            raise VideoError(f"'{self.path}' has no frame that OpenCV can decode; convert it "
                             'first: ffmpeg -i VIDEO -c:v libx264 OUT.mp4')
        missing = self.frame_count - good
        # Some containers state the number of frames only approximately.
        if missing > max(2, 0.05 * self.frame_count):
            self._lost = max(self._lost, missing)

    @property
    def warning(self) -> str:
        """A sentence about damaged frames that `frames` has left out; ``''`` without any."""
        if not self._lost:
            return ''
        frames = f'{self._lost} frame' + 's' * (self._lost > 1)
        return (f"{frames} of '{self.path}' could not be decoded and are left out; copy the video "
                'again')
