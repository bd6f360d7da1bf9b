# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad bag-from-video`: turn a video file into a camera bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import positive
from vl4ad_ros.evaluation.video_bag import write_video_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('video', type=Path, metavar='VIDEO')
    parser.add_argument('--out', type=Path, required=True, metavar='BAG', help='bag to write')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap')
    parser.add_argument('--compressed', action='store_true', help='JPEG instead of raw rgb8')
    parser.add_argument('--fps', type=positive, metavar='F',
                        help="frames per second to keep (default: the video's own)")
    parser.add_argument('--max-seconds', type=positive, metavar='S', help='stop after so long')


def run(options: argparse.Namespace) -> None:
    """Write the bag and print how to play it."""
    with tqdm(unit='frame', disable=None, leave=False) as bar:
        count = write_video_bag(options.video, options.out, options.storage, options.compressed,
                                options.fps, options.max_seconds, bar.update)
    print(f'{options.out}: {count} frames; play it with: vl4ad replay {options.out}')


VERB = Verb(add_arguments, run)
