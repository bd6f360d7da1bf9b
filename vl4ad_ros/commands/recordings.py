# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens a video where a verb expects a bag."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from vl4ad_ros.commands.arguments import warn
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.video_bag import write_video_bag
from vl4ad_ros.evaluation.video_file import VideoError


def bag_of_video(video: Path, folder: Path, topic: str | None) -> CameraBag:
    """
    Convert a video to a bag of JPEG images, with a progress bar, and open the bag.

    :param video: the file.
    :param folder: a folder, made if it does not exist. The bag in it has the name of the video.
    :param topic: name of the image topic, as for `CameraBag`.
    :raises VideoError: if the file is not a video that can be read.
    :raises BagError: if the bag does not have the topic.
    """
    bag = folder / video.name
    try:
        with tqdm(desc='reading the video', unit='frame', disable=None, leave=False) as bar:
            write_video_bag(video, bag, compressed=True, on_frame=lambda: _advance(bar),
                            on_warning=warn)
    except VideoError as error:
        raise VideoError(f'{error} (a bag is a rosbag2 folder, or a .mcap or .db3 file)'
                         ) from error
    return CameraBag(bag, topic)


def _advance(bar: tqdm) -> None:
    bar.update()
