# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws on camera images for reports: alerts, masks, score heat maps, labels and captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from vl4ad_ros.evaluation.alert_metrics import Alert, Box
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE
from vl4ad_ros.obstacles.pipeline import Finding
from vl4ad_ros.obstacles.severity import COLOURS

ALERT, MASK, TRUTH = (255, 196, 0), (255, 40, 80), (0, 190, 255)
"""Colours (RGB, 0..255) of alerts without a severity, anomalous pixels and ground truth."""
DARK, PALE, WHITE = (32, 36, 44), (150, 156, 166), (255, 255, 255)
"""Colours (RGB, 0..255) of texts and backgrounds."""
_FONT = cv2.FONT_HERSHEY_DUPLEX


def put_text(canvas: np.ndarray, text: str, at: tuple[int, int], height: int,
             colour: tuple[int, int, int], align: str = 'left') -> int:
    """
    Write one line of text.

    :param canvas: (H, W, 3) uint8 RGB; it is changed.
    :param text: characters outside of ASCII are replaced by question marks.
    :param at: x and y in pixels of the point on the baseline that `align` refers to.
    :param height: height of a capital letter in pixels.
    :param colour: RGB, 0..255.
    :param align: which part of the text lies at `at`: ``left``, ``centre`` or ``right``.
    :returns: the width of the text in pixels.
    """
    scale, thickness = _pen(height)
    text = _ascii(text)
    width = text_width(text, height)
    x = at[0] - {'left': 0, 'centre': width // 2, 'right': width}[align]
    cv2.putText(canvas, text, (x, at[1]), _FONT, scale, colour, thickness, cv2.LINE_AA)
    return width


def text_width(text: str, height: int) -> int:
    """Return the width in pixels of a line whose capital letters are `height` pixels high."""
    return cv2.getTextSize(_ascii(text), _FONT, *_pen(height))[0][0]


def _pen(height: int) -> tuple[float, int]:
    return height / 22.0, 2 if height >= 22 else 1


def _ascii(text: str) -> str:
    """Return a text that OpenCV's fonts have all characters of."""
    return text.encode('ascii', 'replace').decode()


def fit(image: np.ndarray, width: int, smooth: bool = True) -> np.ndarray:
    """
    Scale an image and keep its aspect ratio.

    :param image: (H, W) or (H, W, 3) of any type that OpenCV scales.
    :param width: the new width in pixels.
    :param smooth: interpolate; False takes the nearest pixel, as labels and masks need.
    :returns: the scaled image, of the same type.
    """
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    shrinks = width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how if smooth else cv2.INTER_NEAREST)


def draw_alerts(image: np.ndarray, mask: np.ndarray | None, alerts: Iterable[Alert],
                label: np.ndarray | None, width: int) -> np.ndarray:
    """
    Draw mask, ground truth and alerts on a camera image.

    :param image: (H, W, 3) uint8 RGB.
    :param mask: (H, W) uint8; pixels above 0 are tinted. None draws no mask.
    :param alerts: each is drawn as a box with its id and caption, in the colour of its severity.
    :param label: (H, W) uint8 ground truth; anomalous areas (1) are outlined. None draws none.
    :param width: width of the returned picture in pixels.
    :returns: (H', width, 3) uint8 RGB with the aspect ratio of the image.
    """
    canvas = fit(image, width)
    scale = width / image.shape[1]
    if mask is not None:
        large = cv2.resize(mask, canvas.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        canvas[large] = (0.5 * canvas[large] + 0.5 * np.array(MASK)).astype(np.uint8)
    if label is not None:
        _outline(canvas, label == ANOMALY, TRUTH)
    for alert in alerts:
        draw_box(canvas, alert.box, f'#{alert.id} {alert.caption}', scale, colour_of(alert))
    return canvas


def colour_of(alert: Alert) -> tuple[int, int, int]:
    """Return the colour of an alert by its severity, RGB, 0..255."""
    return COLOURS[alert.severity.level] if alert.severity else ALERT


def draw_findings(image: np.ndarray, mask: np.ndarray, findings: Sequence[Finding],
                  width: int) -> np.ndarray:
    """
    Draw the outline of a mask and the regions of a single picture.

    :param image: (H, W, 3) uint8 RGB.
    :param mask: (H, W) uint8; pixels above 0 are outlined.
    :param findings: each is drawn as a box with its caption; the first ones lie on top.
    :param width: width of the returned picture in pixels.
    :returns: (H', width, 3) uint8 RGB with the aspect ratio of the image.
    """
    canvas = fit(image, width)
    _outline(canvas, mask > 0, MASK, 2 if width >= 900 else 1)
    for finding in reversed(findings):
        draw_box(canvas, finding.region.box, finding.caption, width / image.shape[1])
    return canvas


def draw_score(image: np.ndarray, score: np.ndarray, width: int) -> np.ndarray:
    """
    Draw a score as a heat map over a faint grey image.

    :param image: (H, W, 3) uint8 RGB.
    :param score: (H, W) float in 0..1.
    :param width: width of the returned picture in pixels.
    :returns: (H', width, 3) uint8 RGB.
    """
    grey = cv2.cvtColor(fit(image, width), cv2.COLOR_RGB2GRAY)
    heat = colour_scale(fit(score, width).clip(0, 1))
    return cv2.addWeighted(heat, 0.85, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), 0.15, 0)


def colour_scale(score: np.ndarray) -> np.ndarray:
    """Return the colours, (H, W, 3) uint8 RGB, of scores, (H, W) float in 0..1."""
    heat = cv2.applyColorMap((score * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(heat, cv2.COLOR_BGR2RGB)


def draw_truth(image: np.ndarray, label: np.ndarray, width: int) -> np.ndarray:
    """
    Draw the ground truth: anomalous pixels bright and ignored ones grey on a darkened image.

    :param image: (H, W, 3) uint8 RGB.
    :param label: (H, W) with 0 for normal, 1 for anomalous and 255 for ignored pixels.
    :param width: width of the returned picture in pixels.
    :returns: (H', width, 3) uint8 RGB.
    """
    canvas = fit(image, width) // 2
    large = cv2.resize(label.astype(np.uint8), canvas.shape[1::-1],
                       interpolation=cv2.INTER_NEAREST)
    canvas[large == IGNORE] = 90
    canvas[large == ANOMALY] = TRUTH
    return canvas


def _outline(canvas: np.ndarray, where: np.ndarray, colour: tuple[int, int, int],
             thickness: int = 1) -> None:
    large = cv2.resize(where.astype(np.uint8), canvas.shape[1::-1],
                       interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, colour, thickness, cv2.LINE_AA)


def draw_box(canvas: np.ndarray, box: Box, text: str, scale: float,
             colour: tuple[int, int, int] = ALERT) -> None:
    """
    Draw a box with a line of text.

    :param canvas: (H, W, 3) uint8 RGB; it is changed.
    :param box: x, y, width and height in pixels of the image.
    :param text: characters outside of ASCII are replaced by question marks.
    :param scale: pixels of the canvas for each pixel of the image.
    :param colour: RGB, 0..255.
    """
    x, y, width, height = box
    margin = 3
    left, top = round(x * scale) - margin, round(y * scale) - margin
    right, bottom = round((x + width) * scale) + margin, round((y + height) * scale) + margin
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
    put_tab(canvas, text, left - 1, top, bottom, colour)


def put_tab(canvas: np.ndarray, text: str, left: int, top: int, bottom: int,
            colour: tuple[int, int, int]) -> None:
    """
    Write one line of text on a coloured field above a box, or below it if there is no room.

    :param canvas: (H, W, 3) uint8 RGB; it is changed.
    :param text: characters outside of ASCII are replaced by question marks.
    :param left: left edge of the box in pixels.
    :param top: top edge of the box in pixels.
    :param bottom: bottom edge of the box in pixels.
    :param colour: colour of the field, RGB, 0..255.
    """
    letter = max(9, canvas.shape[1] // 75)
    width = text_width(text, letter)
    tab = letter + 8
    left = int(np.clip(left, 0, max(0, canvas.shape[1] - width - 10)))
    base = top if top >= tab else min(bottom + tab, canvas.shape[0])
    cv2.rectangle(canvas, (left, base - tab), (left + width + 9, base), colour, -1)
    put_text(canvas, text, (left + 5, base - 5), letter, DARK)
