# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds and draws the frames in which the masks of two evaluations differ most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.evaluation_folder import BAG, Stored
from vl4ad_ros.evaluation.moment_pictures import jpeg, WIDTH
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE
from vl4ad_ros.evaluation.result_reader import ResultFrame, ResultReader

MOST = 6
"""Largest number of frames."""
_APART_NS = 10**9


@dataclass(frozen=True)
class DifferingFrame:
    """
    A frame in which the masks of two evaluations differ.

    :ivar recording: name of the recording.
    :ivar time_s: seconds since the first frame of the result bag.
    :ivar pixels: number of pixels, without ignored ones, that are in one of the masks only.
    :ivar first_right: number of them in which the first mask is right; None without labels.
    :ivar pictures: the frame with the results of each evaluation, as JPEG.
    """

    recording: str
    time_s: float
    pixels: int
    first_right: int | None
    pictures: tuple[bytes, bytes]

    @property
    def text(self) -> str:
        """What there is to see, as a sentence."""
        if self.first_right is None:
            return f'The masks differ in {self.pixels} pixels.'
        return (f'The masks differ in {self.pixels} pixels; A is right in {self.first_right} of '
                f'them, B in {self.pixels - self.first_right}.')


def differing_frames(pairs: Sequence[tuple[Stored, Stored]],
                     on_frame: Callable[[], None] = lambda: None) -> list[DifferingFrame]:
    """
    Return the frames in which the masks differ most, at least a second apart, the worst first.

    :param pairs: each recording in both evaluations.
    :param on_frame: called after each frame that was compared.
    :raises ReportError: if a result bag cannot be read.
    """
    counted = [(pixels, right, start_ns, time_ns, pair) for pair in pairs
               for pixels, right, start_ns, time_ns in _differences(pair, on_frame)]
    counted.sort(key=lambda entry: -entry[0])
    found: list[DifferingFrame] = []
    taken: list[tuple[str, int]] = []
    for pixels, right, start_ns, time_ns, pair in counted:
        name = pair[0].result.name
        if any(name == other and abs(time_ns - at_ns) < _APART_NS for other, at_ns in taken):
            continue
        taken.append((name, time_ns))
        found.append(DifferingFrame(name, (time_ns - start_ns) / 1e9, pixels, right,
                                    (_draw(pair[0].folder, time_ns),
                                     _draw(pair[1].folder, time_ns))))
        if len(found) == MOST:
            break
    return found


def _differences(pair: tuple[Stored, Stored], on_frame: Callable[[], None]
                 ) -> list[tuple[int, int | None, int, int]]:
    """Return differing pixels, those in which the first is right, start and time of frames."""
    found = []
    with (ResultReader(pair[0].folder / BAG) as first,
          ResultReader(pair[1].folder / BAG) as second):
        start_ns = None
        others = second.masks()
        other = next(others, None)
        for time_ns, mask, label in first.masks():
            start_ns = time_ns if start_ns is None else start_ns
            on_frame()
            while other is not None and other[0] < time_ns:
                other = next(others, None)
            if other is None or other[0] != time_ns or other[1].shape != mask.shape:
                continue
            differ = mask != other[1]
            right = None
            if label is not None:
                differ &= label != IGNORE
                right = int(np.count_nonzero(differ & ((mask > 0) == (label == ANOMALY))))
            pixels = int(np.count_nonzero(differ))
            other = next(others, None)
            if pixels:
                found.append((pixels, right, start_ns, time_ns))
    return found


def _draw(folder: Path, time_ns: int) -> bytes:
    with ResultReader(folder / BAG) as reader:
        frame: ResultFrame = reader.frame(time_ns)
    return jpeg(drawing.draw_alerts(frame.image, frame.mask, frame.alerts, frame.label, WIDTH))
