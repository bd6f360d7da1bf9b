# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The point of the ground that each pixel of an image shows."""

from __future__ import annotations

import numpy as np

from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.ground_view import GroundView


class GroundPoints:
    """
    Computes the points of all pixels, and keeps what does not change from frame to frame.

    The rays of a lens take up to a second for a large image, so they are computed once.
    """

    def __init__(self) -> None:
        """Start with nothing computed."""
        self._camera: CameraModel | None = None
        self._view: GroundView | None = None
        self._rays = self._points = np.zeros((0, 3))

    def of(self, view: GroundView, where: np.ndarray) -> np.ndarray:
        """
        Return the points of some pixels.

        :param view: the ground as the image shows it.
        :param where: bool (H, W), of the size of the image: which pixels have a point.
        :returns: float32 (H, W, 3), x, y and z = 0 in metres in the frame of the vehicle; NaN for
            all other pixels, and where `GroundView.points` is NaN.
        """
        if view.camera != self._camera:
            rows, columns = view.camera.size
            pixels = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
            self._rays, self._camera = view.camera.rays(pixels.reshape(-1, 2)), view.camera
            self._view = None
        if view != self._view:
            met = view.of_rays(self._rays)
            self._points = np.column_stack([met, 0 * met[:, 0]]).astype(np.float32)
            self._view = view
        return np.where(where[..., None], self._points.reshape(*where.shape, 3),
                        np.float32(np.nan))
