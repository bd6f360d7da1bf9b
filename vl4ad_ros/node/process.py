# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the process of the node uses memory and threads for large images."""

from __future__ import annotations

import ctypes
import sys

import cv2

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From <malloc.h> of the GNU C library."""
_TRIM_BYTES = 256 * 2 ** 20
_MMAP_BYTES = 32 * 2 ** 20
"""The largest value that the GNU C library accepts; an image of 3840x2160 has 25 MB."""


def tune() -> None:
    """
    Prepare this process for a stream of large images; call it once, at the start.

    Keeps freed memory for the next image. By default, the GNU C library gives blocks of the size
    of an image back to the kernel and then asks for them again, and the kernel clears each of
    their pages. The process keeps the memory of its largest image and at most 256 MB more.

    Lets OpenCV use one thread. What the node does with OpenCV takes a few milliseconds, and a
    pool of threads that wait for the next call costs more than it gains.
    """
    cv2.setNumThreads(1)
    if sys.platform == 'linux':
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except AttributeError:  # another C library, such as musl
            return
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
