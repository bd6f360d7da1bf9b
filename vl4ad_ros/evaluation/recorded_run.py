# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that was recorded while a bag was replayed through the node."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.alert_metrics import (
    AlertEvent, AlertLog, AlertScores, FrameResult, score_alerts, Truth)
from vl4ad_ros.evaluation.bag_reader import BagFrame, CameraBag, RAW
from vl4ad_ros.evaluation.distance_error import distance_pairs
from vl4ad_ros.evaluation.driven_way import driven_way
from vl4ad_ros.evaluation.figures import described, quality
from vl4ad_ros.evaluation.flagged_pixels import FlaggedPixels
from vl4ad_ros.evaluation.message_store import MessageStore, StoredMessage
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics, PixelScores
from vl4ad_ros.evaluation.recorded_ground import RecordedGround
from vl4ad_ros.evaluation.streaming import streaming_scores, StreamingScores
from vl4ad_ros.images import MAX_PIXELS

IN_METRES = ('obstacles', 'markers')
"""Outputs of the node for all cameras."""


def output_topic(node: str, camera: str, name: str) -> str:
    """
    Return the topic of an output of the node; those in metres exist once for all cameras.

    :param node: full name of the node.
    :param camera: name of the camera among several; '' for the only one.
    :param name: such as `mask`.
    """
    return f'{node}/{camera}/{name}' if camera and name not in IN_METRES else f'{node}/{name}'


@dataclass(frozen=True)
class ParameterCall:
    """
    Parameters of the node to set while frames are being played.

    :ivar at_s: when to set them, in seconds of recorded time since the first frame.
    :ivar values: by parameter name; they are set one by one, in this order.
    """

    at_s: float
    values: Mapping[str, Any]


@dataclass(frozen=True)
class AnsweredCall:
    """
    A parameter call that the node accepted.

    :ivar sent_ns: when it was sent, nanoseconds since the epoch.
    :ivar answered_ns: when the node's answer arrived, nanoseconds since the epoch.
    """

    sent_ns: int
    answered_ns: int


@dataclass(frozen=True)
class RecordedRun:
    """
    One replay of a bag through the node: what was sent and what the node published.

    :ivar bag: the recording that was played.
    :ivar truth: its ground truth; None if it has none, or if none was wanted.
    :ivar results: one for each processed frame, in the order of arrival; at least one.
    :ivar sent_ns: when each frame was published, nanoseconds since the epoch, by frame index.
    :ivar answers: where the detections message of each processed frame is stored, by frame index.
    :ivar messages: all messages of the node that arrived.
    :ivar namespace: prefix of the node's topics in `messages`, such as `/vl4ad_detector`.
    :ivar about: facts for the report: `model`, `backend`, `ros_distro`, and `rate`, `lockstep` and
        `notice` where they apply.
    :ivar calls: the parameter calls that were made, in their order.
    :ivar refused: number of frames that the node refused because they could not be decoded or were
        too large.
    :ivar max_pixels: largest width times height that the node decoded (`image.max_pixels`).
    :ivar max_value: value of full brightness of 16-bit values (`image.max_value`); 0 if the node
        found it out.
    :ivar ground: CameraInfo and odometry of the recording; None if nothing asked for them.
    :ivar camera: name of the camera among several; '' for the only one.
    """

    bag: CameraBag
    truth: Truth | None
    results: Sequence[FrameResult]
    sent_ns: Mapping[int, int]
    answers: Mapping[int, StoredMessage]
    messages: MessageStore
    namespace: str
    about: Mapping[str, Any]
    calls: Sequence[AnsweredCall] = ()
    refused: int = 0
    max_pixels: int = MAX_PIXELS
    max_value: int = 0
    ground: RecordedGround | None = None
    camera: str = ''

    def topic(self, name: str) -> str:
        """
        Return the topic of an output of the node.

        :param name: such as `mask`.
        """
        return output_topic(self.namespace, self.camera, name)

    @cached_property
    def by_index(self) -> dict[int, FrameResult]:
        """The results by frame index."""
        return {r.index: r for r in self.results}

    @cached_property
    def events(self) -> list[AlertEvent]:
        """All alert events, compared with the ground truth where there is any."""
        log = AlertLog(self.truth)
        for result in self.results:
            log.add(result)
        return log.events

    @cached_property
    def alert_scores(self) -> AlertScores | None:
        """The alert metrics; None without ground truth."""
        return score_alerts(self.results, self.truth) if self.truth else None

    @cached_property
    def pixel_scores(self) -> PixelScores | None:
        """The pixel metrics over the frames whose score arrived; None without ground truth."""
        if self.truth is None:
            return None
        metrics = PixelMetrics()
        for index, label, _ in self.bag.truth_maps():
            score = self.score(index)
            if score is not None:
                self.bag.check_size(index, label, score)
                metrics.add(score, label)
        return metrics.result()

    @property
    def streaming_scores(self) -> StreamingScores:
        """The streaming metrics over all frames with ground truth."""
        arrivals = {r.index: self.bag_time_ns(self.sent_ns[r.index] + r.age_ns)
                    for r in self.by_index.values()}
        labels = ((index, label) for index, label, _ in self.bag.truth_maps())
        return streaming_scores(labels, self.bag.times_ns, arrivals, self.score)

    def flagged(self) -> dict[str, Any]:
        """Return the shares of pixels in the mask; ``{}`` without ground truth or object ids."""
        if self.truth is None or not self.truth.has_objects:
            return {}
        pixels = FlaggedPixels()
        for index, label, ids in self.bag.truth_maps():
            mask = self.mask(index)
            if mask is not None and ids is not None:
                self.bag.check_size(index, label, mask)
                pixels.add(mask, label, ids)
        return pixels.figures(self.truth)

    def mask(self, index: int) -> np.ndarray | None:
        """
        Return the mask that the node published for a frame.

        :param index: index of the frame in the recording.
        :returns: (H, W) uint8 with 0 or 255; None if the mask did not arrive.
        """
        return self._map('mask', index, np.uint8)

    def score(self, index: int) -> np.ndarray | None:
        """
        Return the score that the node published for a frame.

        :param index: index of the frame in the recording.
        :returns: (H, W) float32 in 0..1; None if the score did not arrive or was not recorded.
        """
        return self._map('score', index, np.float32)

    def path_ahead(self, frame: BagFrame, reach_m: float) -> np.ndarray:
        """Return where the vehicle went after a frame; see `RecordedGround.path_ahead`."""
        return self.ground.path_ahead(frame, reach_m) if self.ground else np.zeros((0, 2))

    def _map(self, name: str, index: int, dtype: type) -> np.ndarray | None:
        answer = self.answers.get(index)
        if answer is None:
            return None
        cdr = self.messages.of_same_frame(answer, self.topic(name))
        if cdr is None:
            return None
        message: Any = typestore().deserialize_cdr(cdr, RAW)
        return message.data.view(dtype).reshape(message.height, message.width)

    def bag_time_ns(self, time_ns: int) -> int:
        """
        Convert a time of the replay to the time of the recording.

        :param time_ns: nanoseconds since the epoch, by the clock of the replaying process.
        :returns: the record time of the frame that was sent last, plus the time since then at the
            rate of the replay; at most the record time of the next frame, so that the order is
            kept where a frame had to wait for the answer to the one before. Nanoseconds.
        """
        index = max(0, bisect_right(self._sent, time_ns, key=lambda sent: sent[0]) - 1)
        sent_ns, frame = self._sent[index]
        since_ns = int((time_ns - sent_ns) * self.about.get('rate', 1))
        found_ns = self.bag.times_ns[frame] + since_ns
        if index + 1 < len(self._sent):
            found_ns = min(found_ns, self.bag.times_ns[self._sent[index + 1][1]])
        return max(0, found_ns)

    @cached_property
    def _sent(self) -> list[tuple[int, int]]:
        return sorted((sent_ns, index) for index, sent_ns in self.sent_ns.items())

    def metrics(self) -> dict[str, Any]:
        """Return the content of `metrics.json`; a figure that is undefined is absent."""
        ages = [r.age_ns / 1e6 for r in self.by_index.values()]
        counts: dict[str, Any] = {
            'frames_recorded': len(self.bag.times_ns) + self.bag.lost,
            'frames_published': len(self.sent_ns),
            'frames_processed': len(self.by_index),
            'frames_refused': self.refused,
            'frames_dropped_share': 1 - len(self.by_index) / len(self.sent_ns),
            'frames_unknown': sum(r.alerts is None for r in self.by_index.values()),
            'age_ms': {'p50': float(np.percentile(ages, 50)),
                       'p95': float(np.percentile(ages, 95)), 'max': max(ages)}}
        way = driven_way(self.bag, self.ground.frame_id if self.ground else 'base_link')
        pairs = distance_pairs(self.results, self.truth, way.distances) if self.truth else []
        figures = counts | quality(self.bag, self.truth, self.events, self.pixel_scores,
                                   self.alert_scores, way, pairs) | self.flagged()
        return described(self._with_streaming(figures), self.about)

    def _with_streaming(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Add the streaming metrics, which need ground truth, and say why one is undefined."""
        if self.truth is None:
            return figures
        if self.about.get('lockstep'):
            found = StreamingScores(None, 0, 0, None).as_dict()
            reason = 'each frame waited for the answer to the one before (--lockstep)'
            found['streaming_frames_without_output'] = None
        else:
            found = self.streaming_scores.as_dict()
            reason = 'no labelled pixel is anomalous, or no score arrived'
        undefined = {name: reason for name, value in found.items() if value is None}
        return figures | found | {'undefined': ((figures['undefined'] or {}) | undefined) or None}
