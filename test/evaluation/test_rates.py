# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poisson intervals against the quantiles of SciPy."""

import math

import pytest

from vl4ad_ros.evaluation.rates import poisson_interval, Rate


@pytest.mark.parametrize('events', [1, 2, 5, 17, 100, 1500])
def test_scipy(events):
    chi2 = pytest.importorskip('scipy.stats', reason='SciPy is not installed').chi2
    low, high = poisson_interval(events)
    assert low == pytest.approx(chi2.ppf(0.025, 2 * events) / 2, rel=1e-9)
    assert high == pytest.approx(chi2.ppf(0.975, 2 * events + 2) / 2, rel=1e-9)


def test_no_event_is_the_rule_of_three():
    low, high = poisson_interval(0)
    assert low == 0 and math.exp(-high) == pytest.approx(0.05)
    assert Rate(0, 2.0).as_dict() == {'value': 0, 'low': 0, 'high': pytest.approx(3 / 2, abs=0.01)}


def test_a_rate_is_in_its_interval():
    rate = Rate(6, 3.0).as_dict()
    assert rate['value'] == 2 and rate['low'] < 2 < rate['high']
