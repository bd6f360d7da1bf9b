# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts placed objects into the frames of a recording, with exact ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vl4ad_ros.composing.pasting import paste, sharpness
from vl4ad_ros.composing.placing import PlacedObject
from vl4ad_ros.composing.route import Route
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE, NORMAL
from vl4ad_ros.obstacles.ground import GroundCamera
from vl4ad_ros.obstacles.motion import Motion

_NEAREST_M, _FARTHEST_M = 2.5, 50.0
_FEWEST_ROWS = 6.0  # of an object; smaller ones are not pasted
_MOST_SCREENS = 3.0  # image heights; larger objects are not pasted
_FEWEST_PIXELS = 25  # of an object; what is smaller is ignored


@dataclass(frozen=True, eq=False)
class ComposedFrame:
    """
    One frame with its ground truth.

    :ivar image: (H, W, 3) uint8 RGB.
    :ivar label: (H, W) uint8: 0 for normal, 1 for anomalous, 255 for ignored pixels. Ignored are
        the soft rims of objects, and objects of fewer than 25 pixels.
    :ivar object_ids: (H, W) uint16: the number of the object at each pixel, 0 for none. The pixels
        of known things have the label 0, and their numbers are here.
    """

    image: np.ndarray
    label: np.ndarray
    object_ids: np.ndarray


class Composer:
    """
    Composes frames of one recording; the same arguments give the same frames.

    Whatever the recording shows itself is taken to be normal, unless a label says something else.
    Objects hide what is behind them, but nothing in the recording hides an object.
    """

    def __init__(self, camera: GroundCamera, route: Route, placed: Sequence[PlacedObject],
                 blur: float, seed: int) -> None:
        """
        Prepare.

        :param camera: the camera of the recording.
        :param route: its way, with a pose for each frame.
        :param placed: the objects.
        :param blur: of the recording, as `sharpness` measures it.
        :param seed: of the noise; 0 or more.
        """
        self._camera, self._route, self._placed = camera, route, tuple(placed)
        self._blur, self._seed = blur, seed
        rim = 2 * round(1 + blur) + 1
        self._rim = np.ones((rim, rim), np.uint8)

    def distances(self, index: int) -> dict[int, float]:
        """
        Return which objects the camera has before it.

        :param index: of the frame.
        :returns: distance ahead in metres by the number of each object that is near enough, the
            farthest one first.
        """
        ahead = {thing.number: self.seen_from(index, thing)[0]
                 for thing in self._placed}
        return dict(sorted(((number, metres) for number, metres in ahead.items()
                            if _NEAREST_M <= metres <= _FARTHEST_M),
                           key=lambda item: -item[1]))

    def seen_from(self, index: int, item: PlacedObject) -> tuple[float, float]:
        """
        Return where an object is in a frame.

        :param index: of the frame.
        :param item: the object.
        :returns: metres ahead of the camera and to its left.
        """
        return self._route.seen_from(index, item.point)

    def motions(self, times_ns: Sequence[int]) -> list[tuple[Motion, float]]:
        """
        Return how the vehicle moves in each frame.

        :param times_ns: of each frame, nanoseconds since the epoch.
        """
        return self._route.motions(times_ns)

    def compose(self, index: int, image: np.ndarray,
                label: np.ndarray | None = None) -> ComposedFrame:
        """
        Put all objects that are in sight into a frame.

        :param index: of the frame.
        :param image: (H, W, 3) uint8 RGB; it is not changed.
        :param label: ground truth that the frame has already, (H, W) as in `ComposedFrame`. What
            is not normal there is ignored in the result.
        :raises ValueError: if the label does not have the size of the image.
        """
        shape = image.shape[:2]
        if label is not None and label.shape != shape:
            raise ValueError(f'the label of frame {index} has the shape {label.shape}, but the '
                             f'image has {shape}; expected the same shape')
        truth = np.zeros(shape, np.uint8)
        if label is not None:
            truth[label != NORMAL] = IGNORE
        ids = np.zeros(shape, np.uint16)
        rng = np.random.default_rng([6, self._seed, index])
        by_number = {thing.number: thing for thing in self._placed}
        for number in self.distances(index):
            item = by_number[number]
            ahead, left = self.seen_from(index, item)
            foot, top = self._camera.pixels(np.array(
                [[ahead, left, 0], [ahead, left, item.thing.height_m]]))
            rows = float(foot[1] - top[1])
            if not _FEWEST_ROWS <= rows <= _MOST_SCREENS * shape[0]:
                continue
            image, mask = paste(image, item.thing.cut_out, (float(foot[0]), float(foot[1])), rows,
                                self._blur, item.mirror, rng)
            if not mask.any():
                continue
            around = cv2.dilate(mask.view(np.uint8), self._rim) > 0
            truth[around], ids[around] = IGNORE, 0
            if mask.sum() >= _FEWEST_PIXELS:
                truth[mask], ids[mask] = NORMAL if item.thing.known else ANOMALY, number
        return ComposedFrame(image, truth, ids)


def blur_of(pictures: Sequence[np.ndarray]) -> float:
    """
    Return the median of `sharpness` over some frames, in pixels.

    :param pictures: (H, W, 3) uint8 RGB, at least one.
    """
    return float(np.median([sharpness(picture) for picture in pictures]))
