# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pastes one cut-out object into a picture so that its edges, light and sharpness match the picture.

A network that is trained or tested with pasted objects can learn to see the paste instead of the
object. The means against it are those of Fishyscapes Static (Blum et al., IJCV 2021): soft edges,
light that follows the scene, and the same blur and noise as the picture around the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SHADOW = 0.45  # share of light that the darkest part of the contact shadow takes away
_LIGHT = 0.4  # how far the brightness of an object moves towards that of the ground at its foot
_LIGHT_RANGE = 0.55, 1.3  # factors of brightness


@dataclass(frozen=True, eq=False)
class CutOut:
    """
    An object that was cut out of a picture.

    :ivar name: what it is, such as 'cow'.
    :ivar rgb: uint8 (H, W, 3).
    :ivar alpha: float32 (H, W), 0..1, the opacity of each pixel. The object touches all four
        borders, so that its lowest row is its foot.
    """

    name: str
    rgb: np.ndarray
    alpha: np.ndarray

    @staticmethod
    def of(name: str, rgb: np.ndarray, alpha: np.ndarray) -> CutOut:
        """
        Crop an object to what can be seen of it.

        :param name: what it is.
        :param rgb: uint8 (H, W, 3).
        :param alpha: (H, W), boolean, or uint8 with 255 for opaque, or float 0..1.
        :raises ValueError: if no pixel is at least half opaque.
        """
        if alpha.dtype == np.uint8:
            alpha = alpha / np.float32(255)
        alpha = alpha.astype(np.float32)
        rows, columns = (np.flatnonzero((alpha >= 0.5).any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            raise ValueError(f'the cut-out {name!r} has no opaque pixel')
        box = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
        return CutOut(name, np.ascontiguousarray(rgb[box]), np.ascontiguousarray(alpha[box]))


def sharpness(picture: np.ndarray) -> float:
    """
    Return the blur of a picture as the standard deviation of a Gaussian, in pixels.

    It compares the picture's gradients with those of a picture that was blurred again (Crete et
    al., "The blur effect", 2007, in the form of a ratio): a picture that is blurred already loses
    less. The strongest gradients are used, because flat areas say nothing.

    :param picture: uint8 (H, W, 3) RGB.
    :return: 0 (sharp) to 3; 0 for pictures without edges.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    again = cv2.GaussianBlur(grey, (0, 0), 1.0)
    before, after = (np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1))
                     for g in (grey, again))
    edges = before >= max(np.quantile(before, 0.98), 20)
    if not edges.any():
        return 0.0
    # A step edge of deviation s has gradient 1 / s; blurred again, 1 / sqrt(s^2 + 1).
    ratio = float(np.median(after[edges] / before[edges]))
    return float(np.clip(np.sqrt(ratio ** 2 / max(1 - ratio ** 2, 1e-3)), 0.3, 3.0)) - 0.3


def paste(picture: np.ndarray, cut_out: CutOut, foot: tuple[float, float], height: float,
          blur: float = 0.5, mirror: bool = False,
          noise: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
    """
    Put an object into a picture.

    :param picture: uint8 (H, W, 3) RGB; it is not changed.
    :param cut_out: the object.
    :param foot: (x, y) in pixels of the middle of the object's lowest row.
    :param height: of the object in pixels.
    :param blur: standard deviation in pixels of the blur of the object and its edges; use
        `sharpness` of the picture.
    :param mirror: whether to swap left and right.
    :param noise: adds the noise that the picture has at the foot; None for none.
    :return: the new picture, and a boolean (H, W) mask of the pixels that show the object.
    """
    h, w = picture.shape[:2]
    rgb, alpha = cut_out.rgb, cut_out.alpha
    if mirror:
        rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
    scale = height / rgb.shape[0]
    size = max(2, round(rgb.shape[1] * scale)), max(2, round(height))
    # Colours beside the object must not come into its edge: they are weighted by the opacity.
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    margin = 2 + int(3 * blur)
    around = (margin,) * 4
    small = cv2.resize(np.ascontiguousarray(alpha), size, interpolation=how)
    light = cv2.resize(rgb * alpha[..., None], size, interpolation=how)
    small = cv2.copyMakeBorder(small, *around, cv2.BORDER_CONSTANT, value=0)
    light = cv2.copyMakeBorder(light, *around, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    if blur > 0.05:
        small, light = (cv2.GaussianBlur(x, (0, 0), blur) for x in (small, light))
    colour = light / np.maximum(small, 1e-3)[..., None]

    left, top = round(foot[0] - size[0] / 2) - margin, round(foot[1]) - size[1] - margin
    x0, x1 = max(left, 0), min(left + small.shape[1], w)
    y0, y1 = max(top, 0), min(top + small.shape[0], h)
    mask = np.zeros((h, w), bool)
    if x0 >= x1 or y0 >= y1:
        return picture.copy(), mask
    ground = _ground(picture, foot, size[0])
    solid = small > 0.5
    brightness = colour[solid].mean() if solid.any() else 128.0
    colour *= np.clip(1 - _LIGHT + _LIGHT * ground.mean() / max(brightness, 1.0), *_LIGHT_RANGE)
    if noise is not None:
        grain = (ground - cv2.GaussianBlur(ground, (0, 0), 1.5)).std()
        colour += noise.normal(0, min(grain, 6.0), colour.shape[:2])[..., None]

    result = _with_shadow(picture, foot, size, mask)
    inside = np.s_[y0 - top:y1 - top, x0 - left:x1 - left]
    there = np.s_[y0:y1, x0:x1]
    opacity = small[inside][..., None]
    result[there] = result[there] * (1 - opacity) + np.clip(colour[inside], 0, 255) * opacity
    mask[there] = small[inside] > 0.5
    return result.round().clip(0, 255).astype(np.uint8), mask


def _ground(picture: np.ndarray, foot: tuple[float, float], width: int) -> np.ndarray:
    """Return the pixels around the foot, float32 (h, w, 3)."""
    h, w = picture.shape[:2]
    y, x = int(np.clip(foot[1], 8, h - 1)), int(np.clip(foot[0], 4, w - 5))
    half = max(4, width // 2)
    return picture[y - 8:y + 3, max(0, x - half):x + half].astype(np.float32)


def _with_shadow(picture: np.ndarray, foot: tuple[float, float], size: tuple[int, int],
                 mask: np.ndarray) -> np.ndarray:
    """Return the picture with a contact shadow at the foot, float32."""
    shadow = np.zeros(mask.shape, np.float32)
    axes = max(1, size[0] // 2), max(1, size[1] // 12)
    cv2.ellipse(shadow, (round(foot[0]), round(foot[1])), axes, 0, 0, 360, _SHADOW, -1)
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(0.8, size[1] / 25))
    return picture.astype(np.float32) * (1 - shadow[..., None])
