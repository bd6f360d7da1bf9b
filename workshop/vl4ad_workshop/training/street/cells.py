# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Values of a picture's pixels at the cells of the network's output maps."""

from __future__ import annotations

import numpy as np

from vl4ad_ros.inference.letterbox import Letterbox


def at_cells(values: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    """
    Return the value of the pixel at the middle of each cell that the picture fills.

    :param values: (H, W) of the size of the picture.
    :param letterbox: geometry of the picture and the network.
    :return: `Letterbox.map_size` values.
    """
    places = []
    for pixels, content, cells in zip(letterbox.image_size, letterbox.content_size,
                                      letterbox.map_size):
        middle = (np.arange(cells) + 0.5) * letterbox.stride * pixels / content
        places.append(middle.astype(int).clip(max=pixels - 1))
    return values[np.ix_(*places)]


def at_pixels(values: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    """
    Return the value of the cell that each pixel lies in: (H, W).

    :param values: an output map of `Letterbox.map_size` cells.
    :param letterbox: geometry of the picture and the network.
    """
    places = []
    for pixels, content, cells in zip(letterbox.image_size, letterbox.content_size,
                                      letterbox.map_size):
        place = (np.arange(pixels) + 0.5) * content / pixels / letterbox.stride
        places.append(place.astype(int).clip(max=cells - 1))
    return values[np.ix_(*places)]
