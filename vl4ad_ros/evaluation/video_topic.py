# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Converts a topic of H.264, H.265 or other video packets to a camera bag; needs PyAV.

A packet of `foxglove_msgs/msg/CompressedVideo` (schema of Foxglove, MIT licence) or
`ffmpeg_image_transport_msgs/msg/FFMPEGPacket` (of ros-misc-utilities, Apache-2.0) holds one frame
that mostly needs the frames before it. After a packet that is lost or damaged, the pictures up to
the next key frame would show a mixture of frames, so they are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from vl4ad_ros.evaluation.bag_reader import COMPRESSED, LOST, RAW, VIDEO_TYPES
from vl4ad_ros.evaluation.frame_times import period_ns
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.recording import Recording
from vl4ad_ros.evaluation.storage.stored import BagError, Place, Topic
from vl4ad_ros.evaluation.video_bag import image_message

_CODECS = {'264': 'h264', 'avc': 'h264', '265': 'hevc', 'hevc': 'hevc', 'av1': 'av1',
           'vp9': 'vp9', 'vp8': 'vp8', 'mjpeg': 'mjpeg'}
"""Decoder by a part of the name that a message gives, such as libx264 or hevc_nvenc."""


_LARGEST_STEP = 1.75
"""Multiple of the median time between packets from which on a packet is taken to be lost."""


def write_video_topic_bag(path: Path, topic: Topic, bag: Path,
                          on_frame: Callable[[], None] = lambda: None,
                          on_warning: Callable[[str], None] = lambda sentence: None) -> int:
    """
    Write the pictures of a video topic, and all other image topics, to a new bag.

    :param path: the recording.
    :param topic: the video topic; its pictures become JPEG images on a topic of the same name.
    :param bag: folder of the bag; it must not exist yet.
    :param on_frame: called after each picture that was written.
    :param on_warning: called with a sentence if packets gave no picture.
    :returns: the number of pictures.
    :raises BagError: if no packet gives a picture, or the codec is unknown.
    :raises ModuleNotFoundError: if PyAV is not installed.
    """
    recording = Recording(path, (RAW, COMPRESSED, *VIDEO_TYPES))
    for sentence in recording.notes:
        on_warning(sentence)
    store, count = typestore(), 0
    places = recording.places(topic)
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        camera = writer.add_connection(topic.name, COMPRESSED, typestore=store)
        for place, picture in _pictures(recording, topic):
            message = image_message(picture, place.stamp_ns, compressed=True)
            writer.write(camera, place.time_ns, store.serialize_cdr(message, COMPRESSED))
            count += 1
            on_frame()
        for other in recording.topics:
            if other.type in (RAW, COMPRESSED) and other != topic:
                connection = writer.add_connection(*other, typestore=store)
                for place, cdr in recording.messages(other, recording.places(other)):
                    writer.write(connection, place.time_ns, cdr)
        lost = len(places) - count + recording.lost[topic]
        writer.set_custom_data(LOST, str(lost))
        for key, value in recording.custom.items():
            writer.set_custom_data(key, value)
    if not count:
        raise BagError(f"'{path}': none of the {len(places)} packets of {topic.name} gives a "
                       'picture; a recording must have at least one key frame (parameter sets '
                       'and a picture that needs no other)')
    if lost:
        on_warning(f'{lost} of {len(places)} packets of {topic.name} give no whole picture, '
                   'because they are damaged or come before a key frame; they are left out')
    return count


def _pictures(recording: Recording, topic: Topic) -> Iterator[tuple[Place, np.ndarray]]:
    """Yield each whole picture, (H, W, 3) uint8 RGB, and the place of its packet."""
    decoder: _Decoder | None = None
    places = recording.places(topic)
    largest_ns = _LARGEST_STEP * (period_ns([p.stamp_ns for _, p in places]) or 0)
    previous_ns: int | None = None
    for place, cdr in recording.messages(topic, places):
        try:
            message: Any = typestore().deserialize_cdr(cdr, topic.type)
        except Exception:  # rosbags raises many kinds for a damaged message
            continue  # It is a gap for the packets that follow.
        if previous_ns is not None and place.stamp_ns - previous_ns > largest_ns and decoder:
            yield from decoder.finish()
            decoder = None
        previous_ns = place.stamp_ns
        if decoder is None:
            said = str(getattr(message, 'format', '') or getattr(message, 'encoding', ''))
            decoder = _Decoder(said, f"'{recording.path}': {topic.name}")
        yield from decoder.add(place, bytes(message.data))
    if decoder is not None:
        yield from decoder.finish()


class _Decoder:
    """Decodes packets without a gap between them."""

    def __init__(self, said: str, where: str) -> None:
        """
        Begin to wait for a key frame.

        :param said: the codec, as a message names it.
        :param where: the recording and the topic, for messages.
        :raises BagError: if the codec is unknown.
        """
        import av

        name = next((name for part, name in _CODECS.items() if part in said.lower()), None)
        if name is None:
            raise BagError(f"{where} has the codec '{said}', which is unknown; expected one of "
                           f'{", ".join(_CODECS)}')
        self._error = av.error.FFmpegError
        self._packet = av.Packet
        self._codec: Any = av.CodecContext.create(name, 'r')
        # With one thread no picture is held back for longer than its order asks for.
        self._codec.thread_count = 1
        self._places: list[Place] = []
        self._awaits_key = True

    def add(self, place: Place, data: bytes) -> Iterator[tuple[Place, np.ndarray]]:
        """Decode one packet; yield the pictures that are whole now."""
        packet = self._packet(data)
        packet.pts = packet.dts = len(self._places)
        self._places.append(place)
        yield from self._decode(packet)

    def finish(self) -> Iterator[tuple[Place, np.ndarray]]:
        """Yield the pictures that were held back."""
        yield from self._decode(None)

    def _decode(self, packet: Any) -> Iterator[tuple[Place, np.ndarray]]:
        try:
            frames = self._codec.decode(packet)
        except self._error:
            self._awaits_key = True
            return
        for frame in frames:
            if frame.is_corrupt:
                self._awaits_key = True
            elif frame.key_frame:
                self._awaits_key = False
            if not self._awaits_key and frame.pts is not None:
                yield self._places[frame.pts], frame.to_ndarray(format='rgb24')
