# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fit an image of any size into the network's input, and the network's maps back onto it."""

from __future__ import annotations

from dataclasses import dataclass

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
        """Return the (h, w, 3) uint8 input for an (H, W, 3) uint8 image, `padding` around it."""
        height, width = self.content_size
        if (height, width) != self.image_size:
            image = cv2.resize(image, (width, height), interpolation=(
                cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR))
        below, right = self.network_size[0] - height, self.network_size[1] - width
        if below or right:
            image = cv2.copyMakeBorder(
                image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=padding)
        return np.ascontiguousarray(image)

    def crop(self, network_map: np.ndarray) -> np.ndarray:
        """Return the cells of an output map that see any of the image."""
        height, width = self.map_size
        return network_map[:height, :width]

    def to_image(self, cropped_map: np.ndarray) -> np.ndarray:
        """
        Return a float32 map of `crop`'s size, bilinearly grown to the image: (H, W).

        Pixel centres map to pixel centres; the last cells may see the image in part only.
        """
        rows, columns = (self.stride * image / content
                         for image, content in zip(self.image_size, self.content_size))
        # With no target size OpenCV samples at exactly these factors; with one it would stretch
        # partly filled last cells over the whole image.
        grown = cv2.resize(
            cropped_map, None, fx=columns, fy=rows, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(grown[:self.image_size[0], :self.image_size[1]])

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
