# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera frames of a rosbag2, and its ground truth where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
import json
from pathlib import Path
import struct
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from vl4ad_ros.evaluation.alert_metrics import Truth, TruthFrame
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.images import compressed_to_rgb, image_to_rgb

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
TRUTH_PREFIX = '/ground_truth/'
LABEL_TOPIC, OBJECT_TOPIC = TRUTH_PREFIX + 'anomaly', TRUTH_PREFIX + 'object_id'

_DECODERS: Mapping[str, Callable[[Any], np.ndarray]] = {
    RAW: image_to_rgb, COMPRESSED: compressed_to_rgb}

_STAMP = (struct.Struct('>iI'), struct.Struct('<iI'))  # by the CDR header's byte-order bit
_HEADER_BYTES = 12


class BagError(ValueError):
    """A bag that cannot be used; the message says what was found and the cure."""


@dataclass(frozen=True)
class BagFrame:
    """
    One camera message as it lies in the bag.

    :ivar index: 0-based position among the frames of the topic.
    :ivar time_ns: when it was recorded.
    :ivar stamp_ns: its header's stamp.
    :ivar cdr: the serialised message.
    """

    index: int
    time_ns: int
    stamp_ns: int
    cdr: bytes


class CameraBag:
    """
    One image topic of a rosbag2 directory or single .mcap or .db3 file.

    Messages are decoded as the node decodes them, so that offline and online see the same pixels.

    :ivar topic: the camera's topic.
    :ivar compressed: whether it holds CompressedImage.
    """

    def __init__(self, path: Path | str, topic: str | None = None) -> None:
        """
        Choose the camera topic: `topic`, or the only one there is.

        :raises BagError: if there is no bag, it cannot be read, or no or no single image topic.
        """
        self.path = Path(path)
        with self._reader() as reader:
            self._camera = _choose(self.path, reader.connections, topic)
            names = {c.topic for c in reader.connections if c.msgcount}
            self._object_names = _object_names(reader)
        self.topic = self._camera.topic
        self.compressed = self._camera.msgtype == COMPRESSED
        self.has_truth = {LABEL_TOPIC, OBJECT_TOPIC} <= names
        if not self.times_ns:
            raise BagError(f"'{path}': {self.topic} holds no message; record again")

    @cached_property
    def _times_and_stamps(self) -> list[tuple[int, int]]:
        return [(f.time_ns, f.stamp_ns) for f in self.frames()]

    @property
    def times_ns(self) -> list[int]:
        """When each frame was recorded; rising."""
        return [time_ns for time_ns, _ in self._times_and_stamps]

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last one."""
        times = self.times_ns
        span = times[-1] - times[0]
        return (span + (span / (len(times) - 1) if span else 0)) / 1e9

    def frames(self) -> Iterator[BagFrame]:
        """Yield every camera message in order, still serialised."""
        for index, (time_ns, cdr) in enumerate(self._messages(self.topic)):
            if len(cdr) < _HEADER_BYTES:
                raise BagError(f"'{self.path}': frame {index} of {self.topic} is cut off after "
                               f'{len(cdr)} bytes; record or copy the bag again')
            yield BagFrame(index, time_ns, stamp_of(cdr), cdr)

    def images(self) -> Iterator[np.ndarray]:
        """
        Yield every frame as (H, W, 3) uint8 RGB; possibly read-only.

        :raises BagError: naming the frame that cannot be decoded.
        """
        for frame in self.frames():
            yield self.decode(frame)

    def decode(self, frame: BagFrame) -> np.ndarray:
        """
        Return one frame as (H, W, 3) uint8 RGB; possibly read-only.

        :raises BagError: if it cannot be decoded.
        """
        decoder = _DECODERS[self._camera.msgtype]
        try:
            return decoder(typestore().deserialize_cdr(frame.cdr, self._camera.msgtype))
        except Exception as error:
            raise BagError(f"'{self.path}': frame {frame.index} of {self.topic}: "
                           f'{error or "cannot be deserialised"}') from error

    def truth_maps(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield frame index, label (H, W) {0, 1, 255} and object ids (H, W) in frame order."""
        index_of = {stamp: i for i, (_, stamp) in enumerate(self._times_and_stamps)}
        objects = self._stamped_maps(OBJECT_TOPIC)
        waiting: dict[int, np.ndarray] = {}
        for stamp, label in self._stamped_maps(LABEL_TOPIC):
            while stamp not in waiting:
                other, ids = next(objects, (None, None))
                if other is None:
                    break
                waiting[other] = ids
            ids = waiting.pop(stamp, None)
            if ids is not None and stamp in index_of:
                yield index_of[stamp], label, ids

    def truth(self) -> Truth | None:
        """Return the condensed ground truth; None where the bag has none."""
        if not self.has_truth:
            return None
        return Truth({i: TruthFrame.of(*maps) for i, *maps in self.truth_maps()}, self.times_ns,
                     self._object_names)

    def _stamped_maps(self, topic: str) -> Iterator[tuple[int, np.ndarray]]:
        for _, cdr in self._messages(topic):
            message = typestore().deserialize_cdr(cdr, RAW)
            dtype = {'mono8': 'u1', 'mono16': '>u2' if message.is_bigendian else '<u2'}.get(
                message.encoding)
            if dtype is None:
                raise BagError(f"'{self.path}': {topic} is '{message.encoding}'; "
                               'ground truth is mono8 (labels) and mono16 (object ids)')
            rows = np.ascontiguousarray(message.data).reshape(message.height, message.step)
            width = message.width * np.dtype(dtype).itemsize
            yield stamp_of(cdr), np.ascontiguousarray(rows[:, :width]).view(dtype)

    def _messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        with self._reader() as reader:
            chosen = [c for c in reader.connections if c.topic == topic]
            messages = reader.messages(connections=chosen)
            while True:
                try:
                    _, time_ns, cdr = next(messages)
                except StopIteration:
                    return
                except Exception as error:
                    raise BagError(f"'{self.path}' is damaged: {error}; record or copy it "
                                   'again') from error
                yield time_ns, bytes(cdr)

    def _reader(self) -> Reader:
        hint = 'expected a rosbag2 directory (with metadata.yaml) or a .mcap or .db3 file'
        if not self.path.exists():
            raise BagError(f"no bag at '{self.path}': there is no such file; {hint}")
        try:
            reader = Reader(self.path)
            reader.open()
        except Exception as error:
            raise BagError(f"'{self.path}' is not a readable bag: {error} {hint}") from error
        return _Closing(reader)


class _Closing:
    """Closes an already opened reader; Reader's own context would open it again."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __enter__(self) -> Reader:
        return self._reader

    def __exit__(self, *_: object) -> None:
        self._reader.close()


def stamp_of(cdr: bytes) -> int:
    """Return the stamp (ns) of any serialised message that begins with std_msgs/Header."""
    seconds, nanoseconds = _STAMP[cdr[1] & 1].unpack_from(cdr, 4)
    return seconds * 10**9 + nanoseconds


def _object_names(reader: Reader) -> dict[int, str]:
    """Return what each ground-truth object is, as a drawn drive tells; empty for other bags."""
    custom = reader.storage.metadata.custom or {}
    return {a['number']: a['kind'] for a in json.loads(custom.get('vl4ad_anomalies', '[]'))}


def _choose(path: Path, connections: list[Connection], topic: str | None) -> Connection:
    """Return the camera's connection."""
    images = {c.topic: c for c in connections if c.msgtype in (RAW, COMPRESSED)}
    if topic is not None:
        if topic in images:
            return images[topic]
        found = ', '.join(sorted(images)) or 'none'
        raise BagError(f"'{path}' has no image topic '{topic}'; its image topics: {found}")
    cameras = {t: c for t, c in images.items() if not t.startswith(TRUTH_PREFIX)}
    if len(cameras) == 1:
        return next(iter(cameras.values()))
    if cameras:
        raise BagError(f"'{path}' has {len(cameras)} image topics; choose one with --topic: "
                       f'{", ".join(sorted(cameras))}')
    found = ', '.join(sorted(f'{c.topic} ({c.msgtype})' for c in connections)) or 'nothing'
    raise BagError(f"'{path}' holds no sensor_msgs Image or CompressedImage; it holds {found}. "
                   'Record one with: ros2 bag record /camera/image')
