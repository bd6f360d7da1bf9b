# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of what a vehicle knows at the time of each frame, not of each frame later."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics


@dataclass(frozen=True)
class StreamingScores:
    """
    How good the newest score map is when a new frame is taken.

    :ivar ap: average precision; None without an anomalous pixel.
    :ivar frames: number of labelled frames that were judged.
    :ivar without_output: number of those before any score map had arrived.
    :ivar staleness_ms: mean time from the frame of the score map to the frame that it is judged
        by, in milliseconds of the recording; None if there never was a score map.
    """

    ap: float | None
    frames: int
    without_output: int
    staleness_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by the names that reports use; None where one is undefined."""
        return {'streaming_ap': self.ap, 'streaming_frames_without_output': self.without_output,
                'streaming_staleness_ms': self.staleness_ms}


def newest_outputs(times_ns: Sequence[int], arrivals_ns: Mapping[int, int]) -> list[int | None]:
    """
    Return the newest output at the time of each frame.

    >>> newest_outputs([0, 100, 200, 300], {0: 150, 1: 310, 2: 290})
    [None, None, 0, 2]

    :param times_ns: time of each frame in nanoseconds; it never decreases.
    :param arrivals_ns: when the output for a frame arrived, by the index of that frame, by the
        same clock.
    :returns: for each frame the index of the newest frame whose output has arrived by then; None
        if there is none.
    """
    order = sorted((arrival, index) for index, arrival in arrivals_ns.items())
    newest: list[int] = []
    for _, index in order:
        newest.append(max(index, newest[-1]) if newest else index)
    arrived = [arrival for arrival, _ in order]
    places = (bisect_right(arrived, time_ns) for time_ns in times_ns)
    return [newest[place - 1] if place else None for place in places]


def streaming_scores(labels: Iterable[tuple[int, np.ndarray]], times_ns: Sequence[int],
                     arrivals_ns: Mapping[int, int],
                     score_of: Callable[[int], np.ndarray | None]) -> StreamingScores:
    """
    Compute the streaming metrics of a recording.

    The rule is that of M. Li et al., "Towards Streaming Perception", ECCV 2020
    (arXiv:2005.10420): the ground truth of each frame is compared with the newest output at the
    time of that frame. Before the first output, nothing is anomalous: the score is 0.

    :param labels: index of each labelled frame, and its label (H, W) uint8 with 0 for normal, 1
        for anomalous and 255 for ignored pixels.
    :param times_ns: time of each frame in nanoseconds; it never decreases.
    :param arrivals_ns: when the output for a frame arrived, by the index of that frame.
    :param score_of: returns the score (H, W) of a frame that has an output; None if it is not
        known. A score of another size than the label is left out like one that is not known.
    :returns: the metrics over all labelled frames whose score map is known.
    """
    newest = newest_outputs(times_ns, arrivals_ns)
    pixels, frames, without = PixelMetrics(), 0, 0
    staleness: list[float] = []
    for index, label in labels:
        output = newest[index]
        score = np.zeros(label.shape, np.float32) if output is None else score_of(output)
        if score is None or score.shape != label.shape:
            continue
        pixels.add(score, label)
        frames += 1
        if output is None:
            without += 1
        else:
            staleness.append((times_ns[index] - times_ns[output]) / 1e6)
    return StreamingScores(pixels.result().ap, frames, without,
                           float(np.mean(staleness)) if staleness else None)
