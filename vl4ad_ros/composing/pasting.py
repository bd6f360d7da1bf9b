# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pastes one cut-out object into a picture so that its edges, light and sharpness match the picture.

A network that is trained or tested with pasted objects can learn to see the paste instead of the
object. The means against it are those of Fishyscapes Static (Blum et al., IJCV 2021,
arXiv:1904.03215): soft edges, light that follows the scene, and the same blur and noise as the
picture around the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SHADOW = 0.5  # share of light that the darkest part of the contact shadow takes away
_LIGHT = 0.4  # how far the brightness of an object moves towards that of the ground at its foot
_LIGHT_RANGE = 0.55, 1.3  # factors of brightness
_MOST_NOISE = 6.0  # grey levels; a higher value comes from the texture of the ground
_MOST_BLUR = 3.0  # pixels
_SHARP = 0.81
"""What `sharpness` measures, before the correction, for edges that only the pixels blur."""
_OWN_BLUR = 0.5
"""Blur of a typical cut-out at its own size, in its pixels."""


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
    less. The strongest gradients are used, because flat areas say nothing. For drawn polygons
    with a blur of 0 to 2 pixels, with or without JPEG artefacts, it is off by at most 0.2.

    :param picture: uint8 (H, W, 3) RGB.
    :return: 0 (as sharp as pixels can show it) to 3; 0 for pictures without edges.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    again = cv2.GaussianBlur(grey, (0, 0), 1.0)
    before, after = (np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1))
                     for g in (grey, again))
    edges = before >= max(np.quantile(before, 0.98), 20)
    if not edges.any():
        return 0.0
    # A step edge of deviation s has the gradient 1 / s, and 1 / sqrt(s^2 + 1) when blurred again.
    ratio = min(float(np.median(after[edges] / before[edges])), 0.99)
    found = ratio ** 2 / (1 - ratio ** 2) - _SHARP ** 2
    return float(np.clip(np.sqrt(max(found, 0.0)), 0, _MOST_BLUR))


def paste(picture: np.ndarray, cut_out: CutOut, foot: tuple[float, float], height: float,
          blur: float = 0.5, mirror: bool = False,
          noise: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
    """
    Put an object into a picture.

    :param picture: uint8 (H, W, 3) RGB; it is not changed.
    :param cut_out: the object.
    :param foot: (x, y) in pixels where the middle of its lower edge touches the ground. Pixel
        centres are at whole numbers. The object is placed to the nearest pixel.
    :param height: of the object in pixels; it is rounded.
    :param blur: standard deviation in pixels of the blur of the object and its edges; use
        `sharpness` of the picture.
    :param mirror: whether to swap left and right.
    :param noise: adds the noise that the picture has at the foot; None for none.
    :return: the new picture, and a boolean (H, W) mask of the pixels that show the object.
    """
    h, w = picture.shape[:2]
    mask = np.zeros((h, w), bool)
    rgb, alpha = cut_out.rgb, cut_out.alpha
    if mirror:
        rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
    scale = height / rgb.shape[0]
    size = max(2, round(rgb.shape[1] * scale)), max(2, round(height))
    margin = 3 + int(3 * blur) + size[0] // 4  # There is room for the shadow, too.
    left, top = round(foot[0] - (size[0] - 1) / 2) - margin, round(foot[1]) - size[1] - margin
    x0, x1 = max(left, 0), min(left + size[0] + 2 * margin, w)
    y0, y1 = max(top, 0), min(top + size[1] + 2 * margin, h)
    if x0 >= x1 or y0 >= y1:
        return picture.copy(), mask

    colour, opacity = _resized(np.ascontiguousarray(rgb), np.ascontiguousarray(alpha), size, scale,
                               blur, margin)
    ground = _ground(picture, foot, size[0])
    solid = opacity > 0.5
    brightness = colour[solid].mean() if solid.any() else 128.0
    colour *= np.clip(1 - _LIGHT + _LIGHT * ground.mean() / max(brightness, 1.0), *_LIGHT_RANGE)
    if noise is not None:
        colour += noise.normal(0, _grain(ground), colour.shape[:2])[..., None]

    inside = np.s_[y0 - top:y1 - top, x0 - left:x1 - left]
    there = np.s_[y0:y1, x0:x1]
    lit = 1 - _shadow(size, margin)[inside][..., None]
    share = opacity[inside][..., None]
    mixed = picture[there] * lit * (1 - share) + np.clip(colour[inside], 0, 255) * share
    result = picture.copy()
    result[there] = mixed.round().clip(0, 255).astype(np.uint8)
    mask[there] = solid[inside]
    return result, mask


def _resized(rgb: np.ndarray, alpha: np.ndarray, size: tuple[int, int], scale: float, blur: float,
             margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Return colour (float32, 0..255) and opacity (0..1) in the new size, with a margin."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Colours beside the object must not come into its edge: they are weighted by the opacity.
    parts = [cv2.copyMakeBorder(cv2.resize(part, size, interpolation=how), *(margin,) * 4,
                                cv2.BORDER_CONSTANT)
             for part in (rgb * alpha[..., None], alpha)]
    # An object that is enlarged is blurred already.
    added = np.sqrt(max(blur ** 2 - (_OWN_BLUR * scale) ** 2, 0.0))
    if added > 0.2:  # The kernel of a smaller blur is a single pixel.
        parts = [cv2.GaussianBlur(part, (0, 0), added) for part in parts]
    light, opacity = parts
    return light / np.maximum(opacity, 1e-3)[..., None], opacity


def _ground(picture: np.ndarray, foot: tuple[float, float], width: int) -> np.ndarray:
    """Return the pixels around the foot, float32 (h, w, 3)."""
    h, w = picture.shape[:2]
    y, x = int(np.clip(foot[1], 8, max(8, h - 3))), int(np.clip(foot[0], 4, max(4, w - 5)))
    half = max(4, width // 2)
    return picture[y - 8:y + 3, max(0, x - half):x + half].astype(np.float32)


def _grain(ground: np.ndarray) -> float:
    """Return the standard deviation of the noise in grey levels."""
    fine = ground - cv2.GaussianBlur(ground, (0, 0), 1.5)
    # The median is not changed by the edges of lane markings, as the deviation is.
    return float(min(1.48 * np.median(np.abs(fine)), _MOST_NOISE))


def _shadow(size: tuple[int, int], margin: int) -> np.ndarray:
    """Return the share of light (0..1) that the contact shadow takes, with the margin around."""
    width, height = size
    shadow = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
    # A camera at the height of a car sees the ground under an object very flat.
    axes = max(1, width // 2), max(1, width // 20)
    middle = margin + (width - 1) // 2, margin + height - 1
    cv2.ellipse(shadow, middle, axes, 0, 0, 360, _SHADOW, -1)
    return cv2.GaussianBlur(shadow, (0, 0), max(0.8, width / 25))
