# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads ROS 1 bags: their images are converted to a rosbag2 for as long as the bag is in use."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
import shutil
from tempfile import mkdtemp
import weakref

from rosbags import rosbag1
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer

from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.mcap_file import McapFile
from vl4ad_ros.evaluation.storage.stored import BagError, OnRead, Topic

MAGIC = b'#ROSBAG V2.0'
"""The first bytes of a file."""


class Ros1File(McapFile):
    """The messages of one ROS 1 bag; a `StorageFile`."""

    def __init__(self, path: Path, types: Collection[str], content: Path | None = None,
                 on_read: OnRead = lambda size: None) -> None:
        """
        Convert the topics of wanted types to a file in the folder for temporary files.

        :param path: the bag, for messages.
        :param types: types of the topics whose messages shall be found; those of other topics are
            only counted.
        :param content: a file that begins with `MAGIC`; None stands for `path`.
        :param on_read: called for each message that is converted.
        :raises BagError: if the bag cannot be read or the disk is full.
        """
        folder = Path(mkdtemp(prefix='vl4ad_'))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            with rosbag1.Reader(content or path) as bag:
                others = {Topic(c.topic, c.msgtype): bag.topics[c.topic].msgcount
                          for c in bag.connections if c.msgtype not in types}
                start_ns = bag.start_time if bag.chunk_infos else 0
                _convert(bag, folder / 'bag', [c for c in bag.connections if c.msgtype in types],
                         on_read)
        except Exception as error:  # rosbags raises many kinds for a damaged file
            raise BagError(
                f"'{path}' is a ROS 1 bag that cannot be read "
                f'({str(error).rstrip(".") or type(error).__name__}). If it was not finished, run '
                f'in ROS 1: rosbag reindex {path.name}; then check it with: '
                f'rosbags-convert --src {path.name} --dst {path.stem}') from error
        super().__init__(path, types, folder / 'bag' / 'bag.mcap')
        self.start_ns = start_ns
        self.topics.update(others)


def _convert(bag: rosbag1.Reader, target: Path, connections: list[Connection],
             on_read: OnRead) -> None:
    store = typestore()
    with Writer(target, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics: dict[Topic, Connection] = {}
        for connection in connections:
            topic = Topic(connection.topic, connection.msgtype)
            topics[topic] = topics.get(topic) or writer.add_connection(*topic, typestore=store)
        if connections:
            for connection, time_ns, data in bag.messages(connections):
                topic = Topic(connection.topic, connection.msgtype)
                writer.write(topics[topic], time_ns, store.ros1_to_cdr(data, topic.type))
                on_read(len(data))
