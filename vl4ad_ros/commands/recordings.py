# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens what a user calls a recording: a bag, a video, or a folder of images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
import sys

from tqdm import tqdm

from vl4ad_ros.commands.arguments import label_options, span, warn
from vl4ad_ros.evaluation.bag_reader import CameraBag, VideoTopicError
from vl4ad_ros.evaluation.picture_bag import is_picture_folder, write_picture_bag
from vl4ad_ros.evaluation.storage.recording import size_of
from vl4ad_ros.evaluation.video_bag import is_video, write_video_bag
from vl4ad_ros.evaluation.video_file import VideoError


def needs_conversion(recording: Path) -> bool:
    """Tell whether a recording is a video or a folder of images, which becomes a bag first."""
    return is_video(recording) or is_picture_folder(recording)


def open_recording(recording: Path, folder: Path, options: argparse.Namespace) -> CameraBag:
    """
    Open a recording, and print a warning for each thing in it that is not as it should be.

    :param recording: a bag, a video, or a folder of images.
    :param folder: where the bag of a video or of images is written; made if it does not exist.
        The bag in it has the name of the recording.
    :param options: parsed arguments of a verb that called `add_bag_arguments`.
    :raises VideoError: if the file is not a video that can be read.
    :raises BagError: if the recording cannot be read or does not have the topic.
    """
    path = recording
    if is_picture_folder(recording):
        path = folder / (recording.resolve().name or 'images')
        _with_bar('reading the images', lambda advance: write_picture_bag(
            recording, path, advance, warn))
    elif is_video(recording):
        path = folder / recording.name
        try:
            _with_bar('reading the video', lambda advance: write_video_bag(
                recording, path, compressed=True, on_frame=advance, on_warning=warn))
        except VideoError as error:
            raise VideoError(f'{error} (a bag is a rosbag2 folder, or a .mcap or .db3 file)'
                             ) from error
    try:
        bag = _scanned(path, options.topic, options)
    except VideoTopicError as error:
        from vl4ad_ros.evaluation.video_topic import write_video_topic_bag
        packets, path = error.topic, folder / (recording.resolve().name + '.images')
        _with_bar('decoding the video topic', lambda advance: write_video_topic_bag(
            recording, packets, path, advance, warn))
        bag = _scanned(path, packets.name, options)
    for sentence in bag.notes:
        warn(sentence)
    return bag


def finished(name: str, bag: CameraBag, used: int, labelled: int | None, warned: int,
             options: argparse.Namespace) -> bool:
    """
    Print how many frames and labels were used, and the warnings that came up meanwhile.

    :param name: the recording, as the user gave it.
    :param bag: the recording.
    :param used: number of frames that could be used.
    :param labelled: number of frames with a label; None without ground truth.
    :param warned: number of notes of the bag that were printed before.
    :param options: parsed arguments of a verb that called `add_bag_arguments`.
    :returns: whether enough frames could be used: `--min-frames`, or all but `--skip-bad`.
    """
    for sentence in bag.notes[warned:]:
        warn(sentence)
    total = len(bag.times_ns) + bag.lost
    labels = '' if labelled is None else f'; labels matched: {labelled} of {bag.label_count}'
    print(f'vl4ad: {name}: {used} of {total} frames of {bag.topic} used{labels}', file=sys.stderr)
    needed = options.min_frames if options.min_frames is not None else total - options.skip_bad
    if used < needed:
        print(f'vl4ad: error: {name}: {used} of {total} frames could be used, fewer than the '
              f'{needed} that --min-frames or --skip-bad asks for', file=sys.stderr)
    return used >= needed


def _scanned(path: Path, topic: str | None, options: argparse.Namespace) -> CameraBag:
    """Open a bag, with a progress bar if that takes longer than a second."""
    with tqdm(desc='scanning the recording', total=size_of(path), unit='B', unit_scale=True,
              delay=1, disable=None, leave=False) as bar:
        return CameraBag(path, topic, span(options), label_options(options), bar.update)


def _with_bar(what: str, write: Callable[[Callable[[], None]], int]) -> None:
    with tqdm(desc=what, unit='frame', disable=None, leave=False) as bar:
        write(lambda: _advance(bar))


def _advance(bar: tqdm) -> None:
    bar.update()
