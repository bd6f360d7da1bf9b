# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small bags and videos for the tests, which show a growing square."""

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from vl4ad_ros.evaluation.message_types import typestore

START_NS = 1_700_000_000_000_000_000


def make_header(stamp_ns):
    """Return a header of the optical frame."""
    types = typestore().types
    stamp = types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return types['std_msgs/msg/Header'](stamp, 'camera_optical')


def make_image(array, encoding, stamp_ns):
    """Return a sensor_msgs/Image of (H, W) or (H, W, 3)."""
    data = np.ascontiguousarray(array)
    return typestore().types['sensor_msgs/msg/Image'](
        make_header(stamp_ns), data.shape[0], data.shape[1], encoding, 0,
        data.strides[0], data.view(np.uint8).ravel())


def make_jpeg(rgb, stamp_ns):
    """Return a sensor_msgs/CompressedImage."""
    data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
    return typestore().types['sensor_msgs/msg/CompressedImage'](
        make_header(stamp_ns), 'jpeg', data.ravel())


def scene(index, size=(90, 160)):
    """Return RGB, labels and object ids: a red square from the third frame on, growing."""
    rgb = np.full((*size, 3), (128, 128, 128), np.uint8)
    label = np.zeros(size, np.uint8)
    label[:10] = 255
    ids = np.zeros(size, np.uint16)
    if index >= 3:
        side = 14 + index // 4
        part = np.s_[40:40 + side, 60:60 + side]
        rgb[part], label[part], ids[part] = (200, 30, 30), 1, 300
    return rgb, label, ids


def write_video(path, frames, rate_hz=10.0, size=(90, 160)):
    """Write a video (MPEG-4 Part 2) of the growing square; return its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate_hz, size[::-1])
    for i in range(frames):
        writer.write(cv2.cvtColor(scene(i, size)[0], cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_jpegs(path, sizes, damaged=(), stamps_ns=None):
    """
    Write a bag of JPEG images at 10 Hz without ground truth; return its path.

    The images have the given sizes (height, width); those with an index in `damaged` are cut off.
    """
    store, kind = typestore(), 'sensor_msgs/msg/CompressedImage'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/camera/image/compressed', kind, typestore=store)
        for i, size in enumerate(sizes):
            time_ns = START_NS + i * 10**8
            message = make_jpeg(scene(4 * i, size)[0], stamps_ns[i] if stamps_ns else time_ns)
            if i in damaged:
                message.data = message.data[:200]
            writer.write(connection, time_ns, store.serialize_cdr(message, kind))
    return path


def write_bag(path, frames=20, rate_hz=10.0, storage='mcap', topics=('/camera/image',),
              compressed=False, truth=True, size=(90, 160), truth_of=''):
    """
    Write a bag with the given camera topics and, if wanted, ground truth; return its path.

    The ground truth is that of the only camera, or of the camera `truth_of`.
    """
    labels, objects = (f'/ground_truth/{truth_of and truth_of + "/"}{name}'
                       for name in ('anomaly', 'object_id'))
    plugin = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}[storage]
    camera = 'CompressedImage' if compressed else 'Image'
    kinds = dict.fromkeys(topics, camera)
    if truth:
        kinds.update({labels: 'Image', objects: 'Image'})
    store = typestore()
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {t: writer.add_connection(t, f'sensor_msgs/msg/{k}', typestore=store)
                       for t, k in kinds.items()}
        for i in range(frames):
            stamp = START_NS + int(i * 1e9 / rate_hz)
            rgb, label, ids = scene(i, size)
            messages = {t: make_jpeg(rgb, stamp) if compressed else make_image(rgb, 'rgb8', stamp)
                        for t in topics}
            if truth:
                messages[labels] = make_image(label, 'mono8', stamp)
                messages[objects] = make_image(ids, 'mono16', stamp)
            for topic, message in messages.items():
                kind = f'sensor_msgs/msg/{kinds[topic]}'
                writer.write(connections[topic], stamp, store.serialize_cdr(message, kind))
    return path
