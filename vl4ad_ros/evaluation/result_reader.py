# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the frames of a result bag that an offline evaluation has written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader, ReaderError

from vl4ad_ros.evaluation.alert_messages import alerts_of
from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.evaluation.bag_reader import LABEL_TOPIC
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.offline_bag import ALERTS_TOPIC, MASK_TOPIC, OBSTACLES_TOPIC
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.result_bag import CAMERA_TOPIC
from vl4ad_ros.images import compressed_to_rgb


@dataclass(frozen=True, eq=False)
class ResultFrame:
    """
    One frame of a result bag.

    :ivar image: (H, W, 3) uint8 RGB.
    :ivar mask: (H, W) uint8, 255 where the score is above the threshold.
    :ivar alerts: the alerts, with their places; empty if they were unknown.
    :ivar label: (H, W) uint8 with 0, 1 or 255; None without ground truth.
    """

    image: np.ndarray
    mask: np.ndarray
    alerts: tuple[Alert, ...]
    label: np.ndarray | None


class ResultReader:
    """Reads a result bag; a context manager."""

    def __init__(self, path: Path) -> None:
        """
        Open the bag.

        :param path: the folder `result_bag` of a recording.
        :raises ReportError: if it cannot be read.
        """
        self._reader = Reader(path)
        try:
            self._reader.open()
        except ReaderError as error:
            raise ReportError(f"'{path}' cannot be read ({error}); evaluate the recording again"
                              ) from error
        self._connections = {c.topic: c for c in self._reader.connections}

    def __enter__(self) -> ResultReader:
        """Return the reader."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Close the bag."""
        self._reader.close()

    def masks(self) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Yield record time in nanoseconds, mask and label of each frame, as in `ResultFrame`."""
        mask, time_ns = None, 0
        wanted = [self._connections[topic] for topic in (MASK_TOPIC, LABEL_TOPIC)
                  if topic in self._connections]
        for connection, at_ns, cdr in self._reader.messages(wanted):
            array = _array(self._message(connection, cdr))
            if connection.topic == LABEL_TOPIC and mask is not None:
                yield time_ns, mask, array
                mask = None
            elif connection.topic == MASK_TOPIC:
                if mask is not None:
                    yield time_ns, mask, None
                mask, time_ns = array, at_ns
        if mask is not None:
            yield time_ns, mask, None

    def frame(self, time_ns: int) -> ResultFrame:
        """
        Return the frame of a record time.

        :param time_ns: as `masks` yields it.
        """
        found = {connection.topic: self._message(connection, cdr) for connection, _, cdr
                 in self._reader.messages(start=time_ns, stop=time_ns + 1)}
        return ResultFrame(
            compressed_to_rgb(found[CAMERA_TOPIC]), _array(found[MASK_TOPIC]),
            alerts_of(found[ALERTS_TOPIC], found.get(OBSTACLES_TOPIC))
            if ALERTS_TOPIC in found else (),
            _array(found[LABEL_TOPIC]) if LABEL_TOPIC in found else None)

    def _message(self, connection: Any, cdr: bytes) -> Any:
        return typestore().deserialize_cdr(cdr, connection.msgtype)


def _array(message: Any) -> np.ndarray:
    return message.data.reshape(message.height, message.width)
