# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures on alerts beside their numbers: rates with intervals, distances, sizes, flicker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from vl4ad_ros.evaluation.alert_metrics import AlertScores, Truth
from vl4ad_ros.evaluation.component_metrics import size_class, SIZES
from vl4ad_ros.evaluation.distance_error import distance_figures, DistancePair
from vl4ad_ros.evaluation.driven_way import DrivenWay, NO_DISTANCES, NO_WAY
from vl4ad_ros.evaluation.rates import Rate

ALERT_DEFINITIONS = {
    'anomalies_missed': 'the anomalies that no alert overlapped',
    'duplicate_alerts': 'alert ids beyond the first one on the same object, over all objects',
    'state_changes_per_minute': 'flicker: how often per minute the picture changed between some '
                                'alert and none',
    'alerts_by_size': 'the anomalies by their largest number of pixels in a frame: small below '
                      '32 x 32, medium below 96 x 96; with the number alerted and the median time '
                      'to alert',
    'false_alerts_per_minute_interval': 'the Poisson interval that has the true rate with a '
                                        'probability of 95 %',
    'way_km': 'how far the vehicle drove, in kilometres',
    'false_alerts_per_km': 'false alerts for each kilometre',
    'false_alerts_per_km_interval': 'the Poisson interval of this rate, as above',
    'distance_at_alert_m': 'median, over the objects that were alerted, of their true distance '
                           'from the vehicle in the frame of the first alert',
    'distance_error_m': 'how far the distance of a published obstacle is from the true one, in '
                        'metres: median, 95th percentile, and number of published obstacles',
    'distance_error_by_range': 'the same as a share of the true distance, by the true distance',
    'undefined': 'why each figure that is null has no value',
}
"""What each figure means, by its name."""


@dataclass(frozen=True)
class AlertFigures:
    """
    The figures on alerts that reports add to the numbers of alerts.

    :ivar figures: by name; None is the value of a figure that is undefined.
    :ivar undefined: why each of these is undefined, by the same names.
    """

    figures: dict[str, Any]
    undefined: dict[str, str]


def alert_figures(alerts: AlertScores, truth: Truth, way: DrivenWay, minutes: float,
                  pairs: Sequence[DistancePair] = ()) -> AlertFigures:
    """
    Return the figures of one recording.

    :param alerts: its alert metrics.
    :param truth: its ground truth.
    :param way: how far the vehicle drove, and how far away the objects were.
    :param minutes: duration of the recording.
    :param pairs: published distances with the true ones.
    """
    false = len(alerts.false_events)
    figures, undefined = false_alert_rates(false, minutes, way.length_m)
    figures['state_changes_per_minute'] = alerts.state_changes / minutes if minutes else None
    if not minutes:
        undefined['state_changes_per_minute'] = 'the recording has no duration'
    if truth.has_objects:
        figures |= {'anomalies_missed': len(alerts.anomalies) - len(alerts.found),
                    'duplicate_alerts': alerts.duplicates,
                    'alerts_by_size': _by_size(alerts)}
        distances = [way.distances[number][index] for number, index in alerts.found.items()
                     if index in way.distances.get(number, {})]
        figures['distance_at_alert_m'] = median(distances) if distances else None
        if not distances:
            undefined['distance_at_alert_m'] = (
                NO_DISTANCES if not way.distances else 'no object was alerted')
        if pairs:
            figures |= distance_figures(pairs)
        else:
            figures['distance_error_m'] = None
            undefined['distance_error_m'] = (
                NO_DISTANCES if not way.distances else 'no obstacle was published for an object')
        if alerts.median_seconds is None:
            figures['time_to_alert_s'] = None
            undefined['time_to_alert_s'] = 'no object was alerted'
    return AlertFigures(figures, undefined)


def false_alert_rates(false: int, minutes: float, way_m: float | None
                      ) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return the rates of false alerts, and why those that are undefined are so.

    :param false: number of false alerts.
    :param minutes: duration in which they were raised.
    :param way_m: length of the way in metres; None if it is not known.
    """
    figures: dict[str, Any] = {'way_km': None if way_m is None else way_m / 1000}
    undefined = {} if way_m is not None else {'way_km': NO_WAY}
    for unit, exposure, reason in (
            ('minute', minutes, 'the recording has no duration'),
            ('km', figures['way_km'], NO_WAY if way_m is None else 'the vehicle did not move')):
        name = f'false_alerts_per_{unit}'
        rate = Rate(false, exposure).as_dict() if exposure else {}
        figures |= {name: rate.get('value'),
                    f'{name}_interval': [rate['low'], rate['high']] if rate else None}
        if not rate:
            undefined |= {name: reason, f'{name}_interval': reason}
    return figures, undefined


def _by_size(alerts: AlertScores) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, _ in SIZES:
        numbers = [n for n in alerts.anomalies if size_class(alerts.pixels[n]) == name]
        seconds = [alerts.seconds[n] for n in numbers if n in alerts.seconds]
        found[name] = {'anomalies': len(numbers), 'alerted': len(seconds),
                       'time_to_alert_s': median(seconds) if seconds else None}
    return found
