# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad bag-from-video`: converts a video file to a camera bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import positive, warn
from vl4ad_ros.evaluation.video_bag import write_video_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('video', type=Path, metavar='VIDEO', help='a file that OpenCV can read')
    parser.add_argument('--out', type=Path, required=True, metavar='BAG',
                        help='folder of the bag to write; it must not exist yet')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap',
                        help='storage format of the bag (default: %(default)s)')
    parser.add_argument('--compressed', action='store_true',
                        help='write JPEG images instead of raw rgb8 images')
    parser.add_argument('--fps', type=positive, metavar='F',
                        help='frames per second to keep (default: the frame rate of the video)')
    parser.add_argument('--max-seconds', type=positive, metavar='S',
                        help='stop after so many seconds of the video')


def run(options: argparse.Namespace) -> None:
    """Write the bag and print how to play it."""
    with tqdm(unit='frame', disable=None, leave=False) as bar:
        count = write_video_bag(options.video, options.out, options.storage, options.compressed,
                                options.fps, options.max_seconds, lambda: _advance(bar), warn)
    print(f'{options.out}: {count} frames; play it with: vl4ad replay {options.out}')


def _advance(bar: tqdm) -> None:
    bar.update()


VERB = Verb(add_arguments, run)
