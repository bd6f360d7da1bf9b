# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The calibration of a camera, from `sensor_msgs/CameraInfo` to viewing rays.

The distortion models and their inversion are those of OpenCV (`calib3d` and `fisheye`), which the
calibration tools of ROS use. Pixel centres are at whole numbers here, as in OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
from typing import Any

import cv2
import numpy as np

NO_DISTORTION = ''
"""Value of `CameraModel.distortion` for a camera without distortion."""
_COUNTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
"""How many coefficients each distortion model of ROS may have."""
_SAME = {'fisheye': 'equidistant'}
_TOLERANCE_PX = 0.1
"""A ray is refused if it does not lead back to its pixel by this much."""
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)


class CalibrationError(ValueError):
    """A CameraInfo that cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class CameraModel:
    """
    A pinhole camera with lens distortion, in pixels of the images that arrive.

    >>> camera = CameraModel((480, 640), (500.0, 500.0), (319.5, 239.5))
    >>> camera.rays(np.array([[319.5, 289.5]])).round(3).tolist()
    [[0.0, 0.1, 1.0]]

    :ivar size: (rows, columns) of the images.
    :ivar focal: (fx, fy), focal lengths in pixels.
    :ivar centre: (cx, cy), the principal point in pixels.
    :ivar distortion: ``'plumb_bob'``, ``'rational_polynomial'``, ``'equidistant'`` or
        `NO_DISTORTION`.
    :ivar coefficients: of the distortion model, in OpenCV's order.
    :ivar rotation: nine numbers, row by row: the rectification of CameraInfo, which turns a ray of
        the lens into the optical frame.
    """

    size: tuple[int, int]
    focal: tuple[float, float]
    centre: tuple[float, float]
    distortion: str = NO_DISTORTION
    coefficients: tuple[float, ...] = ()
    rotation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @staticmethod
    def of(info: Any, image_size: tuple[int, int], rectified: bool = False) -> CameraModel:
        """
        Return the camera that a CameraInfo describes, for the images that arrive.

        The region of interest and the binning of the message are applied first. If the images are
        then still larger or smaller by the same factor in both directions, they count as resized.

        :param info: has the fields of `sensor_msgs/msg/CameraInfo`.
        :param image_size: (rows, columns) of the images.
        :param rectified: the images are rectified, so that they follow the projection matrix `p`
            and have no distortion.
        :raises CalibrationError: if the camera is not calibrated, if a number is not finite, if
            the distortion model is not known, or if the size does not fit the images.
        """
        camera = _calibrated(info, rectified)
        return camera._fitted(image_size, (int(info.height), int(info.width)))

    def _fitted(self, image_size: tuple[int, int], calibrated: tuple[int, int]) -> CameraModel:
        """Return this camera for images that are resized from those that are expected."""
        (rows, columns), (height, width) = image_size, self.size
        down, across = rows / height, columns / width
        # Each side of a resized image is rounded to whole pixels.
        if abs(height * across - rows) > 1 and abs(width * down - columns) > 1:
            raise CalibrationError(
                f'the images have {columns}x{rows} pixels, but CameraInfo describes {width}x'
                f'{height} (calibrated at {calibrated[1]}x{calibrated[0]}); publish the '
                'CameraInfo of these images')
        return _scaled(self, image_size, across, down)

    @property
    def matrix(self) -> np.ndarray:
        """The camera matrix K, float64 (3, 3)."""
        return np.array([[self.focal[0], 0, self.centre[0]], [0, self.focal[1], self.centre[1]],
                         [0, 0, 1.0]])

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """
        Return the viewing rays of pixels.

        :param pixels: (N, 2) column and row.
        :returns: (N, 3) float64 in the optical frame (x right, y down, z forward), z about 1; NaN
            where the distortion model cannot be inverted.
        """
        given = np.asarray(pixels, float).reshape(-1, 1, 2)
        if not len(given):
            return np.zeros((0, 3))
        if not self.distortion:
            flat = ((given - self.centre) / self.focal).reshape(-1, 2)
        else:
            flat = self._undistorted(given)
        rays = np.column_stack([flat, np.ones(len(flat))])
        if self.distortion:
            off = np.abs(self._projected(rays) - given.reshape(-1, 2)).max(axis=1)
            rays[~(off <= _TOLERANCE_PX)] = np.nan
        return rays @ np.reshape(self.rotation, (3, 3)).T

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """
        Project points into the image.

        :param points: (N, 3) in the optical frame.
        :returns: (N, 2) float64 column and row, also outside of the image; NaN for points that are
            not in front of the camera.
        """
        points = np.asarray(points, float).reshape(-1, 3) @ np.reshape(self.rotation, (3, 3))
        ahead = points[:, 2] > 0
        found = np.full((len(points), 2), np.nan)
        if ahead.any():
            found[ahead] = self._projected(points[ahead])
        return found

    def _undistorted(self, pixels: np.ndarray) -> np.ndarray:
        """Return x and y of each ray at z = 1, before the rectification."""
        if self.distortion == 'equidistant':
            return cv2.fisheye.undistortPoints(
                pixels, self.matrix, np.array(self.coefficients)).reshape(-1, 2)
        return cv2.undistortPointsIter(
            pixels, self.matrix, np.array(self.coefficients), np.eye(3), np.eye(3),
            _CRITERIA).reshape(-1, 2)

    def _projected(self, points: np.ndarray) -> np.ndarray:
        """Project points (N, 3) of the lens, all in front of it."""
        if not self.distortion:
            return points[:, :2] / points[:, 2:] * self.focal + self.centre
        project = (cv2.fisheye.projectPoints if self.distortion == 'equidistant'
                   else cv2.projectPoints)
        zero = np.zeros(3)
        found, _ = project(np.ascontiguousarray(points.reshape(-1, 1, 3)), zero, zero, self.matrix,
                           np.array(self.coefficients))
        return found.reshape(-1, 2)


def _calibrated(info: Any, rectified: bool) -> CameraModel:
    """Return the camera for images as CameraInfo describes them: cropped, then binned."""
    numbers = {name: tuple(float(value) for value in getattr(info, name)) for name in 'kdrp'}
    for name, values in numbers.items():
        if not all(map(math.isfinite, values)):
            raise CalibrationError(f"the field '{name}' of CameraInfo has a number that is not "
                                   'finite; calibrate the camera again')
    k, p = numbers['k'], numbers['p']
    matrix = (*p[:3], *p[4:7]) if rectified and p[0] else k
    if not (matrix[0] > 0 and matrix[4] > 0):
        raise CalibrationError(
            f'CameraInfo has the focal length ({matrix[0]:g}, {matrix[4]:g}), so the camera is '
            'not calibrated; calibrate it, for example with camera_calibration, and let the '
            'driver load the result')
    if not (info.width > 0 and info.height > 0):
        raise CalibrationError(f'CameraInfo has the size {info.width}x{info.height}; let the '
                               'driver fill in the size at which the camera was calibrated')
    camera = CameraModel((int(info.height), int(info.width)), (matrix[0], matrix[4]),
                         (matrix[2], matrix[5]))
    if not rectified:
        name, coefficients = _distortion(info.distortion_model, numbers['d'])
        turn = numbers['r'] if any(numbers['r']) else camera.rotation
        camera = replace(camera, distortion=name, coefficients=coefficients, rotation=turn)
    return _binned(_cropped(camera, info.roi), info)


def _distortion(model: str, coefficients: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """Return name and coefficients of a distortion model, after a check."""
    if not any(coefficients):
        if model in ('equidistant', 'fisheye'):  # without coefficients it is no pinhole
            return 'equidistant', (0.0,) * 4
        return NO_DISTORTION, ()
    name = _SAME.get(model, model)
    if name not in _COUNTS:
        raise CalibrationError(f"CameraInfo has the distortion model '{model}'; known are "
                               f'{", ".join(_COUNTS)}; calibrate the camera with one of them')
    if len(coefficients) not in _COUNTS[name]:
        wanted = ' or '.join(map(str, _COUNTS[name]))
        raise CalibrationError(f"the distortion model '{model}' has {wanted} coefficients, but "
                               f'CameraInfo has {len(coefficients)}; calibrate the camera again')
    return name, coefficients


def _cropped(camera: CameraModel, roi: Any) -> CameraModel:
    """Return the camera for a region of interest, in pixels before binning; 0x0 is all."""
    if not (roi.width and roi.height):
        return camera
    (x, y), (cx, cy) = (roi.x_offset, roi.y_offset), camera.centre
    if x + roi.width > camera.size[1] or y + roi.height > camera.size[0]:
        raise CalibrationError(
            f'the region of interest of CameraInfo ({roi.width}x{roi.height} from {x}, {y}) is '
            f'not inside its {camera.size[1]}x{camera.size[0]} pixels; correct the driver')
    return replace(camera, size=(int(roi.height), int(roi.width)), centre=(cx - x, cy - y))


def _binned(camera: CameraModel, info: Any) -> CameraModel:
    """Return the camera for images whose pixels are blocks of pixels of the sensor."""
    across, down = max(int(info.binning_x), 1), max(int(info.binning_y), 1)
    size = camera.size[0] // down, camera.size[1] // across
    if not all(size):
        raise CalibrationError(f'CameraInfo has the binning {across}x{down} for '
                               f'{camera.size[1]}x{camera.size[0]} pixels; correct the driver')
    return _scaled(camera, size, 1 / across, 1 / down)


def _scaled(camera: CameraModel, size: tuple[int, int], across: float,
            down: float) -> CameraModel:
    """Return the camera for images of another size, which are wider and higher by factors."""
    (fx, fy), (cx, cy) = camera.focal, camera.centre
    # The outer edges of the corner pixels stay in place, not their centres.
    return replace(camera, size=size, focal=(fx * across, fy * down),
                   centre=((cx + 0.5) * across - 0.5, (cy + 0.5) * down - 0.5))
