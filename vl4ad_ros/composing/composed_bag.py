# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a recording with pasted objects and its ground truth as a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vl4ad_ros.composing.compose import ComposedFrame, Composer
from vl4ad_ros.composing.placing import PlacedObject
from vl4ad_ros.composing.planning import Plan
from vl4ad_ros.composing.recording import CAMERA_INFO
from vl4ad_ros.evaluation.bag_reader import (
    BagError, BagFrame, COMPRESSED, LABEL_TOPIC, OBJECT_TOPIC, RAW)
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.recording import ANOMALIES_KEY, KNOWN_KEY
from vl4ad_ros.evaluation.true_places import TruePlace
from vl4ad_ros.evaluation.vehicle_messages import (
    camera_transform, KINDS, odometry, optical_frame, TF_STATIC_TOPIC, true_places)
from vl4ad_ros.obstacles.box import Box
from vl4ad_ros.outputs import beside, keep_apart, OutputError

IMAGE_TOPIC, INFO_TOPIC = '/camera/image', '/camera/camera_info'
JPEG_QUALITY = 95


@dataclass
class Sight:
    """
    When an object is in sight.

    :ivar placed: the object.
    :ivar first_s: time of the first frame that shows it, in seconds since the first frame.
    :ivar last_s: time of the last such frame.
    :ivar first_m: its distance ahead of the camera in the first such frame, in metres.
    :ivar last_m: its distance in the last one.
    """

    placed: PlacedObject
    first_s: float
    last_s: float
    first_m: float
    last_m: float


def refuse_output(path: Path, inputs: Iterable[Path]) -> None:
    """
    Refuse a place at which no bag can be written.

    :param path: folder of the bag.
    :param inputs: files and folders that are read.
    :raises OutputError: if it exists, or if it could overwrite an input.
    """
    keep_apart(path, inputs)
    if path.exists():
        raise OutputError(f"'{path}' exists already; remove it, or choose another folder with "
                          '--out')


def write_composed_bag(
        plan: Plan, path: Path,
        on_frame: Callable[[BagFrame, ComposedFrame], None] = lambda frame, composed: None,
        on_refused: Callable[[BagFrame, BagError], None] = lambda frame, error: None,
        ) -> list[Sight]:
    """
    Compose all frames and write them to a new bag, which appears once it is complete.

    The topics are those of the project's drawn drives: `/camera/image` (rgb8, if the recording has
    raw images) or `/camera/image/compressed` (JPEG), `/camera/camera_info` with the camera that
    was used, `/ground_truth/anomaly` (mono8) and `/ground_truth/object_id` (mono16), and those of
    `evaluation.vehicle_messages`: where the camera, the vehicle and the objects are. Stamps, frame
    ids and record times are those of the recording. The custom data of the bag list the anomalies
    and the known things as JSON, with their ground points, and how they were placed.

    :param plan: as `make_plan` returns it.
    :param path: folder of the bag; it must not exist yet.
    :param on_frame: called after each frame that was written.
    :param on_refused: called for each frame that cannot be decoded and is left out.
    :returns: the objects that came into sight, in the order of their numbers.
    :raises OutputError: if `path` exists, lies in the recording or cannot be written.
    :raises BagError: if the recording is damaged, has images of different sizes, or no frame of it
        can be decoded.
    """
    refuse_output(path, [plan.bag.path])
    with beside(path) as partial:
        writer = Writer(partial, version=9, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            return _write(writer, plan, on_frame, on_refused)


def _write(writer: Writer, plan: Plan, on_frame: Callable[[BagFrame, ComposedFrame], None],
           on_refused: Callable[[BagFrame, BagError], None]) -> list[Sight]:
    store, compressed = typestore(), plan.bag.compressed
    kinds = {f'{IMAGE_TOPIC}/compressed' if compressed else IMAGE_TOPIC:
             COMPRESSED if compressed else RAW,
             INFO_TOPIC: CAMERA_INFO, LABEL_TOPIC: RAW, OBJECT_TOPIC: RAW, **KINDS}
    connections = {topic: writer.add_connection(topic, kind, typestore=store)
                   for topic, kind in kinds.items()}
    for key, known in ((ANOMALIES_KEY, False), (KNOWN_KEY, True)):
        writer.set_custom_data(key, json.dumps(
            [_described(item) for item in plan.placed if item.thing.known == known]))
    writer.set_custom_data('vl4ad_composed', json.dumps({
        'notes': list(plan.notes), 'horizon_row': plan.camera.horizon,
        'camera_height_m': plan.camera.height_m}))
    sights: dict[int, Sight] = {}
    by_number = {item.number: item for item in plan.placed}
    camera = optical_frame(plan.camera.height_m, plan.camera.pitch)
    motions = plan.composer.motions(plan.times_ns)
    written = 0
    for frame, label, _ in plan.bag.labelled_frames():
        try:
            image = plan.bag.decode(frame)
        except BagError as error:
            on_refused(frame, error)
            continue
        if image.shape[:2] != plan.size:
            raise BagError(
                f"'{plan.bag.path}': frame {frame.index} has {image.shape[1]} x {image.shape[0]} "
                f'pixels, but others have {plan.size[1]} x {plan.size[0]}; compose recordings of '
                'one camera')
        composed = plan.composer.compose(frame.index, image, label)
        original: Any = store.deserialize_cdr(frame.cdr, COMPRESSED if compressed else RAW)
        header = original.header
        distances = plan.composer.distances(frame.index)
        motion, left_mps = motions[frame.index]
        messages = [_jpeg(header, composed.image) if compressed
                    else _image(header, composed.image, 'rgb8'),
                    _camera_info(header, plan),
                    _image(header, composed.label, 'mono8'),
                    _image(header, composed.object_ids, 'mono16'),
                    camera_transform(header, camera),
                    odometry(header, motion, left_mps),
                    true_places(header, [_place(by_number[number], plan.composer, frame.index)
                                         for number in distances])]
        for (topic, kind), message in zip(kinds.items(), messages):
            if topic != TF_STATIC_TOPIC or not written:
                writer.write(connections[topic], frame.time_ns,
                             store.serialize_cdr(message, kind))
        written += 1
        seconds = (plan.times_ns[frame.index] - plan.times_ns[0]) / 1e9
        for number in np.unique(composed.object_ids[composed.object_ids > 0]).tolist():
            metres = distances[number]
            sight = sights.setdefault(
                number, Sight(by_number[number], seconds, seconds, metres, metres))
            sight.last_s, sight.last_m = seconds, metres
        on_frame(frame, composed)
    if not written:
        raise BagError(f"'{plan.bag.path}': no frame of {plan.bag.topic} can be decoded")
    return [sights[number] for number in sorted(sights)]


def _described(item: PlacedObject) -> dict[str, Any]:
    x, y = item.point
    return {'number': item.number, 'kind': item.thing.name, 'height_m': item.thing.height_m,
            'x_m': round(x, 3), 'y_m': round(y, 3), **item.thing.notes}


def _place(item: PlacedObject, composer: Composer, index: int) -> TruePlace:
    """Return where an object is before the vehicle; what is pasted is flat."""
    thing, (ahead, left) = item.thing, composer.seen_from(index, item)
    return TruePlace(item.number, thing.name, Box(
        (ahead, left, thing.height_m / 2), (0.0, 1.0), (0.0, thing.width_m, thing.height_m),
        np.zeros(36)))


def _image(header: Any, array: np.ndarray, encoding: str) -> object:
    array = np.ascontiguousarray(array)
    return typestore().types[RAW](header, array.shape[0], array.shape[1], encoding, 0,
                                  array.strides[0], array.view(np.uint8).ravel())


def _jpeg(header: Any, rgb: np.ndarray) -> object:
    data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
    return typestore().types[COMPRESSED](header, 'rgb8; jpeg compressed bgr8', data)


def _camera_info(header: Any, plan: Plan) -> object:
    types, camera = typestore().types, plan.camera
    matrix = np.array([[camera.focal[0], 0, camera.centre[0]],
                       [0, camera.focal[1], camera.centre[1]], [0, 0, 1.0]])
    projection = np.hstack([matrix, np.zeros((3, 1))])
    return types[CAMERA_INFO](
        header, plan.size[0], plan.size[1], 'plumb_bob', np.zeros(5), matrix.ravel(),
        np.eye(3).ravel(), projection.ravel(), 0, 0,
        types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False))
