# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each frame says about whether the results mean something."""

from __future__ import annotations

from dataclasses import dataclass
import time

import numpy as np

from vl4ad_ros.images.quality import Quality, reduce
from vl4ad_ros.inference.detector import Prediction


@dataclass(frozen=True)
class Look:
    """
    What was seen of one frame.

    :ivar quality: exposure, contrast and sharpness of the picture.
    :ivar repeats: how many pictures in a row before this one were exactly the same.
    :ivar unchanged_s: seconds since the first of them; 0 if there is none.
    :ivar anomalous_share: share of the picture whose score is above the threshold, 0 to 1.
    :ivar spread: difference between the largest and the smallest uncertainty of the picture.
    """

    quality: Quality
    repeats: int
    unchanged_s: float
    anomalous_share: float
    spread: float


class FrameWatch:
    """Looks at the frames of one camera, each of which is compared with the one before it."""

    def __init__(self) -> None:
        """Start with no frame."""
        self._last: np.ndarray | None = None
        self._repeats = 0
        self._since = 0.0

    def look(self, image: np.ndarray, prediction: Prediction, threshold: float) -> Look:
        """
        Return what a frame says.

        :param image: (H, W, 3) uint8 RGB. It is not kept.
        :param prediction: for the image.
        :param threshold: score, 0 to 1, above which a pixel is anomalous.
        """
        now, small = time.monotonic(), reduce(image)
        # The noise of a camera changes every picture, even one of a scene that stands still.
        if self._last is not None and np.array_equal(small, self._last):
            self._repeats += 1
        else:
            self._repeats, self._since = 0, now
        self._last = small
        return Look(Quality.of(small), self._repeats, now - self._since,
                    float(np.mean(prediction.cell_score > threshold)),
                    float(np.ptp(prediction.uncertainty)))
