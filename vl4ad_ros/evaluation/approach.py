# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How near an alert came and how severe it was, over the frames in which it was reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vl4ad_ros.evaluation.alert_metrics import Alert
from vl4ad_ros.obstacles.severity import LEVELS


@dataclass(frozen=True)
class Approach:
    """
    Distances and severity of one alert id; nothing of it is known if no frame gave it a place.

    :ivar first_m: distance in metres in the first frame that gave it a place; None if none did.
    :ivar nearest_m: smallest distance in metres; None if it is not known.
    :ivar severity: the highest of its levels; ``''`` if none is known.
    """

    first_m: float | None = None
    nearest_m: float | None = None
    severity: str = ''

    @staticmethod
    def of(reports: Sequence[Alert]) -> Approach:
        """
        Return the approach of an alert.

        :param reports: the alert in each frame in which it was reported, in their order.
        """
        metres = [round(one.place.distance_m, 2) for one in reports if one.place is not None]
        levels = {one.severity.level for one in reports if one.severity is not None}
        return Approach(metres[0] if metres else None, min(metres, default=None),
                        max(levels, key=LEVELS.index, default=''))
