# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the camera frames of a rosbag2, and the ground truth if the bag has any."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
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
from vl4ad_ros.images import compressed_to_rgb, image_to_rgb, MAX_PIXELS, SampleDepth

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
TRUTH_PREFIX = '/ground_truth/'
LABEL_TOPIC, OBJECT_TOPIC = TRUTH_PREFIX + 'anomaly', TRUTH_PREFIX + 'object_id'
ANOMALIES_KEY, KNOWN_KEY = 'vl4ad_anomalies', 'vl4ad_known'
"""Keys of the bag's custom data: JSON lists of objects, each with at least a number and a kind."""

_DECODERS: Mapping[str, Callable[..., np.ndarray]] = {
    RAW: image_to_rgb, COMPRESSED: compressed_to_rgb}

_STAMP = (struct.Struct('>iI'), struct.Struct('<iI'))
"""Layout of the stamp, indexed by the byte-order bit of the CDR header (0: big endian)."""
_HEADER_BYTES = 12
"""Bytes of the CDR header and of the stamp; a shorter message cannot be read."""


class BagError(ValueError):
    """A bag or a frame that cannot be used; the message says what was found and what to do."""


@dataclass(frozen=True)
class BagFrame:
    """
    One camera message as it is stored in the bag.

    :ivar index: position among the messages of the camera topic, from 0.
    :ivar time_ns: when the message was recorded, nanoseconds since the epoch.
    :ivar stamp_ns: stamp of the message header, nanoseconds since the epoch.
    :ivar cdr: the serialised message (CDR, with its 4-byte header).
    """

    index: int
    time_ns: int
    stamp_ns: int
    cdr: bytes


class CameraBag:
    """
    One image topic of a rosbag2 directory, or of a single .mcap or .db3 file.

    Messages are decoded by the functions that the node uses, so that offline evaluation and the
    node process the same pixels.

    Example::

        bag = CameraBag('recording', '/camera/image')
        for image in bag.images():
            print(image.shape)

    :ivar path: the bag, as it was given.
    :ivar topic: name of the camera topic.
    :ivar compressed: whether the topic carries CompressedImage messages.
    :ivar has_truth: whether the bag has messages on both ground-truth topics.
    :ivar label_count: number of messages on `/ground_truth/anomaly`; 0 without ground truth.
    """

    def __init__(self, path: Path | str, topic: str | None = None) -> None:
        """
        Open a bag and choose its camera topic.

        :param path: a rosbag2 directory, or a single .mcap or .db3 file.
        :param topic: name of the image topic; None chooses the only one outside of
            `/ground_truth/`.
        :raises BagError: if the bag does not exist or cannot be read, if `topic` is not one of its
            image topics, if there is no image topic or more than one to choose from, or if the
            topic has no message.
        """
        self.path = Path(path)
        self._depth = SampleDepth()
        with self._reader() as reader:
            self._camera = _choose(self.path, reader.connections, topic)
            counts = {c.topic: c.msgcount for c in reader.connections}
            self._object_names = _object_names(reader)
        self.topic = self._camera.topic
        self.compressed = self._camera.msgtype == COMPRESSED
        self.has_truth = bool(counts.get(LABEL_TOPIC) and counts.get(OBJECT_TOPIC))
        self.label_count = counts[LABEL_TOPIC] if self.has_truth else 0
        if not self.times_ns:
            raise BagError(f"'{path}': the topic {self.topic} has no messages; check that the "
                           'camera publishes and record again')

    @cached_property
    def _times_and_stamps(self) -> list[tuple[int, int]]:
        return [(f.time_ns, f.stamp_ns) for f in self.frames()]

    @property
    def times_ns(self) -> list[int]:
        """The record time of each frame, in nanoseconds since the epoch and rising order."""
        return [time_ns for time_ns, _ in self._times_and_stamps]

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last frame plus one mean frame period; 0 for one frame."""
        times = self.times_ns
        span = times[-1] - times[0]
        return (span + (span / (len(times) - 1) if span else 0)) / 1e9

    def frames(self) -> Iterator[BagFrame]:
        """
        Yield every camera message in the order of recording, without decoding it.

        :raises BagError: if the bag is damaged, or if a message has no complete header.
        """
        for index, (time_ns, cdr) in enumerate(self._messages(self.topic)):
            if len(cdr) < _HEADER_BYTES:
                raise BagError(f"'{self.path}': frame {index} of {self.topic} has only "
                               f'{len(cdr)} bytes; record or copy the bag again')
            yield BagFrame(index, time_ns, stamp_of(cdr), cdr)

    def images(self) -> Iterator[np.ndarray]:
        """
        Yield every frame as (H, W, 3) uint8 RGB; the arrays may be read-only.

        :raises BagError: if a frame cannot be decoded; the message names the frame.
        """
        for frame in self.frames():
            yield self.decode(frame)

    def labelled_frames(
            self) -> Iterator[tuple[BagFrame, np.ndarray | None, np.ndarray | None]]:
        """
        Yield every frame with its ground truth.

        :returns: the frame, its label and its object ids, as `truth_maps` yields them; both are
            None for a frame without ground truth.
        :raises BagError: as `frames` and `truth_maps`.
        """
        maps = self.truth_maps() if self.has_truth else iter(())
        following = next(maps, None)
        for frame in self.frames():
            label = ids = None
            if following is not None and following[0] == frame.index:
                _, label, ids = following
                following = next(maps, None)
            yield frame, label, ids

    def decode(self, frame: BagFrame, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """
        Decode one frame as the node does.

        The bits that the camera uses of 16-bit values are those of the frames that were decoded
        before, as in the node. So decode the frames of such a camera in their order.

        :param frame: a frame of this bag.
        :param max_pixels: largest width times height that is decoded, as the node's parameter
            `image.max_pixels`.
        :returns: (H, W, 3) uint8 RGB; the array may be read-only.
        :raises BagError: if the frame is larger or cannot be decoded; the message names it.
        """
        decoder = _DECODERS[self._camera.msgtype]
        try:
            return decoder(typestore().deserialize_cdr(frame.cdr, self._camera.msgtype),
                           max_pixels=max_pixels, depth=self._depth)
        except Exception as error:
            raise BagError(
                f"'{self.path}': frame {frame.index} of {self.topic} cannot be decoded: "
                f'{error or type(error).__name__}') from error

    def truth_maps(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """
        Yield the ground truth of the frames that have any, in the order of the frames.

        A label belongs to the frame with the same header stamp. If several frames have that
        stamp, it belongs to the first of them that follows the frame of the label before.

        :returns: frame index, label (H, W) uint8 with 0 for normal, 1 for anomalous and 255 for
            ignored pixels, and object ids (H, W) uint8 or uint16 with 0 for no object. An object
            on normal pixels is a known thing that was pasted.
        :raises BagError: if the bag is damaged, or if a map is not mono8 or mono16.
        """
        frames_with: dict[int, list[int]] = defaultdict(list)
        for index, (_, stamp) in enumerate(self._times_and_stamps):
            frames_with[stamp].append(index)
        objects = self._stamped_maps(OBJECT_TOPIC)
        waiting: dict[int, np.ndarray] = {}
        last = -1
        for stamp, label in self._stamped_maps(LABEL_TOPIC):
            while stamp not in waiting:
                following = next(objects, None)
                if following is None:
                    break
                waiting[following[0]] = following[1]
            ids = waiting.pop(stamp, None)
            candidates = frames_with.get(stamp, [])
            place = bisect_right(candidates, last)
            if ids is not None and place < len(candidates):
                last = candidates[place]
                yield last, label, ids

    def truth(self) -> Truth | None:
        """
        Return the ground truth of the bag without its pixels; None if the bag has none.

        :raises BagError: as `truth_maps`, or if no label belongs to a frame.
        """
        if not self.has_truth:
            return None
        frames = {i: TruthFrame.of(*maps) for i, *maps in self.truth_maps()}
        if not frames:
            raise BagError(
                f"'{self.path}': 0 of {self.label_count} labels matched: no message of "
                f'{LABEL_TOPIC} has the header stamp both of a frame of {self.topic} and of a '
                f'message of {OBJECT_TOPIC}; write the ground truth with the stamps of the '
                'images')
        return Truth(frames, self.times_ns, self._object_names)

    def messages_of(self, kind: str) -> Iterator[tuple[str, int, Any]]:
        """
        Yield all messages of a type, one topic after the other.

        :param kind: such as `nav_msgs/msg/Odometry`, one of the types of `typestore`.
        :returns: topic, record time in nanoseconds since the epoch, and message, in the order of
            recording for each topic.
        :raises BagError: if the bag is damaged.
        """
        with self._reader() as reader:
            topics = sorted({c.topic for c in reader.connections if c.msgtype == kind})
        for topic in topics:
            for time_ns, cdr in self._messages(topic):
                yield topic, time_ns, typestore().deserialize_cdr(cdr, kind)

    def _stamped_maps(self, topic: str) -> Iterator[tuple[int, np.ndarray]]:
        for _, cdr in self._messages(topic):
            message: Any = typestore().deserialize_cdr(cdr, RAW)
            dtype = {'mono8': 'u1', 'mono16': '>u2' if message.is_bigendian else '<u2'}.get(
                message.encoding)
            if dtype is None:
                raise BagError(
                    f"'{self.path}': {topic} has the encoding '{message.encoding}', expected "
                    f'mono8 ({LABEL_TOPIC}) or mono16 ({OBJECT_TOPIC}); convert the ground truth')
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

    def _reader(self) -> closing[Reader]:
        expected = 'expected a rosbag2 directory (with metadata.yaml), or a .mcap or .db3 file'
        if not self.path.exists():
            raise BagError(f"no bag at '{self.path}': there is no such file; {expected}")
        try:
            reader = Reader(self.path)
            reader.open()
        except Exception as error:
            raise BagError(
                f"'{self.path}' is not a readable bag: {error}; {expected}") from error
        # The reader is open already, and its own context manager would open it a second time.
        return closing(reader)


def stamp_of(cdr: bytes) -> int:
    """
    Read the stamp of a serialised message without deserialising it.

    :param cdr: a message that begins with std_msgs/Header, with its 4-byte CDR header.
    :returns: nanoseconds since the epoch.
    """
    seconds, nanoseconds = _STAMP[cdr[1] & 1].unpack_from(cdr, 4)
    return seconds * 10**9 + nanoseconds


def _object_names(reader: Reader) -> dict[int, str]:
    """Return the kind of each ground-truth object by its id, where the bag's metadata names it."""
    custom = reader.storage.metadata.custom or {}
    return {a['number']: a['kind'] for key in (ANOMALIES_KEY, KNOWN_KEY)
            for a in json.loads(custom.get(key, '[]'))}


def _choose(path: Path, connections: list[Connection], topic: str | None) -> Connection:
    """Return the connection of the camera topic."""
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
    raise BagError(f"'{path}' has no topic of type sensor_msgs Image or CompressedImage; it holds "
                   f'{found}. Record a camera with: ros2 bag record /camera/image')
