# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes pictures and videos as files."""

from __future__ import annotations

from fractions import Fraction
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_ENCODERS = ('libx264', 'libopenh264')
_OPTIONS = {'libx264': {'preset': 'veryfast', 'crf': '23'}}
"""Options of an encoder by its name: a good picture in a short time."""


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
    Writes a video in an mp4 file.

    With PyAV the video is H.264, which plays everywhere, also in browsers. Without PyAV it is
    MPEG-4 Part 2, because OpenCV's wheels contain no H.264 encoder; that plays in VLC, mpv, ffmpeg
    and most desktop players, but not in browsers.
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
        self._encoder: _H264 | _Mpeg4 | None = None

    def write(self, rgb: np.ndarray) -> None:
        """
        Append a frame.

        :param rgb: (H, W, 3) uint8 RGB; it is scaled to the size of the first frame. A last row
            or column of an odd number is left out.
        :raises ReportError: if the video cannot be written.
        """
        if self._encoder is None:
            self._size = rgb.shape[1] // 2 * 2, rgb.shape[0] // 2 * 2
            kind = _H264 if h264_encoder() else _Mpeg4
            self._encoder = kind(self._path, self._rate, self._size)
        rgb = rgb[:rgb.shape[0] // 2 * 2, :rgb.shape[1] // 2 * 2]
        if rgb.shape[1::-1] != self._size:
            rgb = cv2.resize(rgb, self._size)
        self._encoder.write(rgb)

    def close(self) -> None:
        """Complete the file; without a frame there is none."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()


def h264_encoder() -> str:
    """Return the name of the H.264 encoder on the CPU that PyAV has; ``''`` without one."""
    try:
        import av
    except ImportError:
        return ''
    return next((name for name in _ENCODERS if name in av.codecs_available), '')


class _H264:
    """Writes H.264 with PyAV."""

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        import av
        self._path, self._av = path, av
        try:
            encoder = h264_encoder()
            file: Any = av.open(str(path), 'w', options={'movflags': 'faststart'})
            self._file = file
            self._stream = self._file.add_stream(
                encoder, Fraction(rate).limit_denominator(1000),
                options=_OPTIONS.get(encoder, {}))
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = 'yuv420p'  # Browsers play no other.
            self._file.start_encoding()  # PyAV would create the file with the last frames.
        except (OSError, av.FFmpegError) as error:
            raise ReportError(f"'{path}' cannot be written ({error}); check the free space and "
                              'the permissions') from error

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame of the size of the video."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format='rgb24')
        self._mux(frame)

    def close(self) -> None:
        """Complete the file."""
        self._mux(None)
        self._file.close()

    def _mux(self, frame: Any) -> None:
        try:
            self._file.mux(self._stream.encode(frame))
        except (OSError, self._av.FFmpegError) as error:
            raise ReportError(f"'{self._path}' cannot be written ({error}); check the free space"
                              ) from error


class _Mpeg4:
    """Writes MPEG-4 Part 2 with OpenCV."""

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        self._writer = cv2.VideoWriter(
            str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate, size)
        if not self._writer.isOpened():
            raise ReportError(
                f"OpenCV cannot write '{path}': it has no mp4v encoder, or the folder is not "
                'writable; check the permissions of the folder, or run: pip install '
                'opencv-python-headless')

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame of the size of the video."""
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Complete the file."""
        self._writer.release()


def _check_name(path: Path) -> None:
    """Refuse a path with which OpenCV crashes."""
    if os.fsencode(path).decode('utf-8', 'replace') != str(path):
        raise ReportError(f"'{path}' cannot be written: it is not UTF-8, and OpenCV has no other "
                          'names; choose another folder with --out')
