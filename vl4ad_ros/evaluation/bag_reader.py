# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the camera frames of a recording, and its ground truth if there is any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
import json
from pathlib import Path
from typing import Any

import numpy as np

from vl4ad_ros.evaluation import frame_times
from vl4ad_ros.evaluation.alert_metrics import Truth, TruthFrame
from vl4ad_ros.evaluation.frame_times import FrameTimes
from vl4ad_ros.evaluation.ground_truth import (
    FileLabels, Frames, Maps, TopicLabels, WindowLabels)
from vl4ad_ros.evaluation.label_map import LabelMap
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE
from vl4ad_ros.evaluation.storage.recording import anomalies_of, Recording
from vl4ad_ros.evaluation.storage.stored import BagError, OnRead, Place, stamp_of, Topic
from vl4ad_ros.images import compressed_to_rgb, image_size, image_to_rgb, MAX_PIXELS, SampleDepth

__all__ = ['BagError', 'BagFrame', 'CameraBag', 'COMPRESSED', 'LabelOptions', 'RAW', 'Span',
           'stamp_of', 'VIDEO_TYPES', 'VideoTopicError']

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
TRUTH_PREFIX = '/ground_truth/'
LABEL_TOPIC, OBJECT_TOPIC = TRUTH_PREFIX + 'anomaly', TRUTH_PREFIX + 'object_id'
NAMES = 'vl4ad_names'
"""Key of the `custom_data` of a bag that holds the file name of each frame, as a JSON list."""

LOST = 'vl4ad_lost'
"""Key of the `custom_data` of a bag that holds how many frames were lost in its making."""
VIDEO_TYPES = ('foxglove_msgs/msg/CompressedVideo', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket')
"""Types of topics whose messages are packets of a video."""
_VIDEO_FORMATS = ('h264', 'h265', 'hevc', 'av1', 'vp9')
"""Formats of a CompressedImage that holds a packet of a video."""

_DECODERS: Mapping[str, Callable[..., np.ndarray]] = {
    RAW: image_to_rgb, COMPRESSED: compressed_to_rgb}
_DEPTH_ENCODINGS = ('16uc1', '32fc1')
_TRANSPORT = '/compressed'
"""What image_transport puts after the name of a topic of compressed images."""
_TRANSPORTS = (_TRANSPORT, '/ffmpeg')


class VideoTopicError(BagError):
    """
    The camera topic has packets of a video, which must be converted first.

    :ivar topic: the topic.
    """

    def __init__(self, message: str, topic: Topic) -> None:
        """
        Keep the topic.

        :param message: the sentence.
        :param topic: the topic.
        """
        super().__init__(message)
        self.topic = topic


@dataclass(frozen=True)
class Span:
    """
    A part of a recording.

    :ivar start_s: where it begins, seconds after the first frame of the camera.
    :ivar duration_s: how long it is, in seconds; None stands for all that follows.
    """

    start_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True)
class LabelOptions:
    """
    Where the ground truth is, and what its values mean.

    :ivar path: a folder of label images, or a YAML file with boxes in windows of time; None
        takes the topics below.
    :ivar label_topic: name of the topic with labels; None takes the usual one, if it is there.
    :ivar object_topic: name of the topic with object ids; None takes the usual one.
    :ivar label_map: meaning of the values of the labels.
    :ivar camera: name of the camera if there are several: the usual topics are
        `/ground_truth/<camera>/anomaly` and `/ground_truth/<camera>/object_id` then, else
        `/ground_truth/anomaly` and `/ground_truth/object_id`.
    """

    path: Path | None = None
    label_topic: str | None = None
    object_topic: str | None = None
    label_map: LabelMap = LabelMap()
    camera: str = ''

    def usual(self, topic: str) -> str:
        """Return the usual topic of this camera for one of the only camera."""
        return topic.replace(TRUTH_PREFIX, f'{TRUTH_PREFIX}{self.camera}/', 1
                             ) if self.camera else topic


@dataclass(frozen=True)
class BagFrame:
    """
    One camera message as it is stored in the recording.

    :ivar index: position among the frames that are read, from 0.
    :ivar time_ns: when the message was recorded, nanoseconds since the epoch; a time that is
        wrong is replaced, as `FrameTimes` says.
    :ivar stamp_ns: stamp of the message header, nanoseconds since the epoch; `time_ns` if the
        message is too short to have one.
    :ivar cdr: the serialised message (CDR, with its 4-byte header); empty if it is damaged.
    """

    index: int
    time_ns: int
    stamp_ns: int
    cdr: bytes


class CameraBag:
    """
    One image topic of a recording.

    Messages are decoded by the functions that the node uses, so that offline evaluation and the
    node process the same pixels.

    Example::

        bag = CameraBag('recording', '/camera/image')
        for image in bag.images():
            print(image.shape)

    :ivar path: the recording, as it was given.
    :ivar topic: name of the camera topic.
    :ivar compressed: whether the topic carries CompressedImage messages.
    :ivar times_ns: the time of each frame, nanoseconds since the epoch; it never decreases.
    :ivar lost: number of messages of the topic that are known to be unreadable in their file.
    :ivar notes: a sentence about each thing that cannot be read or that is not as it should be.
    """

    def __init__(self, path: Path | str, topic: str | None = None, span: Span = Span(),
                 labels: LabelOptions = LabelOptions(),
                 on_read: OnRead = lambda size: None) -> None:
        """
        Open a recording and choose its camera topic.

        :param path: a rosbag2 folder, a single .mcap or .db3 file, or a ROS 1 bag. Files may be
            compressed with zstd, unfinished, or without metadata.yaml.
        :param topic: name of the image topic; None chooses the only camera outside of
            `/ground_truth/`.
        :param span: the part of the recording to read.
        :param labels: where the ground truth is.
        :param on_read: called with a number of bytes, several times while the files are read.
        :raises BagError: if the recording does not exist or cannot be read, if `topic` is not one
            of its image topics, if there is no camera or more than one to choose from, or if
            there is no frame.
        """
        self.path = Path(path)
        self._depth = SampleDepth()
        self._labels = labels
        self._known_shape: tuple[int, tuple[int, int]] = -1, (0, 0)
        self._recording = Recording(self.path, (*_DECODERS, *VIDEO_TYPES), on_read)
        self._camera = self._choose(topic)
        self.topic = self._camera.name
        self.compressed = self._camera.type == COMPRESSED
        self.lost = (self._recording.lost[self._camera]
                     + int(self._recording.custom.get(LOST, 0)))
        places = self._recording.places(self._camera)
        times = FrameTimes.of([p.time_ns for _, p in places], [p.stamp_ns for _, p in places],
                              self.topic)
        self.notes = [*self._recording.notes, *times.notes]
        first = times.times_ns[0] + span.start_s * 1e9
        last = first + (span.duration_s * 1e9 if span.duration_s is not None else np.inf)
        kept = [i for i, time_ns in enumerate(times.times_ns) if first <= time_ns <= last]
        if not kept:
            raise BagError(f"'{path}': no frame of {self.topic} lies from {span.start_s:g} s on; "
                           f'the recording has {frame_times.duration_s(times.times_ns):.1f} s')
        self.times_ns = [times.times_ns[i] for i in kept]
        self._places = [places[times.order[i]] for i in kept]
        names = json.loads(self._recording.custom.get(NAMES, '[]'))
        self._matched = Frames(self.topic, [places[i][1].stamp_ns for i in times.order],
                               times.times_ns, kept, [names[i] for i in times.order if names])

    @property
    def duration_s(self) -> float:
        """
        Seconds from the first to the last frame plus one mean frame period; 0 for one frame.

        Pauses of more than a minute are not counted.
        """
        return frame_times.duration_s(self.times_ns)

    @property
    def has_truth(self) -> bool:
        """Whether there is ground truth."""
        return self._maps is not None

    @property
    def label_count(self) -> int:
        """Number of labels, also of those that belong to no frame; 0 without ground truth."""
        return self._maps.count if self._maps else 0

    @property
    def labelled_count(self) -> int:
        """Number of frames to which a label belongs; 0 without ground truth."""
        return len(self._maps.frames) if self._maps else 0

    def frames(self) -> Iterator[BagFrame]:
        """Yield every camera message in the order of recording, without decoding it."""
        messages = self._recording.messages(self._camera, self._places)
        for index, (place, cdr) in enumerate(messages):
            yield self._frame(index, place, cdr)

    def frame(self, index: int) -> BagFrame:
        """
        Return one camera message, without decoding it.

        :param index: its position among the frames that are read, 0 to ``len(times_ns) - 1``.
        """
        (place, cdr), = self._recording.messages(self._camera, [self._places[index]])
        return self._frame(index, place, cdr)

    def header(self, frame: BagFrame) -> Any:
        """
        Return the header of a frame that can be decoded: a `std_msgs/msg/Header` of rosbags.

        :param frame: a frame of this recording.
        """
        message: Any = typestore().deserialize_cdr(frame.cdr, self._camera.type)
        return message.header

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
        :raises BagError: as `truth_maps`.
        """
        maps = self.truth_maps()
        following = next(maps, None)
        for frame in self.frames():
            label = ids = None
            if following is not None and following[0] == frame.index:
                _, label, ids = following
                following = next(maps, None)
            yield frame, label, ids

    def decode(self, frame: BagFrame, max_pixels: int = MAX_PIXELS,
               max_value: int = 0) -> np.ndarray:
        """
        Decode one frame as the node does.

        The bits that the camera uses of 16-bit values are those of the frames that were decoded
        before, as in the node. So decode the frames of such a camera in their order.

        :param frame: a frame of this recording.
        :param max_pixels: largest width times height that is decoded, as the node's parameter
            `image.max_pixels`.
        :param max_value: value of full brightness in images of 16-bit values, as the node's
            parameter `image.max_value`; 0 finds it out.
        :returns: (H, W, 3) uint8 RGB; the array may be read-only.
        :raises BagError: if the frame is larger or cannot be decoded; the message names it.
        """
        decoder = _DECODERS[self._camera.type]
        if self._depth.max_value != max_value:
            self._depth = SampleDepth(max_value)
        try:
            if not frame.cdr:
                raise ValueError('its data are damaged in the file')
            return decoder(typestore().deserialize_cdr(frame.cdr, self._camera.type),
                           max_pixels=max_pixels, depth=self._depth)
        except Exception as error:
            raise BagError(
                f"'{self.path}': frame {frame.index} of {self.topic} cannot be decoded: "
                f'{error or type(error).__name__}') from error

    def truth_maps(self) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """
        Yield the ground truth of the frames that have any, in the order of the frames.

        A label belongs to the frame whose header stamp is nearest, within half a frame period
        (`label_matching`).

        :returns: frame index, label (H, W) uint8 with 0 for normal, 1 for anomalous and 255 for
            ignored pixels, and object ids (H, W) uint8 or uint16 with 0 for no object, or None if
            the objects have no ids. An object on normal pixels is a known thing that was pasted.
        :raises BagError: if no label belongs to a frame, or if a label has another size than its
            image, has a value of unknown meaning, or cannot be read.
        """
        if self._maps:
            yield from self._maps.maps(self._shape_of)

    def check_size(self, index: int, label: np.ndarray, score: np.ndarray) -> None:
        """
        Check that a label has the size of the image, which can differ from frame to frame.

        :param index: index of the frame.
        :param label: (H, W), the label of the frame.
        :param score: (H, W), the score of the frame.
        :raises BagError: if the sizes differ.
        """
        if label.shape != score.shape:
            source = self._maps.source if self._maps else 'the label'
            raise BagError(f'{source} has {label.shape[1]}x{label.shape[0]} pixels for frame '
                           f'{index}, but the image has {score.shape[1]}x{score.shape[0]}; write '
                           'the ground truth in the size of the images')

    def truth(self) -> Truth | None:
        """
        Return the ground truth of the recording without its pixels; None if it has none.

        :raises BagError: as `truth_maps`.
        """
        if self._maps is None:
            return None
        frames: dict[int, TruthFrame] = {}
        anomalous = ignored = 0
        for index, label, ids in self.truth_maps():
            frames[index] = TruthFrame.of(label, ids)
            anomalous += int((label == ANOMALY).any())
            ignored += int((label == IGNORE).any())
        if not anomalous:
            what = ' and 255' * bool(ignored)
            cure = ('. If 255 stands for an anomaly, say so: --label-map 0:0,255:1'
                    if ignored else '')
            self.note(f'{self._maps.source} has no pixel with the value 1 (anomaly) in its '
                      f'{len(frames)} labels, which have 0{what} only, so average precision and '
                      f'recall are undefined{cure}')
        return Truth(frames, self.times_ns, self._maps.object_names, self._maps.has_objects)

    def messages_of(self, kind: str, name: str | None = None) -> Iterator[tuple[str, int, Any]]:
        """
        Yield all messages of a type that can be read, one topic after the other.

        The times and the part of the recording that were chosen for the camera do not matter here.

        :param kind: such as `nav_msgs/msg/Odometry`, one of the types of `typestore`.
        :param name: of the topic; None stands for all topics of this type.
        :returns: topic, record time in nanoseconds since the epoch, and message, in the order of
            recording for each topic.
        :raises BagError: if the recording cannot be read any more.
        """
        recording = Recording(self.path, (kind,))
        for topic in sorted(topic for topic in recording.topics
                            if topic.type == kind and name in (None, topic.name)):
            for place, cdr in recording.messages(topic, recording.places(topic)):
                try:
                    message = typestore().deserialize_cdr(cdr, kind)
                except Exception:  # rosbags raises many kinds for a damaged message
                    continue
                yield topic.name, place.time_ns, message

    def metadata(self, key: str) -> str | None:
        """
        Return a text of the `custom_data` of the recording; None if it has none.

        :param key: such as `ANOMALIES_KEY` of `storage.recording`.
        """
        return self._recording.custom.get(key)

    def frames_of(self, stamps_ns: Sequence[int], times_ns: Sequence[int]) -> list[int | None]:
        """
        Return the index of the frame that each message of another topic belongs to.

        :param stamps_ns: header stamps of the messages, nanoseconds since the epoch.
        :param times_ns: their record times.
        :returns: None for a message that belongs to no frame that is read.
        """
        index = {place: i for i, place in enumerate(self._matched.kept)}
        return [None if place is None else index.get(place)
                for place in self._matched.match(stamps_ns, times_ns)]

    @cached_property
    def _maps(self) -> Maps | None:
        """The ground truth, matched to the frames; None if there is none."""
        frames, options = self._matched, self._labels
        if options.path is not None:
            if options.path.is_dir():
                return FileLabels(options.path, options.label_map, frames)
            return WindowLabels(options.path, frames)
        label = self._truth_topic(options.label_topic or options.usual(LABEL_TOPIC))
        if label is None:
            if options.label_topic is not None:
                raise BagError(f"'{self.path}' has no labels on '{options.label_topic}'; it holds "
                               f'{_listed(self._recording.topics)}')
            return None
        objects = self._truth_topic(options.object_topic or options.usual(OBJECT_TOPIC))
        return TopicLabels(self._recording, label, objects, options.label_map, frames,
                           anomalies_of(self._recording))

    def _truth_topic(self, name: str) -> Topic | None:
        """Return the topic of this name, or of its compressed copy, that has messages."""
        for topic, count in self._recording.topics.items():
            if topic.name in (name, name + _TRANSPORT) and topic.type in _DECODERS and count:
                return topic
        return None

    def _shape_of(self, index: int) -> tuple[int, int]:
        """Return height and width of a frame, which may be one that cannot be decoded."""
        if self._known_shape[0] != index:
            (_, cdr), = self._recording.messages(self._camera, [self._places[index]])
            try:
                message = typestore().deserialize_cdr(cdr, self._camera.type)
                self._known_shape = index, image_size(message)
            except Exception:  # as in `decode`; the frame is refused there, whatever its label
                self._known_shape = index, self._known_shape[1]
        return self._known_shape[1]

    def _frame(self, index: int, place: Place, cdr: bytes) -> BagFrame:
        return BagFrame(index, self.times_ns[index], place.stamp_ns, cdr)

    def note(self, sentence: str) -> None:
        """
        Add a sentence to the notes, unless they have it.

        :param sentence: about what is not as it should be.
        """
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _choose(self, name: str | None) -> Topic:
        """Return the camera topic; raise BagError if it is not clear which one it is."""
        images = {topic: count for topic, count in self._recording.topics.items()
                  if topic.type in (*_DECODERS, *VIDEO_TYPES)}
        if name is not None:
            found = {topic: count for topic, count in images.items() if topic.name == name}
            if not found:
                listed = ', '.join(sorted({topic.name for topic in images})) or 'none'
                raise BagError(f"'{self.path}' has no image topic '{name}'; its image topics: "
                               f'{listed}')
        else:
            found = {topic: count for topic, count in images.items()
                     if not topic.name.startswith(TRUTH_PREFIX)}
            if not found:
                raise BagError(
                    f"'{self.path}' has no topic of type sensor_msgs Image or CompressedImage; it "
                    f'holds {_listed(self._recording.topics)}. Record a camera with: ros2 bag '
                    'record /camera/image')
        full = {topic: count for topic, count in found.items() if count}
        if not full:
            reason = '. '.join(self._recording.notes) or 'check that the camera publishes'
            raise BagError(f"'{self.path}': the topic {min(found).name} has no messages that can "
                           f'be read; {reason}')
        if name is None and len(full) > 1:
            full = {topic: count for topic, count in full.items() if not self._is_depth(topic)
                    } or full
        if len({_base(topic.name) for topic in full}) > 1:
            names = ', '.join(sorted({topic.name for topic in full}))
            raise BagError(f"'{self.path}' has {len(full)} image topics; choose one with --topic: "
                           f'{names}')
        # One camera can have been recorded raw and compressed. Raw images lost nothing.
        found_topic = max(full, key=lambda topic: (full[topic], topic.type == RAW))
        if found_topic.type in VIDEO_TYPES or self._format(found_topic) in _VIDEO_FORMATS:
            raise VideoTopicError(
                f"'{self.path}': {found_topic.name} has packets of a video; convert it to images "
                'with vl4ad_ros.evaluation.video_topic, as vl4ad evaluate and replay do',
                found_topic)
        return found_topic

    def _format(self, topic: Topic) -> str:
        """Return the format of the first message of a topic of compressed images, else ''."""
        if topic.type != COMPRESSED:
            return ''
        return str(getattr(self._first(topic), 'format', '')).strip().lower()

    def _is_depth(self, topic: Topic) -> bool:
        """Tell whether the first message of a topic is a depth map."""
        message = self._first(topic)
        return (getattr(message, 'encoding', '').lower() in _DEPTH_ENCODINGS
                or 'compresseddepth' in getattr(message, 'format', '').lower())

    def _first(self, topic: Topic) -> Any:
        """Return the first message of a topic; None if it cannot be read."""
        for _, cdr in self._recording.messages(topic, self._recording.places(topic)[:1]):
            try:
                return typestore().deserialize_cdr(cdr, topic.type)
            except Exception:  # rosbags raises many kinds for a damaged message
                break
        return None


def _base(name: str) -> str:
    """Return the name of a camera topic without that of its transport."""
    for transport in _TRANSPORTS:
        name = name.removesuffix(transport)
    return name


def _listed(topics: Mapping[Topic, int]) -> str:
    return ', '.join(sorted(f'{t.name} ({t.type})' for t in topics)) or 'nothing'
