# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How large something must be: in metres where the ground is known, else in the image."""

from __future__ import annotations

from dataclasses import dataclass
import math

from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.regions import Region


@dataclass(frozen=True)
class SizeLimits:
    """
    How large something must be.

    The size in metres is the larger one of width and height. Where it is not known, the area in
    the image counts. On flat ground, the sides of an object in the image are proportional to the
    distance of its foot from the horizon, and its area to the square of this distance. The middle
    row is taken for the horizon, so a camera that looks down asks less of far objects.

    Something that the border of the image cuts off may be larger than it looks, so it is never too
    small.

    :ivar min_size_m: smallest size that is reported, in metres, 0 or more.
    :ivar max_size_m: largest size that is reported, in metres; 0 stands for no limit.
    :ivar min_area_bottom: smallest area of something whose foot is in the lowest row, as a
        fraction of the area of the image, 0 to 1, where the size in metres is not known.
    :raises ValueError: if a limit is out of its range, or if the smallest size exceeds the
        largest.
    """

    min_size_m: float = 0.0
    max_size_m: float = 0.0
    min_area_bottom: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ('min_size_m', 'max_size_m'):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f'{name} must be 0 or more, not {getattr(self, name)}')
        if 0 < self.max_size_m < self.min_size_m:
            raise ValueError(f'min_size_m ({self.min_size_m}) must not exceed max_size_m '
                             f'({self.max_size_m})')
        if not 0 <= self.min_area_bottom <= 1:
            raise ValueError(f'min_area_bottom must be from 0 to 1, not {self.min_area_bottom}')

    def allow(self, region: Region, place: Placement | None, image_size: tuple[int, int]) -> bool:
        """
        Tell whether something is neither too small nor too large.

        :param region: of the image.
        :param place: its size in metres; None if that is not known.
        :param image_size: (rows, columns) of the image.
        """
        if place is None:
            rows, columns = image_size
            x, y, width, height = region.box
            whole = 0 < x and x + width < columns and 0 < y and y + height < rows
            below = max(2 * (y + height) / rows - 1, 0)  # 0 in the middle row, 1 in the lowest
            return not whole or (
                region.area >= self.min_area_bottom * below ** 2 * rows * columns)
        size_m = max(place.width_m, place.height_m)
        if self.max_size_m and size_m > self.max_size_m:
            return False
        return bool(place.cut_off) or size_m >= self.min_size_m
