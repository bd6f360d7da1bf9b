# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws on camera images for reports: alerts, masks, score heat maps and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from vl4ad_ros.captions import draw_box
from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY, IGNORE
from vl4ad_ros.obstacles.pipeline import Finding
from vl4ad_ros.obstacles.severity import COLOURS, WARNING

ALERT, MASK, TRUTH = COLOURS[WARNING], (255, 40, 80), (0, 190, 255)
"""Colours (RGB, 0..255) of alerts without a severity, anomalous pixels and ground truth."""


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
    :param alerts: each is drawn as a box with its id and caption, in the colour of its severity,
        and the most severe one lies on top.
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
    for alert in sorted(alerts, key=lambda one: one.severity.rank if one.severity else -1):
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
        draw_box(canvas, finding.region.box, finding.caption, width / image.shape[1], ALERT)
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
