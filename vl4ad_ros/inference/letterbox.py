# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Resize an image into the network's input, and the network's output maps to the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math

import cv2
import numpy as np

_SMALL_ODD = (3, 5)
"""Sides of blocks for which OpenCV's box filter is faster than its INTER_AREA."""
_STRIP = 40
"""Rows of blocks that are filtered at once, so that the filtered pixels stay in the cache."""


@dataclass(frozen=True)
class Letterbox:
    """
    The geometry of an image in the top left corner of the network's input.

    The image keeps its aspect ratio, rounded to whole pixels. The rest of the input is padding.

    :ivar image_size: number of rows and columns of the image, at least 1 each.
    :ivar network_size: number of rows and columns of the network's input.
    :ivar stride: side of one cell of the network's output maps, in pixels of its input.
    """

    image_size: tuple[int, int]
    network_size: tuple[int, int]
    stride: int

    @cached_property
    def content_size(self) -> tuple[int, int]:
        """Number of rows and columns of the network's input that the image fills, at least 1."""
        scale = self._scale
        rows, columns = (max(1, min(round(n * scale), most))
                         for n, most in zip(self.image_size, self.network_size))
        return rows, columns

    @cached_property
    def map_size(self) -> tuple[int, int]:
        """Number of rows and columns of the cells that contain any part of the image."""
        rows, columns = (-(-n // self.stride) for n in self.content_size)
        return rows, columns

    @property
    def _scale(self) -> float:
        """Pixels of the network's input for one pixel of the image."""
        return min(most / n for n, most in zip(self.image_size, self.network_size))

    def to_network(self, image: np.ndarray, padding: tuple[int, int, int]) -> np.ndarray:
        """
        Return the network's input for an image.

        :param image: uint8 (H, W, 3) with `image_size` rows and columns; not changed.
        :param padding: value of each channel to the right of the image and below it, 0 to 255.
        :returns: uint8 (h, w, 3) with `network_size` rows and columns, contiguous. It is `image`
            itself if that has the right size and is contiguous.
        """
        if self.image_size == self.network_size:
            return np.ascontiguousarray(image)
        (height, width), (last_row, last_column) = self.content_size, self.network_size
        network = np.empty((last_row, last_column, 3), np.uint8)
        self._fit(image, network[:height, :width])
        # cv2.rectangle is several times as fast as assignment in NumPy.
        for corner in ((0, height), (width, 0)):
            if corner[0] < last_column and corner[1] < last_row:
                cv2.rectangle(network, corner, (last_column, last_row), padding, cv2.FILLED)
        return network

    def _fit(self, image: np.ndarray, content: np.ndarray) -> None:
        """
        Resize an image into a part of the network's input.

        First the means of whole blocks of pixels are taken, then the result is scaled bilinearly
        by 0.5 to 1. OpenCV's INTER_AREA, which weighs fractions of pixels, takes up to ten times
        as long.

        :param image: uint8 (H, W, 3).
        :param content: uint8 (h, w, 3), which is overwritten.
        """
        size = (content.shape[1], content.shape[0])
        if self._scale < 1:
            block = max(n for n in range(1, math.floor(1 / self._scale) + 1)
                        if not any(side % n for side in self.image_size))
            if block * self._scale < 0.5:  # the sides have few divisors, such as 1079 and 1919
                cv2.resize(image, size, dst=content, interpolation=cv2.INTER_AREA)
                return
            while block > 1:
                # OpenCV is five times as fast with blocks of 2 x 2 pixels as with other blocks.
                factor = block if block % 2 else 2
                image = _block_means(image, factor)
                block //= factor
        cv2.resize(image, size, dst=content, interpolation=cv2.INTER_LINEAR)

    def crop(self, network_map: np.ndarray) -> np.ndarray:
        """
        Return the cells of an output map that contain any part of the image.

        :param network_map: array (h, w) that covers the whole input of the network.
        :returns: a view with `map_size` rows and columns.
        """
        height, width = self.map_size
        return network_map[:height, :width]

    def to_image(self, cropped_map: np.ndarray) -> np.ndarray:
        """
        Return a map in the size of the image, by bilinear interpolation.

        The centres of cells and pixels correspond. The image may end inside the last row and
        column of cells.

        :param cropped_map: float32 array with `map_size` rows and columns, from `crop`.
        :returns: float32 (H, W). It may be a view of a larger array, whose rows are not
            contiguous, because a copy would take longer than the interpolation.
        """
        rows, columns = (self.stride * image / content
                         for image, content in zip(self.image_size, self.content_size))
        # Without a target size OpenCV samples at exactly these factors. With one it would stretch
        # the last cells, which the image may fill only in part.
        grown = cv2.resize(
            cropped_map, None, fx=columns, fy=rows, interpolation=cv2.INTER_LINEAR)
        return grown[:self.image_size[0], :self.image_size[1]]

    def nearest(self, cropped_map: np.ndarray) -> np.ndarray:
        """
        Return a map in the size of the image, each pixel with the value of the cell around it.

        :param cropped_map: uint8 array with `map_size` rows and columns, from `crop`.
        :returns: uint8 (H, W), contiguous.
        """
        rows, columns = (
            np.minimum(((np.arange(image) + 0.5) * content / (self.stride * image)).astype(int),
                       cells - 1)
            for image, content, cells in zip(self.image_size, self.content_size, self.map_size))
        return cropped_map[rows][:, columns]

    def to_cells(self, box: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """
        Return the cells that a box touches.

        :param box: x, y, width and height in pixels of the image; it may reach beyond the image.
        :returns: slices of the rows and the columns of a cropped map, at least one cell each.
        """
        slices: list[slice] = []
        for axis, (start, extent) in enumerate(((box[1], box[3]), (box[0], box[2]))):
            cells = self.content_size[axis] / (self.stride * self.image_size[axis])
            last = self.map_size[axis] - 1
            first = min(max(int(start * cells), 0), last)
            end = int(np.ceil((start + extent) * cells))
            slices.append(slice(first, min(max(end, first + 1), last + 1)))
        return slices[0], slices[1]


def _block_means(image: np.ndarray, side: int) -> np.ndarray:
    """
    Return the means of square blocks of pixels.

    :param image: uint8 (H, W, 3).
    :param side: of a block in pixels, at least 2; divides H and W.
    :returns: uint8 (H / side, W / side, 3), rounded.
    """
    rows, columns = (n // side for n in image.shape[:2])
    if side not in _SMALL_ODD:
        return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    means = np.empty((rows, columns, 3), np.uint8)
    for first in range(0, rows, _STRIP):
        strip = image[first * side:(first + _STRIP) * side]
        # The means around all pixels, of which the middle one of each block is taken.
        around = cv2.blur(strip, (side, side))
        cv2.resize(around[side // 2:, side // 2:], None, dst=means[first:first + _STRIP],
                   fx=1 / side, fy=1 / side, interpolation=cv2.INTER_NEAREST)
    return means
