# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a drive as a rosbag2 without a ROS installation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
import json
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.vehicle_messages import (
    camera_transform, KINDS, odometry, optical_frame, TF_STATIC_TOPIC, true_places)
from vl4ad_ros.outputs import beside
from vl4ad_workshop.scenes.drive import Drive, DriveFrame
from vl4ad_workshop.scenes.whereabouts import Way

FRAME_ID = 'camera_optical'
START_NS = 1_700_000_000 * 10**9
_STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_FORMATS = ('raw', 'jpeg')
_THREADS = 2
_QUALITY = 92
_TYPES = typestore()


@dataclass(frozen=True)
class View:
    """
    The part of the picture that one camera shows, as if the rest of its sensor were not read.

    `name` is that of the camera, '' for the only one; `left` and `right` are fractions of the
    width of the picture.
    """

    name: str = ''
    left: float = 0.0
    right: float = 1.0

    @property
    def topic(self) -> str:
        """The topic of the images, without ``/compressed``."""
        return f'/{self.name or "camera"}/image'

    def columns(self, width: int) -> slice:
        """Return the columns of a picture that this camera shows."""
        return slice(round(self.left * width), round(self.right * width))


ONE, TWO = (View(),), (View('left', 0.0, 0.6), View('right', 0.4, 1.0))
"""One camera that shows all of the picture, and two whose views overlap in its middle."""


def write_drive(drive: Drive, path: str | Path, storage: str = 'mcap', image_format: str = 'raw',
                on_frame: Callable[[int, DriveFrame], None] = lambda index, frame: None,
                views: Sequence[View] = ONE) -> Path:
    """
    Write a drive to the new bag directory `path` and return it; it appears once it is complete.

    Topics: `/camera/image` (sensor_msgs/Image rgb8, or with image_format='jpeg'
    `/camera/image/compressed`, sensor_msgs/CompressedImage), `/camera/camera_info`,
    `/ground_truth/anomaly` (Image mono8: 0, 1, 255 = ignore), `/ground_truth/object_id` (Image
    mono16, 0 = none), `/tf_static`, `/odom` (nav_msgs/Odometry) and `/ground_truth/obstacles`
    (vision_msgs/Detection3DArray), see `whereabouts`. The bag's custom data `vl4ad_anomalies`
    lists the anomalies as JSON. Of several cameras, the topics begin with `/<camera>` in place of
    `/camera`, and those of labels with `/ground_truth/<camera>`.

    :param on_frame: called with index and frame after each is written.
    :param views: the cameras.
    :raises ValueError: for an unknown storage or image format.
    :raises FileExistsError: if `path` exists.
    """
    path = Path(path)
    for name, value, known in (('storage', storage, tuple(_STORAGES)),
                               ('image_format', image_format, _FORMATS)):
        if value not in known:
            raise ValueError(f'{name}: expected one of {known}, got {value!r}')
    if path.exists():
        raise FileExistsError(f'{path} exists: remove it or name another directory for the bag')
    with beside(path) as partial:
        writer = Writer(partial, version=9, storage_plugin=_STORAGES[storage])
        if storage == 'mcap':  # labels shrink a thousandfold; sqlite3 knows no such chunks
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            _write(writer, drive, image_format, on_frame, views)
    return path


def _write(writer, drive, image_format, on_frame, views):
    raw = image_format == 'raw'
    image_type = 'Image' if raw else 'CompressedImage'
    kinds = dict(KINDS)
    for view in views:
        labels = f'/ground_truth/{view.name and view.name + "/"}'
        kinds |= {view.topic + ('' if raw else '/compressed'): f'sensor_msgs/msg/{image_type}',
                  view.topic.replace('image', 'camera_info'): 'sensor_msgs/msg/CameraInfo',
                  f'{labels}anomaly': 'sensor_msgs/msg/Image',
                  f'{labels}object_id': 'sensor_msgs/msg/Image'}
    topics = {topic: (kind, writer.add_connection(topic, kind, typestore=_TYPES))
              for topic, kind in kinds.items()}
    way = Way(drive)
    writer.set_custom_data('vl4ad_anomalies', json.dumps(
        [asdict(anomaly) for anomaly in drive.anomalies]))
    for index, frame in enumerate(_draw_ahead(drive)):
        stamp = START_NS + frame.stamp_ns
        header = _header(stamp)
        messages = [camera_transform(header, optical_frame(way.camera(index).height)),
                    odometry(header, *way.motion(index)), true_places(header, way.things(index))]
        for view in views:
            messages += _camera_messages(header, frame, view, raw)
        for (topic, (kind, connection)), message in zip(topics.items(), messages):
            if topic != TF_STATIC_TOPIC or not index:
                writer.write(connection, stamp, _TYPES.serialize_cdr(message, kind))
        on_frame(index, frame)


def _camera_messages(header, frame: DriveFrame, view: View, raw: bool) -> list:
    """Return image, CameraInfo, labels and object ids of one camera."""
    whole = frame.frame.image
    columns = view.columns(whole.shape[1])
    image = whole[:, columns]
    return [_image(header, image, 'rgb8') if raw else _jpeg(header, image),
            _camera_info(header, whole.shape[:2], frame.camera_matrix, columns),
            _image(header, frame.anomaly[:, columns], 'mono8'),
            _image(header, frame.anomaly_ids[:, columns], 'mono16')]


def _draw_ahead(drive: Drive) -> Iterator[DriveFrame]:
    """Yield the frames in order, drawn on a few threads, few of them waiting in memory."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque = deque()
        for index in range(len(drive)):
            waiting.append(pool.submit(drive.draw, index))
            if len(waiting) > 2 * _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _header(stamp_ns: int):
    stamp = _TYPES.types['builtin_interfaces/msg/Time'](
        sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return _TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id=FRAME_ID)


def _image(header, array: np.ndarray, encoding: str):
    array = np.ascontiguousarray(array)
    return _TYPES.types['sensor_msgs/msg/Image'](
        header=header, height=array.shape[0], width=array.shape[1], encoding=encoding,
        is_bigendian=0, step=array.strides[0], data=array.view(np.uint8).reshape(-1))


def _jpeg(header, image: np.ndarray):
    _, data = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return _TYPES.types['sensor_msgs/msg/CompressedImage'](
        header=header, format='rgb8; jpeg compressed bgr8', data=data.reshape(-1))


def _camera_info(header, size: tuple[int, int], matrix: np.ndarray, columns: slice):
    projection = np.hstack([matrix, np.zeros((3, 1))])
    height, width = size
    shown = columns.stop - columns.start
    whole = shown == width  # which zeros stand for
    region = _TYPES.types['sensor_msgs/msg/RegionOfInterest'](
        x_offset=columns.start, y_offset=0, height=0 if whole else height,
        width=0 if whole else shown, do_rectify=False)
    return _TYPES.types['sensor_msgs/msg/CameraInfo'](
        header=header, height=size[0], width=size[1], distortion_model='plumb_bob',
        d=np.zeros(5), k=matrix.reshape(-1), r=np.eye(3).reshape(-1),
        p=projection.reshape(-1), binning_x=0, binning_y=0, roi=region)
