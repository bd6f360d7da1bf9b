# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts a folder of images to a camera bag, so that it can be evaluated as a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import COMPRESSED, NAMES
from vl4ad_ros.evaluation.ground_truth import stamp_in_name
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.recording import is_storage_name, natural_order
from vl4ad_ros.evaluation.storage.stored import BagError
from vl4ad_ros.evaluation.video_bag import FRAME_ID, TOPIC
from vl4ad_ros.files import read_regular
from vl4ad_ros.images import ConvertError, photo_to_rgb

RATE_HZ = 10
"""Frame rate of images whose names have no stamps."""
_AS_THEY_ARE = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png'}
"""Formats that a CompressedImage can have, by the end of the name."""
_DECODED = ('.bmp', '.webp', '.tif', '.tiff')
_LARGEST = 1 << 28
_START_NS = 10**9
"""Stamp of the first image without a stamp in its name; a stamp of 0 would not be usable."""


def is_picture_folder(path: Path) -> bool:
    """Tell whether a path is a folder with images and without a recording."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return False
    names = [file.name for file in path.iterdir()]
    return not any(map(is_storage_name, names)) and any(map(_is_picture, names))


def write_picture_bag(folder: Path, bag: Path, on_frame: Callable[[], None] = lambda: None,
                      on_warning: Callable[[str], None] = lambda sentence: None) -> int:
    """
    Write the images of a folder to the topic `/camera/image/compressed` of a new bag.

    JPEG and PNG are written as they are. Other formats are written as PNG. The order is that of
    the names, in which numbers count as numbers. If each name has a stamp (seconds or
    nanoseconds), this is the stamp of the image. Otherwise the images follow each other at 10 Hz.

    :param folder: a folder of images.
    :param bag: folder of the bag; it must not exist yet.
    :param on_frame: called after each image that was written.
    :param on_warning: called with a sentence if the names have no stamps.
    :returns: the number of images.
    :raises BagError: if an image of another format than JPEG and PNG cannot be read.
    """
    files = sorted((f for f in folder.iterdir() if _is_picture(f.name)), key=natural_order)
    stamps = _stamps(files)
    if stamps is None:
        on_warning(f"the names of the images in '{folder}' have no stamps, so they are taken to "
                   f'follow each other at {RATE_HZ} Hz')
        stamps = [_START_NS + i * 10**9 // RATE_HZ for i in range(len(files))]
    else:
        files = [file for _, file in sorted(zip(stamps, files))]
        stamps = sorted(stamps)
    store = typestore()
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(f'{TOPIC}/compressed', COMPRESSED, typestore=store)
        for stamp_ns, file in zip(stamps, files):
            codec, data = _content(file)
            header = store.types['std_msgs/msg/Header'](
                store.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9)), FRAME_ID)
            message = store.types[COMPRESSED](header, codec, data)
            writer.write(connection, stamp_ns, store.serialize_cdr(message, COMPRESSED))
            on_frame()
        writer.set_custom_data(NAMES, json.dumps([file.name for file in files]))
    return len(files)


def _is_picture(name: str) -> bool:
    return name.lower().endswith((*_AS_THEY_ARE, *_DECODED))


def _stamps(files: Sequence[Path]) -> list[int] | None:
    """Return the stamps in the names; None unless all have one and they all differ."""
    found = [stamp for file in files if (stamp := stamp_in_name(file.stem)) is not None]
    return found if len(set(found)) == len(files) else None


def _content(file: Path) -> tuple[str, np.ndarray]:
    """Return the codec and the data of a CompressedImage."""
    codec = _AS_THEY_ARE.get(file.suffix.lower())
    try:
        data = read_regular(file, _LARGEST)
        if codec:
            return codec, np.frombuffer(data, np.uint8)
        bgr = cv2.cvtColor(photo_to_rgb(data), cv2.COLOR_RGB2BGR)
    except (OSError, ConvertError) as error:
        raise BagError(f"'{file}' {error}") from error
    return 'png', cv2.imencode('.png', bgr)[1].ravel()
