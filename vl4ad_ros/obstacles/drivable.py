# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of the image in which obstacles count, as the model itself sees what is drivable."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np

from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.obstacles.ground_view import GroundView
from vl4ad_ros.obstacles.labels import drivable_cells
from vl4ad_ros.obstacles.regions import Region


@dataclass(frozen=True, eq=False)
class DrivableRegion:
    """
    Where one can drive, in cells of the network's map.

    :ivar cells: bool (h, w).
    :ivar letterbox: between cells and pixels.
    """

    cells: np.ndarray
    letterbox: Letterbox

    @staticmethod
    def of(prediction: Prediction, classes: Collection[str],
           view: GroundView | None) -> DrivableRegion | None:
        """
        Return the convex hull of what is drivable, grown to the horizon.

        Only the largest connected part of the drivable cells counts. Obstacles lie in its hull,
        because there is road around them. Above its uppermost row the region goes straight up to
        the horizon, because far away or behind something large the road is not seen. Without a
        view, the horizon is not known, and the region ends at this row.

        :param prediction: of an image.
        :param classes: names of known classes or of their concepts that are drivable.
        :param view: the ground as the image shows it, or None.
        :returns: the region; None if no cell is drivable, so that nothing is known.
        """
        drivable = drivable_cells(prediction, classes).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(drivable, connectivity=8)
        if count < 2:
            return None
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        hull = cv2.convexHull(np.argwhere(labels == largest)[:, ::-1].astype(np.int32))
        filled = np.zeros_like(drivable)
        cv2.fillConvexPoly(filled, hull, (1,))
        # The foot of an obstacle may lie in a cell of the obstacle at the border of the road.
        region = cv2.dilate(filled, np.ones((3, 3), np.uint8))
        if view is not None:
            top = int(np.flatnonzero(region.any(axis=1))[0])
            row = float(np.clip(view.horizon_row, 0, prediction.image_size[0]))
            horizon = prediction.letterbox.to_cells((0, row, 0, 0))[0].start
            region[horizon:top] = region[top]
        return DrivableRegion(region.astype(bool), prediction.letterbox)

    def has(self, region: Region) -> bool:
        """
        Tell whether something stands where one can drive.

        :param region: its foot decides.
        """
        x, y = region.foot
        rows, columns = self.letterbox.to_cells((x, y - 0.5, 0, 0))
        return bool(self.cells[rows.start, columns.start])
