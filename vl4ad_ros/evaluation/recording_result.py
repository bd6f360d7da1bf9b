# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of one recording, which can come from another process, and the merging of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.figures import totals
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics


@dataclass(frozen=True, eq=False)
class RecordingResult:
    """
    What the evaluation of one recording gave; it can be pickled.

    :ivar recording: the recording, as the user named it.
    :ivar figures: its figures by name, as `offline.evaluate` returns them. Those of a recording
        that could not be read are ``{'error': reason}``.
    :ivar pixels: the counters of its pixels (`PixelMetrics.counts`), (2, 65536) int64; None if it
        could not be read.
    :ivar enough: whether enough of its frames could be used.
    :ivar lines: the result lines of `--format dlr2`; empty without it.
    """

    recording: str
    figures: Mapping[str, Any]
    pixels: np.ndarray | None = None
    enough: bool = False
    lines: tuple[str, ...] = ()

    @staticmethod
    def failed(recording: str, reason: str) -> RecordingResult:
        """Return the result of a recording that could not be read."""
        return RecordingResult(recording, {'error': reason})


def merged(results: Sequence[RecordingResult]) -> dict[str, Any]:
    """
    Return the figures of several recordings, of each and of all together.

    Counts are summed as integers, so the result does not depend on the process that each recording
    was evaluated in.

    :param results: one for each recording, in the order in which they are reported.
    :returns: `recordings`, a list with the figures of each and its name as `recording`, and
        `total`, as `figures.totals` returns it.
    """
    pooled = PixelMetrics()
    for result in results:
        if result.pixels is not None:
            pooled.add_counts(result.pixels)
    found = [{'recording': result.recording, **result.figures} for result in results]
    return {'recordings': found, 'total': totals(found, pooled.result())}
