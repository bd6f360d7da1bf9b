# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Command-line options that `vl4ad convert` and `vl4ad export` share."""

from __future__ import annotations

import argparse
from pathlib import Path
import re

import numpy as np

from vl4ad_ros.bundle.manifest import DTYPES, MOST_PIXELS, SAMPLING

ENGINE_FORMS = ('gather', 'plugin')
"""Forms of deformable attention that are written unless the user asks for one."""
MOST_PICTURES = 8
"""Pictures of a user's folder that become reference frames."""
_SUFFIXES = ('.jpg', '.jpeg', '.png')
_NIGHT = 0.15  # brightness of a darkened picture, as a share of the original


def add_precision_arguments(parser: argparse.ArgumentParser, default: str | None) -> None:
    """
    Declare `--dtype`, `--sampling` and `--images`.

    :param default: precision without `--dtype`, one of `DTYPES`; None writes no graph for GPUs.
    """
    without = default or 'no graph for GPUs'
    parser.add_argument('--dtype', choices=DTYPES, default=default,
                        help='precision of the image network for GPUs; the bundle always has the '
                        f'fp32 network for CPUs too (default: {without})')
    parser.add_argument('--sampling', choices=[form for form in SAMPLING if form != 'none'],
                        help='form of deformable attention in the graph for GPUs (default: '
                        f'{" and ".join(ENGINE_FORMS)}, which `vl4ad build` tries in this order)')
    parser.add_argument('--images', type=Path, metavar='DIR',
                        help='folder of JPEG or PNG pictures of your own camera, which become the '
                        f'reference frames; at most {MOST_PICTURES} are taken, evenly spaced in '
                        'the order of their names (default: the reference frames of the bundle, '
                        'or else of the shipped one)')


def forms_of(sampling: str | None) -> tuple[str, ...]:
    """Return the forms of deformable attention to write: the given one, or `ENGINE_FORMS`."""
    return (sampling,) if sampling else ENGINE_FORMS


def parse_size(text: str) -> tuple[int, int]:
    """
    Read the size of the image network's input.

    :param text: such as ``'1024x2048'``, height first.
    :return: (height, width) in pixels, both multiples of 32.
    :raises argparse.ArgumentTypeError: for any other text.
    """
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(32 <= side <= 8192 and side % 32 == 0 for side in size) or (
            size[0] * size[1] > MOST_PIXELS):
        raise argparse.ArgumentTypeError(
            f"'{text}': give height x width, both multiples of 32 within 32..8192, with at most "
            f'{MOST_PIXELS} pixels, such as 512x1024')
    return size


def read_pictures(folder: Path) -> list[np.ndarray]:
    """
    Read the pictures of a folder that become reference frames.

    A darkened copy of the first one is added, because errors of half precision show in the dark.

    :param folder: holds JPEG or PNG files; other files and subfolders are ignored.
    :return: at most `MOST_PICTURES` pictures and the darkened copy, each uint8 (H, W, 3) RGB in
        its own size.
    :raises ValueError: if the folder holds no picture, or a file cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"--images: '{folder}' is not a folder; give one with JPEG or PNG files")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise ValueError(f"--images: '{folder}' holds no JPEG or PNG file; copy some pictures of "
                         'your camera there')
    chosen = np.linspace(0, len(files) - 1, min(len(files), MOST_PICTURES)).round().astype(int)
    pictures = [_read(files[i]) for i in chosen]
    return [*pictures, darkened(pictures[0])]


def darkened(picture: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 of any shape, at 15 % of its brightness, as at night."""
    return (picture * _NIGHT).astype(np.uint8)


def _read(file: Path) -> np.ndarray:
    # Imported here, because OpenCV takes memory that a conversion without pictures does not need.
    from vl4ad_ros.images import ConvertError, photo_to_rgb
    try:
        return photo_to_rgb(file.read_bytes())
    except ConvertError as error:
        raise ValueError(f"--images: cannot decode '{file}' ({error}); remove it from the folder, "
                         'or save it again as JPEG or PNG') from error
