# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The knots of the curve from uncertainty to score that a training writes into a bundle."""

from __future__ import annotations


def knots(normal: float, top: float, threshold: float) -> dict[str, list[float]]:
    """
    Return the manifest's calibration.

    :param normal: uncertainty of usual pixels, which becomes the score 0.
    :param top: uncertainty of unusual pixels, which becomes 1.
    :param threshold: uncertainty that becomes 0.5.
    """
    u = (min(normal, threshold - 0.05), threshold, max(top, threshold + 0.02))
    return {'u': [round(v, 4) for v in u], 'score': [0.0, 0.5, 1.0]}
