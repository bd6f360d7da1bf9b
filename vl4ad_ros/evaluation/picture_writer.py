# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes pictures and videos as files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np


class ReportError(OSError):
    """A file of the report cannot be written; the message names it and says what to do."""


def write_picture(path: Path, picture: np.ndarray) -> None:
    """
    Write a picture as a file.

    :param path: its extension chooses the format.
    :param picture: (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16.
    :raises ReportError: if the file cannot be written.
    """
    _check_name(path)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), picture):
        raise ReportError(f"'{path}' cannot be written; check the free space and the permissions")


class Video:
    """
    Writes an MPEG-4 Part 2 video in an mp4 file.

    OpenCV's wheels contain no H.264 encoder. MPEG-4 Part 2 plays in VLC, mpv, ffmpeg and most
    desktop players, but not in browsers. VP9 plays in browsers, but takes many times longer to
    encode.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """
        Prepare a video; the file is created with the first frame.

        :param path: the .mp4 file.
        :param rate: frames per second.
        :raises ReportError: if OpenCV cannot write to such a path.
        """
        _check_name(path)
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def write(self, rgb: np.ndarray) -> None:
        """
        Append a frame.

        :param rgb: (H, W, 3) uint8 RGB; it is scaled to the size of the first frame.
        :raises ReportError: if the video cannot be written.
        """
        if self._writer is None:
            self._size = rgb.shape[1::-1]
            self._writer = cv2.VideoWriter(
                str(self._path), cv2.VideoWriter.fourcc(*'mp4v'), self._rate, self._size)
            if not self._writer.isOpened():
                raise ReportError(
                    f"OpenCV cannot write '{self._path}': it has no mp4v encoder, or the folder "
                    'is not writable; check the permissions of the folder, or run: pip install '
                    'opencv-python-headless')
        if rgb.shape[1::-1] != self._size:
            rgb = cv2.resize(rgb, self._size)
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Complete the file; without a frame there is none."""
        if self._writer is not None:
            self._writer.release()


def _check_name(path: Path) -> None:
    """Refuse a path with which OpenCV crashes."""
    if os.fsencode(path).decode('utf-8', 'replace') != str(path):
        raise ReportError(f"'{path}' cannot be written: it is not UTF-8, and OpenCV has no other "
                          'names; choose another folder with --out')
