# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fit an image of any size into the network's input, and the network's maps back onto it."""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
import numpy as np


@dataclass(frozen=True)
class Letterbox:
    """
    An image in the top left corner of the network's input, its aspect kept to the pixel.

    :ivar image_size: rows and columns of the image.
    :ivar network_size: rows and columns of the network's input.
    :ivar stride: network pixels to one cell of the network's output maps.
    """

    image_size: tuple[int, int]
    network_size: tuple[int, int]
    stride: int

    @property
    def content_size(self) -> tuple[int, int]:
        """Rows and columns that the image fills of the network's input, at least 1 each."""
        scale = self._scale
        return tuple(max(1, min(round(n * scale), most))
                     for n, most in zip(self.image_size, self.network_size))

    @property
    def map_size(self) -> tuple[int, int]:
        """Rows and columns of the map cells that see any of the image."""
        return tuple(-(-n // self.stride) for n in self.content_size)

    @property
    def _scale(self) -> float:
        return min(most / n for n, most in zip(self.image_size, self.network_size))

    def to_network(self, image: np.ndarray, padding: tuple[int, int, int]) -> np.ndarray:
        """
        Return the (h, w, 3) uint8 input for an (H, W, 3) uint8 image, `padding` around it.

        The image itself if it has the network's size already and its pixels lie in a row.
        """
        if self.image_size == self.network_size:
            return np.ascontiguousarray(image)
        (height, width), (last_row, last_column) = self.content_size, self.network_size
        network = np.empty((last_row, last_column, 3), np.uint8)
        self._fit(image, network[:height, :width])
        # Several times as fast as assignment in NumPy.
        for corner in ((0, height), (width, 0)):
            if corner[0] < last_column and corner[1] < last_row:
                cv2.rectangle(network, corner, (last_column, last_row), padding, cv2.FILLED)
        return network

    def _fit(self, image: np.ndarray, content: np.ndarray) -> None:
        """
        Resize `image` into `content`: means of whole blocks, then bilinear by 0.5 to 1.

        Means over fractions of pixels, OpenCV's INTER_AREA, take up to ten times as long.
        """
        size = (content.shape[1], content.shape[0])
        if self._scale < 1:
            block = max((n for n in range(1, math.floor(1 / self._scale) + 1)
                         if not any(side % n for side in self.image_size)))
            if block * self._scale < 0.5:  # sides with few divisors, such as those of 1079 x 1919
                cv2.resize(image, size, dst=content, interpolation=cv2.INTER_AREA)
                return
            while block > 1:
                # OpenCV is five times as fast with blocks of 2 x 2 as with others.
                factor = block if block % 2 else 2
                image = cv2.resize(
                    image, (image.shape[1] // factor, image.shape[0] // factor),
                    interpolation=cv2.INTER_AREA)
                block //= factor
        cv2.resize(image, size, dst=content, interpolation=cv2.INTER_LINEAR)

    def crop(self, network_map: np.ndarray) -> np.ndarray:
        """Return the cells of an output map that see any of the image."""
        height, width = self.map_size
        return network_map[:height, :width]

    def to_image(self, cropped_map: np.ndarray) -> np.ndarray:
        """
        Return a float32 map of `crop`'s size, bilinearly grown to the image: (H, W).

        Pixel centres map to pixel centres; the last cells may see the image in part only. Rows may
        have others' values between them: a copy without takes longer than all the growing.
        """
        rows, columns = (self.stride * image / content
                         for image, content in zip(self.image_size, self.content_size))
        # With no target size OpenCV samples at exactly these factors; with one it would stretch
        # partly filled last cells over the whole image.
        grown = cv2.resize(
            cropped_map, None, fx=columns, fy=rows, interpolation=cv2.INTER_LINEAR)
        return grown[:self.image_size[0], :self.image_size[1]]

    def to_cells(self, box: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Return the rows and columns of cropped map cells that a pixel box x, y, w, h touches."""
        slices = []
        for axis, (start, extent) in enumerate(((box[1], box[3]), (box[0], box[2]))):
            cells = self.content_size[axis] / (self.stride * self.image_size[axis])
            last = self.map_size[axis] - 1
            first = min(max(int(start * cells), 0), last)
            end = int(np.ceil((start + extent) * cells))
            slices.append(slice(first, min(max(end, first + 1), last + 1)))
        return slices[0], slices[1]
