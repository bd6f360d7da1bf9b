# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a picture shows enough for results that mean something: exposure, contrast and sharpness.

All values come from a grey picture whose longer side has 160 pixels. Of a large image, only some
rows are read for it. Noise and fine texture are averaged out.

The limits were chosen with 27 pictures of roads by day and dusk: 21 of CamVid's training part and
6 frames of a dashcam. They were darkened and overexposed in linear light with noise, blurred, and
reduced in contrast, each in steps. A limit lies about where the best known class that the bundle
`street` gives to a pixel of the disturbed picture is that of the undisturbed one for only 80 % of
the pixels. docs/topics.md has what undisturbed pictures reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np

_LONGEST = 160
_LINES = 2
"""At most as many rows of the image are averaged into one row of the reduced picture."""
_BLACK, _WHITE = 16, 250
"""Grey values up to which a pixel is nearly black, and from which it is saturated."""
_DARKEST = 16.0
_MOST_SATURATED = 0.75
_LEAST_CONTRAST = 4.0
_MOST_BLUR = 0.65
_TAPS = 5
"""Length of the moving average that `blur_of` compares a picture with."""


def reduce(image: np.ndarray) -> np.ndarray:
    """
    Return a small grey version of a picture.

    :param image: (H, W, 3) uint8 RGB, of any size from 1 x 1 on.
    :returns: float32 (h, w), 0 to 255, whose longer side has at most 160 pixels.
    """
    height, width = image.shape[:2]
    scale = max(1.0, max(height, width) / _LONGEST)
    step = min(int(scale), height)
    rows, columns = height // step, max(1, round(width / scale))
    lines = min(_LINES, step)
    total = np.zeros((rows, columns), np.float32)
    for line in range(lines):
        first = (2 * line + 1) * step // (2 * lines)
        # OpenCV reads these rows in place, and large copies take longer than all the rest.
        grey = cv2.cvtColor(image[first:rows * step:step], cv2.COLOR_RGB2GRAY)
        total += cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA)
    total /= lines
    small = cv2.resize(total, (columns, max(1, round(height / scale))),
                       interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


@dataclass(frozen=True)
class Quality:
    """
    What can be measured of a picture without knowing what it shows.

    :ivar brightness: mean grey value, 0 to 255.
    :ivar black: share of the pixels that are nearly black, 0 to 1.
    :ivar saturated: share of the pixels that are saturated, 0 to 1.
    :ivar contrast: standard deviation of the grey values, 0 to 127.5.
    :ivar blur: see `blur_of`, 0 to 1.
    """

    brightness: float
    black: float
    saturated: float
    contrast: float
    blur: float

    @staticmethod
    def of(small: np.ndarray) -> Quality:
        """
        Measure a picture.

        :param small: result of `reduce`.
        """
        mean, deviation = cv2.meanStdDev(small)
        return Quality(float(mean[0, 0]), float(np.mean(small <= _BLACK)),
                       float(np.mean(small >= _WHITE)), float(deviation[0, 0]), blur_of(small))

    @staticmethod
    def mean(qualities: Sequence[Quality]) -> Quality:
        """
        Return the mean of each value.

        :param qualities: at least one.
        """
        return Quality(*np.mean([astuple(one) for one in qualities], axis=0).tolist())

    @property
    def problem(self) -> str:
        """Why results from such a picture mean little, as a sentence; '' if they may be good."""
        if self.brightness < _DARKEST:
            return (f'the picture is too dark: its mean brightness is {self.brightness:.0f} of '
                    f'255, below {_DARKEST:.0f}, and {self.black:.0%} of its pixels are nearly '
                    'black; check the lens, the exposure and the light')
        if self.saturated > _MOST_SATURATED:
            return (f'the picture is overexposed: {self.saturated:.0%} of its pixels are '
                    f'saturated, more than {_MOST_SATURATED:.0%}; check the exposure')
        if self.contrast < _LEAST_CONTRAST:
            return (f'the picture is uniform: the standard deviation of its brightness is '
                    f'{self.contrast:.1f} of 255, below {_LEAST_CONTRAST:.0f}; check whether '
                    'something covers the lens')
        if self.blur > _MOST_BLUR:
            return (f'the picture is blurred: its blur is {self.blur:.2f} of 1, above '
                    f'{_MOST_BLUR}; clean and focus the lens, or shorten the exposure')
        return ''


def blur_of(small: np.ndarray) -> float:
    """
    Return how little a picture changes when it is blurred: 0 for sharp edges, 1 for none.

    This is the measure of F. Crete, T. Dolmiere, P. Ladret and M. Nicolas, "The blur effect:
    perception and estimation with a new no-reference perceptual blur metric", Proc. SPIE 6492,
    2007. Steps between neighbours are compared with those after a moving average, which takes
    most of them from a sharp picture and few from a blurred one. The worse one of the two
    directions counts, so that motion blur is seen as well. The contrast does not matter.

    :param small: float32 (h, w).
    :returns: 0 to 1; 0 for a direction without any step.
    """
    worst = 0.0
    for axis, taps in ((1, (_TAPS, 1)), (0, (1, _TAPS))):
        steps = np.abs(np.diff(small, axis=axis))
        total = float(steps.sum())
        if total:
            left = np.minimum(steps, np.abs(np.diff(cv2.blur(small, taps), axis=axis)))
            worst = max(worst, float(left.sum()) / total)
    return worst
