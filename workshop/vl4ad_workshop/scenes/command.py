# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad scenes`: draw a drive into a bag."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.outputs import beside
from vl4ad_workshop.scenes.bag import write_drive
from vl4ad_workshop.scenes.drive import Drive, DriveFrame

_SPLITS = ('train', 'validation', 'test')
_GROUPS = ('masks', 'words', 'unseen')
_PREVIEW = (3, 4)  # columns, rows
_OUTLINE = (255, 40, 200)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('--out', type=Path, required=True, metavar='BAG', help='bag to write')
    parser.add_argument('--seed', type=int, default=0, metavar='N')
    parser.add_argument('--split', choices=_SPLITS, default='test',
                        help='which drawn examples of each kind (default: test)')
    parser.add_argument('--groups', nargs='+', choices=_GROUPS, default=['masks'],
                        help='groups that the anomalies are taken from in turn (default: masks)')
    parser.add_argument('--anomalies', type=int, default=4, metavar='N')
    parser.add_argument('--seconds', type=float, default=24.0, metavar='S')
    parser.add_argument('--rate', type=float, default=10.0, metavar='HZ')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 360), metavar=('W', 'H'))
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap')
    parser.add_argument('--image-format', choices=('raw', 'jpeg'), default='raw')
    parser.add_argument('--preview', type=Path, metavar='PNG',
                        help='write a contact sheet with the anomalies outlined')


def run(options: argparse.Namespace) -> int:
    """Draw the drive, write the bag and the preview; return the exit code."""
    if options.preview and options.preview.suffix.lower() != '.png':
        raise ValueError(f"--preview: expected a name that ends in .png, got '{options.preview}'")
    if options.preview == options.out:
        raise ValueError(f"--preview and --out are both '{options.out}'; give them two names")
    drive = Drive(options.seed, tuple(options.size[::-1]), options.seconds, options.rate,
                  options.split, tuple(options.groups), options.anomalies)
    count = _PREVIEW[0] * _PREVIEW[1]
    chosen = set(np.linspace(0, len(drive) - 1, count).round().astype(int).tolist())
    pictures = []
    with tqdm(total=len(drive), unit='frame', disable=None, leave=False) as bar:
        def on_frame(index: int, frame: DriveFrame) -> None:
            bar.update()
            if options.preview and index in chosen:
                pictures.append(_outlined(frame))
        write_drive(drive, options.out, options.storage, options.image_format, on_frame)
    for thing in drive.anomalies:
        print(f'{thing.first_s:6.1f} s to {thing.last_s:6.1f} s  #{thing.number} {thing.kind} '
              f'({thing.group})')
    if options.preview:
        _write_sheet(options.preview, pictures)
        print(f'{options.preview}: {len(pictures)} of the {len(drive)} frames')
    print(f'{options.out}: {len(drive)} frames; play it with: vl4ad replay {options.out}')
    return 0


def _outlined(frame: DriveFrame) -> np.ndarray:
    picture = frame.frame.image.copy()
    shapes, _ = cv2.findContours((frame.anomaly == 1).astype(np.uint8), cv2.RETR_EXTERNAL,
                                 cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, shapes, -1, _OUTLINE, 2)


def _write_sheet(path: Path, pictures: list[np.ndarray]) -> None:
    columns = _PREVIEW[0]
    blank = np.zeros_like(pictures[0])
    pictures = pictures + [blank] * (-len(pictures) % columns)
    sheet = np.vstack([np.hstack(pictures[k:k + columns])
                       for k in range(0, len(pictures), columns)])
    with beside(path) as partial:
        if not cv2.imwrite(str(partial), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
            raise OSError(f'{path}: cannot write the contact sheet there; is its folder writable?')


VERB = Verb(add_arguments, run)
