# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of ground truth of a recording: label topics, label images, and boxes in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
import re
from typing import Any, Protocol, TypeVar

import numpy as np

from vl4ad_ros.evaluation.label_map import LabelMap
from vl4ad_ros.evaluation.label_matching import match_by_stamp
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, NORMAL
from vl4ad_ros.evaluation.storage.recording import Recording
from vl4ad_ros.evaluation.storage.stored import BagError, Place, Topic
from vl4ad_ros.files import read_regular
from vl4ad_ros.images import ConvertError
from vl4ad_ros.images.labels import label_file_values, label_values
import yaml

_LARGEST_LABEL = 1 << 28
_LARGEST_WINDOWS = 1 << 24
_SUFFIXES = ('.png', '.tif', '.tiff')
_SHOWN = 3
"""Number of stamps that an error message shows."""
_NANOSECONDS = 15
"""A whole number with so many digits is a stamp in nanoseconds; one with fewer, in seconds."""

_Label = TypeVar('_Label')


@dataclass(frozen=True)
class Frames:
    """
    The frames that ground truth is matched to.

    :ivar topic: name of the camera topic.
    :ivar stamps_ns: header stamp of each frame of the whole recording, nanoseconds.
    :ivar times_ns: time of each of these frames in the recording, nanoseconds.
    :ivar kept: positions of the frames that are read, in rising order; the index of a frame is
        its place among them.
    :ivar names: name of the file of each frame where the frames were files; else empty.
    """

    topic: str
    stamps_ns: Sequence[int]
    times_ns: Sequence[int]
    kept: Sequence[int]
    names: Sequence[str] = ()

    def within(self, labels: Mapping[int, _Label]) -> dict[int, _Label]:
        """
        Return the labels of the frames that are read.

        :param labels: by position of the frame in the whole recording.
        :returns: by index of the frame.
        """
        return {index: labels[i] for index, i in enumerate(self.kept) if i in labels}

    def match(self, stamps_ns: Sequence[int], times_ns: Sequence[int]) -> list[int | None]:
        """
        Return the position in the whole recording of the frame that each message belongs to.

        :param stamps_ns: header stamps of the messages, nanoseconds.
        :param times_ns: their record times, which count if all frames have the same stamp.
        :returns: None for a message that belongs to no frame.
        """
        if len(set(self.stamps_ns)) == 1 < len(self.stamps_ns):
            # Stamps that are all zero, or all the same, say nothing. The record times are left.
            return match_by_stamp(self.times_ns, times_ns)
        return match_by_stamp(self.stamps_ns, stamps_ns)


ShapeOf = Callable[[int], tuple[int, int]]
"""Height and width of the image of a frame in pixels, by its index."""


class Maps(Protocol):
    """
    The ground truth of a recording, matched to its frames.

    :ivar source: topic or path, for messages.
    :ivar count: number of labels, also of those that belong to no frame, but without those of
        frames that are not read.
    :ivar frames: the frames that have a label, in rising order.
    :ivar has_objects: whether objects have ids.
    :ivar object_names: kind of each object by its id, where it is known.
    """

    source: str
    count: int
    frames: Sequence[int]
    has_objects: bool
    object_names: Mapping[int, str]

    def maps(self, shape_of: ShapeOf) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """
        Yield the ground truth in the order of `frames`.

        :param shape_of: gives the height and width of a frame by its index.
        :returns: frame index, label (H, W) uint8 with 0 for normal, 1 for anomalous and 255 for
            ignored pixels, and object ids (H, W) uint8 or uint16 with 0 for no object, or None.
        :raises BagError: if a label has another size or an unknown value, or cannot be read.
        """


@dataclass
class TopicLabels:
    """Labels, and possibly object ids, that were recorded as messages; implements `Maps`."""

    recording: Recording
    label_topic: Topic
    object_topic: Topic | None
    label_map: LabelMap
    matched: Frames
    object_names: Mapping[int, str]
    source: str = field(init=False)
    count: int = field(init=False)
    frames: Sequence[int] = field(init=False)
    has_objects: bool = field(init=False)

    def __post_init__(self) -> None:
        """
        Match the labels to the frames.

        :raises BagError: if none of them belongs to a frame.
        """
        self.source = self.label_topic.name
        places = self.recording.places(self.label_topic)
        self.count = len(places)
        matched = _by_frame(places, self.matched)
        if not matched:
            first = ', '.join(_seconds(p.stamp_ns) for _, p in places[:_SHOWN])
            frames = ', '.join(map(_seconds, self.matched.stamps_ns[:_SHOWN]))
            raise BagError(
                f"'{self.recording.path}': labels matched: 0 of {self.count}. The first stamps of "
                f'{self.source} are {first}, those of {self.matched.topic} are {frames}; a label '
                'belongs to a frame if their stamps differ by at most half a frame period. Write '
                'the ground truth with the stamps of the images')
        objects = _by_frame(self.recording.places(self.object_topic), self.matched
                            ) if self.object_topic else {}
        self.has_objects = bool(objects)
        if self.has_objects:
            # A frame without ids could not be told from a frame without objects.
            matched = {i: place for i, place in matched.items() if i in objects}
            if not matched:
                raise BagError(f"'{self.recording.path}': no frame of {self.matched.topic} has "
                               f'both a label of {self.source} and ids of '
                               f'{self.object_topic and self.object_topic.name}; write both with '
                               'the stamps of the images')
        self._labels, self._objects = self.matched.within(matched), self.matched.within(objects)
        self.count -= len(matched) - len(self._labels)
        self.frames = sorted(self._labels)

    def maps(self, shape_of: ShapeOf) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Yield the ground truth as `Maps` says."""
        labels = self._values(self.label_topic, self._labels, shape_of)
        objects: Iterator[np.ndarray | None] = iter([None] * len(self.frames))
        if self.has_objects and self.object_topic:
            objects = self._values(self.object_topic, self._objects, shape_of)
        for index, values, ids in zip(self.frames, labels, objects):
            yield index, _translated(values, self.label_map, self.source, index), ids

    def _values(self, topic: Topic, by_frame: Mapping[int, tuple[int, Place]],
                shape_of: ShapeOf) -> Iterator[np.ndarray]:
        places = [by_frame[index] for index in self.frames]
        for index, (_, cdr) in zip(self.frames, self.recording.messages(topic, places)):
            try:
                values = label_values(typestore().deserialize_cdr(cdr, topic.type))
            except Exception as error:  # rosbags raises many kinds for a damaged message
                raise BagError(f"'{self.recording.path}': the message of {topic.name} for frame "
                               f'{index} cannot be read: {error or type(error).__name__}'
                               ) from error
            yield _fitting(values, shape_of, topic.name, index)


@dataclass
class FileLabels:
    """Label images in a folder, named as the frames or by stamps; implements `Maps`."""

    folder: Path
    label_map: LabelMap
    matched: Frames
    source: str = field(init=False)
    count: int = field(init=False)
    frames: Sequence[int] = field(init=False)
    has_objects: bool = False
    object_names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """
        Match the files to the frames.

        :raises BagError: if there is no label image, or if none of them belongs to a frame.
        """
        self.source = str(self.folder)
        files = sorted(p for p in self.folder.iterdir() if p.suffix.lower() in _SUFFIXES)
        # A coloured copy beside the labels is meant for people.
        files = [p for p in files if not p.stem.lower().endswith(('_color', '_colour'))]
        self.count = len(files)
        if not files:
            raise BagError(f"'{self.folder}' has no label image; expected PNG or TIFF files")
        found = (_by_name(files, self.matched.names) if self.matched.names
                 else _by_stamp(files, self.matched))
        if not found:
            known = self.matched.names[:_SHOWN] or [
                _seconds(s) for s in self.matched.stamps_ns[:_SHOWN]]
            raise BagError(
                f"'{self.folder}': labels matched: 0 of {self.count}. The first files are "
                f'{", ".join(p.name for p in files[:_SHOWN])}, the first frames of '
                f'{self.matched.topic} are {", ".join(known)}. Name each label as its image, or '
                'by its stamp in seconds or nanoseconds')
        self._files = self.matched.within(found)
        self.count -= len(found) - len(self._files)
        self.frames = sorted(self._files)

    def maps(self, shape_of: ShapeOf) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Yield the ground truth as `Maps` says."""
        for index in self.frames:
            file = self._files[index]
            try:
                values = label_file_values(read_regular(file, _LARGEST_LABEL))
            except (OSError, ConvertError) as error:
                raise BagError(f"'{file}' cannot be read: {error}") from error
            values = _fitting(values, shape_of, str(file), index)
            yield index, _translated(values, self.label_map, str(file), index), None


@dataclass(frozen=True)
class Window:
    """
    A time in which an object is in the picture.

    :ivar start_s: first moment, seconds since the first frame.
    :ivar end_s: last moment, seconds since the first frame.
    :ivar boxes: x, y, width and height in pixels of everything that belongs to the object.
    :ivar name: kind of the object; ``''`` if it is not known.
    :ivar ignored: whether the boxes are ignored rather than anomalous.
    """

    start_s: float
    end_s: float
    boxes: Sequence[tuple[int, int, int, int]]
    name: str = ''
    ignored: bool = False


@dataclass
class WindowLabels:
    """Boxes of objects in windows of time, from a YAML file; implements `Maps`."""

    file: Path
    matched: Frames
    source: str = field(init=False)
    count: int = field(init=False)
    frames: Sequence[int] = field(init=False)
    has_objects: bool = True
    object_names: Mapping[int, str] = field(init=False)

    def __post_init__(self) -> None:
        """
        Read the file.

        :raises BagError: if it cannot be read, or no frame lies in any of its windows.
        """
        self.source = str(self.file)
        self._windows = read_windows(self.file)
        self.frames = range(len(self.matched.kept))
        self.count = len(self.frames)
        self.object_names = {i: w.name for i, w in enumerate(self._windows, 1)
                             if w.name and not w.ignored}
        seconds = [(t - self.matched.times_ns[0]) / 1e9 for t in self.matched.times_ns]
        if not any(w.start_s <= s <= w.end_s for w in self._windows for s in seconds):
            raise BagError(f"'{self.file}': none of its {len(self._windows)} windows has a frame; "
                           f'the frames of {self.matched.topic} are at {seconds[0]:.3f} to '
                           f'{seconds[-1]:.3f} s')

    def maps(self, shape_of: ShapeOf) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Yield the ground truth as `Maps` says; what is in no box is normal."""
        times_ns = self.matched.times_ns
        for index in self.frames:
            seconds = (times_ns[self.matched.kept[index]] - times_ns[0]) / 1e9
            shape = height, width = shape_of(index)
            label, ids = np.full(shape, NORMAL, np.uint8), np.zeros(shape, np.uint16)
            for number, window in enumerate(self._windows, 1):
                if not window.start_s <= seconds <= window.end_s:
                    continue
                for x, y, w, h in window.boxes:
                    if x + w > width or y + h > height:
                        raise BagError(f"'{self.file}': the box {[x, y, w, h]} of window {number} "
                                       f'lies outside of frame {index}, which has '
                                       f'{width}x{height} pixels')
                    label[y:y + h, x:x + w] = IGNORE if window.ignored else ANOMALY
                    ids[y:y + h, x:x + w] = 0 if window.ignored else number
            yield index, label, ids


def read_windows(file: Path) -> list[Window]:
    """
    Read windows of time with boxes.

    :param file: a YAML file with a list ``windows`` of entries such as ``{start: 2.0, end: 5.5,
        boxes: [[x, y, w, h]], name: cow}``: seconds since the first frame, and pixels of the
        image. ``name`` and ``ignored: true`` are optional.
    :raises BagError: if it cannot be read or has something else.
    """
    try:
        content: Any = yaml.safe_load(read_regular(file, _LARGEST_WINDOWS).decode('utf-8-sig'))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BagError(f"'{file}' cannot be read: {error}") from error
    windows = content.get('windows') if isinstance(content, dict) else None
    if not isinstance(windows, list) or not windows:
        raise BagError(f"'{file}' has no list 'windows'; expected entries such as "
                       '{start: 2.0, end: 5.5, boxes: [[10, 20, 30, 40]], name: cow}')
    return [_window(entry, f"'{file}', window {number}")
            for number, entry in enumerate(windows, 1)]


def _window(entry: Any, where: str) -> Window:
    try:
        found = Window(float(entry['start']), float(entry['end']),
                       tuple((int(x), int(y), int(w), int(h)) for x, y, w, h in entry['boxes']),
                       str(entry.get('name', '')), bool(entry.get('ignored', False)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BagError(f'{where} is wrong ({type(error).__name__}: {error}); expected start and '
                       'end in seconds and boxes as a list of [x, y, width, height]') from error
    unknown = set(entry) - {'start', 'end', 'boxes', 'name', 'ignored'}
    if unknown:
        raise BagError(f'{where} has {sorted(map(str, unknown))}; expected start, end, boxes, '
                       'name, ignored')
    if not 0 <= found.start_s <= found.end_s or not found.boxes or any(
            x < 0 or y < 0 or w < 1 or h < 1 for x, y, w, h in found.boxes):
        raise BagError(f'{where} is wrong; expected 0 <= start <= end and at least one box with a '
                       'width and a height above 0')
    return found


def _by_frame(places: Sequence[tuple[int, Place]], frames: Frames) -> dict[int, tuple[int, Place]]:
    """Return the place of the label of each frame that has one."""
    found = frames.match([p.stamp_ns for _, p in places], [p.time_ns for _, p in places])
    return {index: place for index, place in zip(found, places) if index is not None}


def _by_name(files: Sequence[Path], names: Sequence[str]) -> dict[int, Path]:
    """Match files whose name begins as that of an image, such as a_labels.png for a.jpg."""
    stems = {Path(name).stem: index for index, name in enumerate(names)}
    # Cityscapes and LostAndFound end the name of an image with _leftImg8bit.
    stems |= {stem.removesuffix('_leftImg8bit'): index for stem, index in list(stems.items())}
    found: dict[int, Path] = {}
    for file in files:
        stem = file.stem
        while stem and stem not in stems:
            # One part of the name after the other is left out: a_gtCoarse_labelIds, a_gtCoarse, a.
            stem = re.sub(r'(^|[_.-])[^_.-]*$', '', stem)
        if stem in stems:
            found.setdefault(stems[stem], file)
    return found


def _by_stamp(files: Sequence[Path], frames: Frames) -> dict[int, Path]:
    """Match files whose name begins with a stamp."""
    stamped = [(stamp, file) for file in files if (stamp := stamp_in_name(file.stem)) is not None]
    found = match_by_stamp(frames.stamps_ns, [stamp for stamp, _ in stamped])
    return {index: file for index, (_, file) in zip(found, stamped) if index is not None}


def stamp_in_name(stem: str) -> int | None:
    """
    Return the stamp in the name of a file.

    :param stem: its name without the suffix, such as ``1403636579763555584`` (nanoseconds),
        ``1305031102.175304`` (seconds), or one of these with a word before or after it.
    :returns: nanoseconds; None if the name has no number of at least nine digits.
    """
    match = re.search(r'(?<!\d)(\d{9,19})(?:[.](\d+))?(?!\d)', stem)
    if match is None:
        return None
    if match[2] is None and len(match[1]) >= _NANOSECONDS:
        return int(match[1])
    try:
        return int(Decimal(match[0]) * 10**9)
    except InvalidOperation:
        return None


def _fitting(values: np.ndarray, shape_of: ShapeOf, source: str, index: int) -> np.ndarray:
    shape = shape_of(index)
    if values.shape != shape:
        raise BagError(f'{source} has {values.shape[1]}x{values.shape[0]} pixels for frame '
                       f'{index}, but the image has {shape[1]}x{shape[0]}; write the ground truth '
                       'in the size of the images')
    return values


def _translated(values: np.ndarray, label_map: LabelMap, source: str, index: int) -> np.ndarray:
    unknown = label_map.unknown(values)
    if unknown:
        shown = ', '.join(map(str, unknown[:8])) + (', ...' if len(unknown) > 8 else '')
        known = ', '.join(map(str, list(label_map.meaning)[:8]))
        raise BagError(f'{source} has the value {shown} in frame {index}; expected {known}. Say '
                       'what the values mean with --label-map, such as --label-map '
                       f'0:0,{unknown[0]}:1,255:255')
    return label_map.translated(values)


def _seconds(stamp_ns: int) -> str:
    return f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}'
