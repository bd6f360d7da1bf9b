# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where a calibrated camera on a vehicle sees the ground, and how sure that is.

Positions are in metres in the frame of the vehicle: x forward, y to the left and z up (REP 103),
and the ground is the plane z = 0. The point of the ground that a pixel shows is where its viewing
ray meets this plane (R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision",
2nd edition, 2004, chapter 8). Its covariance follows to first order from the uncertainty of the
pixel and of the camera's attitude (the same book, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.regions import Region

_OPTICAL_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Turns the optical frame (x right, y down, z forward) into one with x forward and z up."""


@dataclass(frozen=True)
class CameraPose:
    """
    Where a camera is on its vehicle.

    :ivar rotation: nine numbers, row by row: the rotation from the optical frame of the camera to
        the frame of the vehicle.
    :ivar position: (x, y, z) of the camera in the frame of the vehicle, in metres.
    """

    rotation: tuple[float, ...]
    position: tuple[float, float, float]

    @staticmethod
    def of_angles(height_m: float, pitch_deg: float = 0.0, roll_deg: float = 0.0,
                  yaw_deg: float = 0.0, x_m: float = 0.0, y_m: float = 0.0) -> CameraPose:
        """
        Return the pose of a camera by the angles of REP 103, as URDF gives them.

        :param height_m: height above the ground, in metres.
        :param pitch_deg: angle by which the camera looks down, in degrees.
        :param roll_deg: angle by which the camera is turned clockwise, as seen from behind it, in
            degrees.
        :param yaw_deg: angle by which the camera looks to the left, in degrees.
        :param x_m: how far it is in front of the origin of the vehicle, in metres.
        :param y_m: how far it is to the left of this origin, in metres.
        """
        (cr, sr), (cp, sp), (cy, sy) = (
            (math.cos(a), math.sin(a)) for a in map(math.radians, (roll_deg, pitch_deg, yaw_deg)))
        turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ np.array(
            [[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]]) @ np.array(
            [[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
        return CameraPose(tuple((turn @ _OPTICAL_AXES).ravel().tolist()), (x_m, y_m, height_m))

    @property
    def angles(self) -> dict[str, float]:
        """The arguments of `of_angles` that give this pose, by their names."""
        turn = np.reshape(self.rotation, (3, 3)) @ _OPTICAL_AXES.T
        x, y, height = self.position
        return {'height_m': height, 'x_m': x, 'y_m': y, **{
            name: math.degrees(angle) for name, angle in (
                ('pitch_deg', math.asin(min(max(-turn[2, 0], -1.0), 1.0))),
                ('roll_deg', math.atan2(turn[2, 1], turn[2, 2])),
                ('yaw_deg', math.atan2(turn[1, 0], turn[0, 0])))}}

    @staticmethod
    def of_transform(quaternion: tuple[float, float, float, float],
                     position: tuple[float, float, float]) -> CameraPose:
        """
        Return the pose of a camera by a transform from its optical frame to the vehicle.

        :param quaternion: (x, y, z, w) of the rotation; it need not have the length 1.
        :param position: (x, y, z) of the camera, in metres.
        :raises ValueError: if a number is not finite, or if the quaternion is 0.
        """
        length = math.hypot(*quaternion)
        if not (0 < length < math.inf and all(map(math.isfinite, position))):
            raise ValueError(f'the transform of the camera has the quaternion {quaternion} and '
                             f'the translation {position}; expected finite numbers')
        x, y, z, w = (value / length for value in quaternion)
        return CameraPose(
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
             2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
             2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)), position)


@dataclass(frozen=True)
class GroundLimits:
    """
    How far the ground is trusted, and how sure pixels and angles are.

    :ivar max_range_m: largest distance from the origin of the vehicle, in metres, above 0.
    :ivar pixel_sigma: standard deviation of the place of a foot in the image, in pixels.
    :ivar angle_sigma_deg: standard deviation of pitch, roll and yaw of the camera, in degrees.
    :raises ValueError: if a limit is out of its range; the message names the limit.
    """

    max_range_m: float = 40.0
    pixel_sigma: float = 3.0
    angle_sigma_deg: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least in (('max_range_m', 0.1), ('pixel_sigma', 0.0), ('angle_sigma_deg', 0.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f'{name} must be a finite number from {least} on, not {value}')


@dataclass(frozen=True)
class Placement:
    """
    Where something stands on the ground, and how large it is.

    :ivar x_m: how far in front of the origin of the vehicle its foot is, in metres.
    :ivar y_m: how far to the left of this origin its foot is, in metres.
    :ivar covariance: variances and covariance (xx, xy, yy) of the foot, in square metres.
    :ivar bearing_rad: direction in which the camera sees it, in radians from x to the left.
    :ivar width_m: width across this direction, in metres.
    :ivar height_m: height in metres.
    :ivar cut_off: borders of the image that cut it off: of ``'left'``, ``'right'``, ``'top'`` and
        ``'bottom'``. At the bottom it stands nearer than `x_m` and `y_m` say; at the other borders
        it is larger than `width_m` or `height_m` says.
    """

    x_m: float
    y_m: float
    covariance: tuple[float, float, float]
    bearing_rad: float
    width_m: float
    height_m: float
    cut_off: tuple[str, ...] = ()

    @property
    def distance_m(self) -> float:
        """Distance of the foot from the origin of the vehicle, in metres."""
        return math.hypot(self.x_m, self.y_m)


@dataclass(frozen=True)
class GroundView:
    """
    The ground as a camera sees it.

    A camera 1.4 m above the ground sees a point 14 m ahead 50 pixels below the horizon.

    >>> view = GroundView(CameraModel((480, 640), (500.0, 500.0), (319.5, 239.5)),
    ...                   CameraPose.of_angles(height_m=1.4))
    >>> view.points(np.array([[319.5, 289.5], [319.5, 239.5]])).round(3).tolist()
    [[14.0, 0.0], [nan, nan]]

    :ivar camera: its calibration.
    :ivar pose: where it is on the vehicle.
    :ivar limits: how far the ground is trusted, and how sure that is.
    """

    camera: CameraModel
    pose: CameraPose
    limits: GroundLimits = GroundLimits()

    def points(self, pixels: np.ndarray) -> np.ndarray:
        """
        Return the points of the ground that pixels show.

        :param pixels: (N, 2) column and row; pixel centres are at whole numbers.
        :returns: (N, 2) float64 x and y in metres; NaN for pixels at the horizon and above it, and
            for those that show ground beyond `GroundLimits.max_range_m`.
        """
        return self._met(self._rays(pixels))

    def of_rays(self, rays: np.ndarray) -> np.ndarray:
        """
        Return the points of the ground that viewing rays meet.

        :param rays: (N, 3), as `CameraModel.rays` returns them.
        :returns: as `points`.
        """
        return self._met(rays @ np.reshape(self.pose.rotation, (3, 3)).T)

    @property
    def horizon_row(self) -> float:
        """The row of the horizon straight ahead of the camera, in pixels; it may be outside."""
        turn = np.reshape(self.pose.rotation, (3, 3))
        level = np.array([turn[0, 2], turn[1, 2], 0.0])  # ahead of the camera, but level
        row = self.camera.pixels((level @ turn)[None])[0, 1]
        if np.isfinite(row):
            return float(row)
        return -np.inf if turn[2, 2] < 0 else np.inf  # the camera looks straight down or up

    def place(self, region: Region) -> Placement | None:
        """
        Return where a region stands, if its foot is on the ground.

        Something that does not touch the ground, such as a branch, is placed too far away.

        :param region: of an image of this camera.
        :returns: its place; None if its foot is not below the horizon, or is too far away.
        """
        left, top, right, bottom = _edges(region)
        # Corners of boxes lie between pixels: half a pixel before the centre of the next one.
        foot = np.array([region.foot[0], region.foot[1]]) - 0.5
        rays = self._rays(np.array([foot, (left, foot[1]), (right, foot[1]), (foot[0], top)]))
        centre, *sides = self._met(rays[:3])
        if not np.isfinite([centre, *sides]).all():
            return None
        reach = centre - self.pose.position[:2]
        upwards = rays[3, 2] / math.hypot(*rays[3, :2])  # NaN if the lens does not show the top
        height = self.pose.position[2] + upwards * math.hypot(*reach)
        cut_off = self._cut_off(left, top, right, bottom)
        covariance = self._covariance(foot, rays[0])
        if 'bottom' in cut_off:
            # It may stand anywhere from below the camera to here: a uniform distribution.
            covariance = covariance + np.outer(reach, reach) / 12
        return Placement(
            float(centre[0]), float(centre[1]),
            (float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
            math.atan2(reach[1], reach[0]), float(np.linalg.norm(sides[0] - sides[1])),
            max(float(height), 0.0) if math.isfinite(height) else 0.0, cut_off)

    def _rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return the viewing rays of pixels in the frame of the vehicle."""
        return self.camera.rays(pixels) @ np.reshape(self.pose.rotation, (3, 3)).T

    def _met(self, rays: np.ndarray) -> np.ndarray:
        """Return where rays of the vehicle's frame meet the ground, within the range."""
        x, y, z = self.pose.position
        with np.errstate(invalid='ignore', divide='ignore'):
            falls = np.where(rays[:, 2] < 0, -rays[:, 2], np.nan)
            met = (x, y) + rays[:, :2] * (z / falls)[:, None]
            met[~(np.hypot(met[:, 0], met[:, 1]) <= self.limits.max_range_m)] = np.nan
        return met

    def _covariance(self, pixel: np.ndarray, ray: np.ndarray) -> np.ndarray:
        """Return the covariance (2, 2) of the ground point of a pixel, in square metres."""
        height = self.pose.position[2]
        # The point is position - height * (rx, ry) / rz.
        by_ray = -height * np.array([[1 / ray[2], 0, -ray[0] / ray[2] ** 2],
                                     [0, 1 / ray[2], -ray[1] / ray[2] ** 2]])
        near = self._rays(pixel + np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]]))
        by_pixel = by_ray @ np.stack([near[0] - near[1], near[2] - near[3]], axis=1)
        # The cross products of the axes with the ray; np.cross would take a third of `place`.
        rx, ry, rz = ray
        by_angle = by_ray @ np.array([[0, -rz, ry], [rz, 0, -rx], [-ry, rx, 0]]).T
        angle_sigma = math.radians(self.limits.angle_sigma_deg)
        return (self.limits.pixel_sigma ** 2 * by_pixel @ by_pixel.T
                + angle_sigma ** 2 * by_angle @ by_angle.T)

    def _cut_off(self, left: float, top: float, right: float, bottom: float) -> tuple[str, ...]:
        """Return the borders of the image that a region touches."""
        rows, columns = self.camera.size
        return tuple(name for name, touches in (
            ('left', left < 0), ('right', right > columns - 1), ('top', top < 0),
            ('bottom', bottom > rows - 1)) if touches)


def _edges(region: Region) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a box, where pixel centres are at whole numbers."""
    x, y, width, height = region.box
    return x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5
