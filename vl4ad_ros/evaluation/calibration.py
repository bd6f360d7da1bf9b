# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the threshold and the smallest region that keep a promise, from counted alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from vl4ad_ros.evaluation.bounds import allowed_misses, fewest_objects, largest_mean
from vl4ad_ros.evaluation.threshold_sweep import Candidate, SweepCounts

LOWEST_FOR_RECALL = 0.3
"""
Lowest threshold that is chosen for a recall.

At lower ones, regions grow together until none of them fits an object, so a lower threshold would
no longer find more.
"""


class CalibrationError(ValueError):
    """The recordings cannot show what was asked for; the message says what is missing."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """
    What all recordings together gave at each of C candidates.

    :ivar tried: the candidates, the most cautious first.
    :ivar hours: time in which a false alert would have been counted.
    :ivar false_alerts: int64 (C,).
    :ivar found: bool (objects, C), whether an object was alerted.
    :ivar confidence: probability, 0 to 1, of the bounds on false alerts.
    """

    tried: Sequence[Candidate]
    hours: float
    false_alerts: np.ndarray
    found: np.ndarray
    confidence: float

    @staticmethod
    def of(tried: Sequence[Candidate], counts: Sequence[SweepCounts],
           confidence: float) -> Evidence:
        """
        Add up the recordings.

        :param tried: the candidates.
        :param counts: of at least one recording, with these candidates.
        :param confidence: probability of the bounds on false alerts.
        """
        return Evidence(tried, sum(one.seconds for one in counts) / 3600,
                        np.sum([one.false_alerts for one in counts], axis=0),
                        np.concatenate([one.found for one in counts]), confidence)

    def largest_rate(self, index: int) -> float:
        """Return the upper bound of the false alerts per hour of a candidate, by its index."""
        if not self.hours:
            return float('inf')
        return largest_mean(int(self.false_alerts[index]), self.confidence) / self.hours

    def by_false_alerts(self, per_hour: float) -> int:
        """
        Choose the least cautious candidate whose false alerts are shown to be rare enough.

        The candidates are tested in their order, and the first one whose upper bound exceeds the
        rate ends the search. Because this order was fixed before the data were seen, the bound of
        the last one that passed holds with the full confidence, although it was chosen by the
        data (fixed sequence testing; A. Angelopoulos, S. Bates, E. Candes, M. Jordan and L. Lei,
        "Learn then Test", Annals of Applied Statistics 2025, arXiv:2110.01052).

        :param per_hour: the rate, above 0.
        :returns: index of the candidate.
        :raises CalibrationError: if the recordings are too short for this rate, or if even the
            most cautious candidate has too many false alerts.
        """
        needed = largest_mean(0, self.confidence) / per_hour
        if self.hours < needed:
            raise CalibrationError(
                f'the recordings are too short: alerts could be judged for {self.hours:.3f} h, '
                f'but {needed:.3f} h without any false alert are needed to show, with a '
                f'confidence of {self.confidence:g}, that there are at most {per_hour:g} per '
                'hour. Record '
                f'{needed - self.hours:.3f} h more' + self._cure())
        chosen = -1
        while chosen + 1 < len(self.tried) and self.largest_rate(chosen + 1) <= per_hour:
            chosen += 1
        if chosen < 0:
            first = self.tried[0]
            raise CalibrationError(
                f'even with threshold {first.threshold:g} and region.min_area '
                f'{first.min_area:g} there were {self.false_alerts[0]} false alerts in '
                f'{self.hours:.3f} h, so there can be up to {self.largest_rate(0):.3g} per hour. '
                'Exclude parts of the image with region.roi, name what the drives show in '
                'prompts.known' + self._cure())
        return chosen

    def by_recall(self, recall: float) -> int:
        """
        Choose the highest threshold at which enough labelled objects were found.

        Conformal risk control needs a loss that does not rise when the threshold is lowered. So an
        object counts as found at a threshold if it is found there and at all lower ones from
        `LOWEST_FOR_RECALL` on. `region.min_area` is not changed.

        :param recall: the share of objects, above 0 and below 1; see `bounds.allowed_misses`.
        :returns: index of the candidate.
        :raises CalibrationError: if there are too few objects for this recall, or if too many are
            missed at every threshold.
        """
        objects = len(self.found)
        if objects < fewest_objects(recall):
            cure = (f'ask for --recall {math.floor(1000 * objects / (objects + 1)) / 1000:g} or '
                    'less' if objects else 'give object ids (/ground_truth/object_id)')
            raise CalibrationError(
                f'there are too few labelled objects: {objects}, but a recall of {recall:g} '
                f'needs at least {fewest_objects(recall)}, which must all be found. Label '
                f'{fewest_objects(recall) - objects} more, or {cure}')
        missed = (~self.surely_found()).sum(axis=0)
        smallest = self.tried[-1].min_area
        for index, candidate in enumerate(self.tried):
            if candidate.min_area == smallest and missed[index] <= allowed_misses(objects, recall):
                return index
        best = objects - int(missed.min())
        raise CalibrationError(
            f'at every threshold from {LOWEST_FOR_RECALL:g} on too many objects are missed: at '
            f'most {best} of {objects} were found, but a recall of {recall:g} needs '
            f'{objects - allowed_misses(objects, recall)}. Ask for less with --recall, lower '
            'region.min_area, or use another model')

    def surely_found(self) -> np.ndarray:
        """
        Return which objects count as found at each candidate; see `by_recall`.

        :returns: bool (objects, C).
        """
        low = np.array([one.threshold < LOWEST_FOR_RECALL for one in self.tried])
        found = np.logical_and.accumulate((self.found | low)[:, ::-1], axis=1)[:, ::-1]
        return found & ~low

    def _cure(self) -> str:
        rate = self.largest_rate(0)
        return (f', or ask for at least --false-alerts-per-hour {_above(rate)}'
                if np.isfinite(rate) else '')


def _above(rate: float) -> str:
    """Return a short number that is not below a rate."""
    digits = f'{rate:.3g}'
    return digits if float(digits) >= rate else f'{float(digits) * 1.01:.3g}'
