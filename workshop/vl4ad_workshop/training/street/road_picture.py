# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One labelled picture, as every reader of this package yields it, and its size in the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

IGNORE = -1
"""Label of pixels that teach nothing."""
_CELL = 32  # pixels: the coarsest map of the network; the sides of a fitted picture are multiples


@dataclass(frozen=True, eq=False)
class RoadPicture:
    """
    A picture with a street word for each pixel.

    :ivar name: unique in its data set; for people, and to leave a picture out elsewhere.
    :ivar rgb: uint8 (H, W, 3).
    :ivar labels: int8 (H, W), index into the street words, or `IGNORE`.
    :ivar clean: whether the picture certainly shows no unusual object.
    """

    name: str
    rgb: np.ndarray
    labels: np.ndarray
    clean: bool = False


def content_size(size: tuple[int, int], network: tuple[int, int],
                 scale: float = 1.0) -> tuple[int, int]:
    """
    Return the rows and columns that a picture has in the network's input.

    :param size: rows and columns of the picture.
    :param network: rows and columns of the network's input.
    :param scale: multiple of the size at which the picture just fits.
    """
    factor = scale * min(n / s for s, n in zip(size, network))
    rows, columns = (max(1, round(s * factor)) for s in size)
    return rows, columns


def resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture with `size` rows and columns: (h, w, 3) uint8."""
    if rgb.shape[:2] == size:
        return rgb
    smaller = size[0] < rgb.shape[0]
    return cv2.resize(np.ascontiguousarray(rgb), size[::-1],
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def resized_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return labels with `size` rows and columns, by the nearest pixel: (h, w) of their type."""
    if labels.shape == size:
        return labels
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)


def scaled(picture: RoadPicture, network: tuple[int, int], scale: float = 1.0) -> RoadPicture:
    """
    Return a picture in the size that it has in the network's input.

    :param picture: of any size.
    :param network: rows and columns of the network's input.
    :param scale: as in `content_size`.
    """
    size = content_size(picture.rgb.shape[:2], network, scale)
    return RoadPicture(picture.name, resized(picture.rgb, size),
                       resized_labels(picture.labels, size), picture.clean)


def padded(picture: RoadPicture, rgb: tuple[int, int, int]) -> RoadPicture:
    """
    Return a picture whose sides are multiples of 32 pixels.

    :param picture: of any size.
    :param rgb: colour to the right of the picture and below it; the labels there are `IGNORE`.
    """
    down, right = (-n % _CELL for n in picture.rgb.shape[:2])
    return RoadPicture(
        picture.name,
        cv2.copyMakeBorder(picture.rgb, 0, down, 0, right, cv2.BORDER_CONSTANT, value=rgb),
        np.pad(picture.labels, ((0, down), (0, right)), constant_values=IGNORE), picture.clean)


def exposed(picture: RoadPicture, factors: tuple[float, float],
            rng: np.random.Generator) -> RoadPicture:
    """
    Return a picture with another exposure, contrast and colour of the light.

    :param picture: the picture, which is not changed.
    :param factors: smallest and largest factor of the brightness and exponent of the contrast.
        The factors of the colours differ from that of the brightness by a quarter as much.
    :param rng: draws them, evenly in their logarithm.
    """
    low, high = np.log(factors)
    gain = np.exp(rng.uniform(low, high) + rng.uniform(low, high, 3) / 4)
    exponent = np.exp(rng.uniform(low, high))
    table = np.clip(gain * (np.arange(256)[:, None] / 255) ** exponent, 0, 1) * 255
    rgb = cv2.LUT(picture.rgb, np.round(table).astype(np.uint8)[None])
    return replace(picture, rgb=rgb)
